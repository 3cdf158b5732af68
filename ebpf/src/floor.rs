//! The measure of `cargo xtask bench`: the least that a sampling profiler in BPF can do. It counts pairs
//! of user and kernel stack for each process, and nothing else. It is no part of the agent.
#![no_std]
#![no_main]

mod panic;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::BPF_F_USER_STACK;
use aya_ebpf::macros::{map, perf_event};
use aya_ebpf::maps::{HashMap, StackTrace};
use aya_ebpf::programs::PerfEventContext;
use aya_ebpf::programs::tracing::StackIdContext;

/// Process, user stack, kernel stack.
type Key = [u32; 3];

/// More stacks than the programs of the bench have in its time, so that none is thrown out.
const ENTRIES: u32 = 16 * 1024;

#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(ENTRIES, 0);
#[map]
static COUNTS: HashMap<Key, u64> = HashMap::with_max_entries(ENTRIES, 0);

/// Runs in the timer interrupt of each CPU, whatever it interrupted.
#[perf_event]
pub fn take_sample(context: PerfEventContext) -> u32 {
    let user = stack_id(&context, u64::from(BPF_F_USER_STACK));
    let kernel = stack_id(&context, 0);
    let key = [context.tgid(), user, kernel];
    match COUNTS.get_ptr_mut(&key) {
        // SAFETY: the value stays in place while the program runs. Two CPUs may add at once and lose one:
        // the bench sees that as a sample not delivered.
        Some(count) => unsafe { *count += 1 },
        None => {
            // A full map loses the sample, which the bench sees too.
            let _ = COUNTS.insert(&key, &1, 0);
        }
    }
    0
}

/// The key of a stack in the map, or the error number where there is none.
#[inline(always)]
fn stack_id(context: &PerfEventContext, kind: u64) -> u32 {
    match context.get_stackid(&STACKS, kind) {
        Ok(id) => id as u32,
        Err(error) => error as u32,
    }
}
