//! Time in the kernel: functions by name, and nothing that tells where this kernel lies in memory.

use super::agent::Agent;
use super::program::{Program, unique};
use super::symbols::KernelSymbols;
use std::time::SystemTime;

/// Where the linker puts the kernel on x86_64, and how far its image may reach.
const LINK_BASE: u64 = 0xffff_ffff_8100_0000;
const IMAGE_LIMIT: u64 = LINK_BASE + (1 << 30);

#[test]
fn system_calls_show_the_kernels_functions_without_their_place_in_memory() {
    let agent = Agent::start(&["--profiling-duration=2s"]);
    let name = unique("calls");
    let _program = Program::start_measured("syscalls", &name, &[]);
    let profile = agent.profile_since(&name, SystemTime::now());

    let total = profile.total();
    let in_kernel = profile.count(|stack| stack[0].mapping == "[kernel.kallsyms]");
    let reading = profile.count(|stack| stack.iter().any(|frame| frame.function == Some("vfs_read")));
    assert!(in_kernel * 10 > total * 8, "{in_kernel} of {total} samples are in the kernel");
    assert!(reading * 10 > total * 8, "{reading} of {total} samples are in vfs_read");

    let symbols = KernelSymbols::read();
    let bias = symbols.address("_text").wrapping_sub(LINK_BASE);
    let mut named = 0;
    for location in &profile.message.location {
        if profile.text(profile.mapping(location.mapping_id).filename) != "[kernel.kallsyms]" {
            assert!(location.address < 1 << 47, "{:#x} is an address of the kernel", location.address);
            continue;
        }
        let function = &profile.message.function[usize::try_from(location.line[0].function_id).unwrap() - 1];
        let name = profile.text(function.name);
        assert!(symbols.has(name), "the kernel has no function {name}");
        if !profile.text(function.filename).is_empty() {
            assert_eq!(location.address, 0, "{name} of a module");
            continue;
        }
        assert!((LINK_BASE..IMAGE_LIMIT).contains(&location.address), "{name} at {:#x}", location.address);
        let running = location.address.wrapping_add(bias);
        assert!(symbols.is_in(running, name), "{:#x} is not in {name}", location.address);
        named += 1;
    }
    assert!(named > 5, "only {named} functions");
    agent.stop();
}
