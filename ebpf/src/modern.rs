//! The BPF object for kernels with a ring buffer (5.8): every sample leaves the kernel raw, with its
//! time, its process's identity and its stacks.
#![no_std]
#![no_main]

#[path = "modern/maps.rs"]
mod maps;
mod panic;
#[path = "modern/process.rs"]
mod process;
#[path = "modern/registers.rs"]
mod registers;
#[path = "modern/sample.rs"]
mod sample;
#[path = "modern/task.rs"]
mod task;
#[path = "modern/wakeup.rs"]
mod wakeup;

use aya_ebpf::macros::{perf_event, raw_tracepoint};
use aya_ebpf::programs::{PerfEventContext, RawTracePointContext};

/// Runs in the timer interrupt of each CPU, whatever it interrupted.
#[perf_event]
pub fn take_sample(context: PerfEventContext) -> u32 {
    sample::take(&context);
    0
}

/// Runs in the task that has just executed a new program.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_executed(_context: RawTracePointContext) -> i32 {
    process::executed();
    0
}

/// Runs in a task that is about to exit.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn process_exited(_context: RawTracePointContext) -> i32 {
    process::exited();
    0
}

/// Runs in a task that has just created another, which has not run yet.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn process_forked(context: RawTracePointContext) -> i32 {
    process::forked(&context);
    0
}
