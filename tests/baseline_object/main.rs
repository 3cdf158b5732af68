//! The promise of kernel 4.18, checked without one: the BPF objects are read as that kernel's verifier
//! would read them.
//!
//! | rule | because |
//! |---|---|
//! | no 32-bit jump | 5.1 |
//! | no signed 32-bit shift | 5.0 |
//! | no atomic operation but addition without a result | 5.12 |
//! | no sign-extending load or move, signed division, byte swap, long jump | 6.6, "CPU v4" |
//! | no helper beyond number 80, and of these only what programs of perf events get | 4.18 |
//! | no loop, no instruction that is never reached | 5.3, none |
//! | at most 4096 instructions, 131072 on all ways through them together | 5.2 takes a million |
//! | no call of an own function, none of a kernel function | 4.16 with limits, 5.13 |
//! | no read-only or global data, no address of anything but a map | 5.2 |
//! | no kind of map but those in use, no flags of a map | each its own |
//! | no type information | 4.18 may be built without |
//! | no kind of program but those in use | each its own |
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod file;
mod flow;
mod helper;
mod instruction;
mod map;
mod planted;
mod release;

use release::{Floor, Release};

const BASELINE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline"));
const MODERN: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/modern"));

const BASELINE_FLOOR: Floor = Floor {
    release: Release(4, 18),
    instructions: 4096,
    work: 128 << 10,
    programs: &["perf_event"],
    helpers: helper::PERF_EVENT_4_18,
    maps: &[map::HASH, map::ARRAY, map::PER_CPU_ARRAY, map::STACK_TRACE],
};

/// The violations of an object, one a line.
fn report(bytes: &[u8], floor: &Floor) -> String {
    let violations = file::check(bytes, floor).unwrap();
    violations.iter().map(|violation| format!("{violation}\n")).collect()
}

#[test]
fn baseline_needs_nothing_newer_than_4_18() {
    assert_eq!(report(BASELINE, &BASELINE_FLOOR), "");
}

#[test]
fn the_check_of_baseline_refuses_modern_and_says_why() {
    let report = report(MODERN, &BASELINE_FLOOR);
    for fault in [
        ": a 32-bit jump came with Linux 5.1",
        ": helper 125 came with Linux 5.8",
        ".rodata: read-only data came with Linux 5.2",
        "the address of SETTINGS in .rodata came with Linux 5.2",
        "map SAMPLES: a map of kind 27 (ringbuf) came with Linux 5.8",
        "raw_tp/sched_process_exec: no kind of program that is in use",
    ] {
        assert!(report.contains(fault), "{fault}:\n{report}");
    }
}
