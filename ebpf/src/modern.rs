//! The BPF object for kernels with a ring buffer (5.8): every sample leaves the kernel raw, with its
//! time, its process's identity and its stacks.
#![no_std]
#![no_main]

#[path = "modern/address_space.rs"]
mod address_space;
#[path = "modern/kernel_pointer.rs"]
mod kernel_pointer;
#[path = "modern/lookup.rs"]
mod lookup;
#[path = "modern/maple_tree.rs"]
mod maple_tree;
#[path = "modern/maps.rs"]
mod maps;
#[path = "modern/opaque.rs"]
mod opaque;
mod panic;
#[path = "modern/pid_namespace.rs"]
mod pid_namespace;
#[path = "modern/place_cache.rs"]
mod place_cache;
#[path = "modern/process.rs"]
mod process;
#[path = "modern/red_black_tree.rs"]
mod red_black_tree;
#[path = "modern/registers.rs"]
mod registers;
#[path = "modern/replacement.rs"]
mod replacement;
#[path = "modern/sample.rs"]
mod sample;
#[path = "modern/selection.rs"]
mod selection;
#[path = "modern/task.rs"]
mod task;
#[path = "modern/unwinder.rs"]
mod unwinder;
#[cfg_attr(bpf_target_arch = "x86_64", path = "modern/user_registers_x86_64.rs")]
#[cfg_attr(bpf_target_arch = "aarch64", path = "modern/user_registers_aarch64.rs")]
mod user_registers;
#[path = "modern/wakeup.rs"]
mod wakeup;
#[path = "modern/window.rs"]
mod window;

use aya_ebpf::macros::{perf_event, raw_tracepoint};
use aya_ebpf::programs::{PerfEventContext, RawTracePointContext};

/// Runs in the timer interrupt of each CPU, whatever it interrupted.
#[perf_event]
pub fn take_sample(context: PerfEventContext) -> u32 {
    sample::take_in_loop(&context);
    0
}

/// The same for kernels before 5.17, which have no `bpf_loop`.
#[perf_event]
pub fn take_sample_in_steps(context: PerfEventContext) -> u32 {
    sample::take_in_steps(&context);
    0
}

/// Follows [`take_sample_in_steps`], and itself.
#[perf_event]
pub fn take_frames(context: PerfEventContext) -> u32 {
    sample::go_on_in_steps(&context);
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

/// Runs in a task that maps memory, when its place has been chosen (5.7).
#[raw_tracepoint(tracepoint = "vm_unmapped_area")]
pub fn mapping_placed(context: RawTracePointContext) -> i32 {
    replacement::placed(&context);
    0
}
