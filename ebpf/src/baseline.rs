//! The BPF object for every kernel from 4.18 on: stacks and counts gather in maps that the agent drains.
//!
//! It uses only what 4.18 has: legacy maps, helpers up to `bpf_get_current_cgroup_id`, no loops, no
//! globals, no 32-bit jumps, under 4096 instructions. The test suite reads the object and checks that.
#![no_std]
#![no_main]

#[path = "baseline/maps.rs"]
mod maps;
mod panic;
#[path = "baseline/sample.rs"]
mod sample;

use aya_ebpf::macros::perf_event;
use aya_ebpf::programs::PerfEventContext;

/// Runs in the timer interrupt of each CPU, whatever it interrupted.
#[perf_event]
pub fn take_sample(context: PerfEventContext) -> u32 {
    sample::take(&context);
    0
}
