//! One sample: its stacks go to the stack map, and its key is counted.

use crate::maps::{ACTIVE, COUNTS_0, COUNTS_1, SETTINGS, STACKS_0, STACKS_1, count};
use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::BPF_F_USER_STACK;
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_task, bpf_probe_read,
};
use aya_ebpf::maps::{HashMap, StackTrace};
use aya_ebpf::programs::PerfEventContext;
use aya_ebpf::programs::tracing::StackIdContext;
use core::hint::black_box;
use core::mem::MaybeUninit;
use parca_agent_common::counter::Counter;
use parca_agent_common::limits::COMM_LENGTH;
use parca_agent_common::record::{CountKey, FLAG_KERNEL_THREAD};

/// `PF_KTHREAD` of the kernel's `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;

/// `-EEXIST` of `bpf_get_stackid`: another stack holds the bucket.
const STACK_COLLISION: i32 = -17;

/// Counts the current task.
#[inline(always)]
pub fn take(context: &PerfEventContext) {
    if context.pid() == 0 {
        return; // the idle task
    }
    count(Counter::SamplesTaken);
    match ACTIVE.get(0) {
        Some(0) => count_in(context, &COUNTS_0, &STACKS_0),
        _ => count_in(context, &COUNTS_1, &STACKS_1),
    }
}

#[inline(always)]
fn count_in(context: &PerfEventContext, counts: &HashMap<CountKey, u64>, stacks: &StackTrace) {
    let (process_start, flags) = read_task();
    let mut key = MaybeUninit::<CountKey>::uninit();
    let fields = key.as_mut_ptr();
    // SAFETY: every field is written before the key is used; the record has no padding.
    let key = unsafe {
        (*fields).process_start = process_start;
        (*fields).cgroup_id = bpf_get_current_cgroup_id();
        (*fields).tgid = context.tgid();
        (*fields).tid = context.pid();
        (*fields).user_stack = stack_id(context, stacks, u64::from(BPF_F_USER_STACK));
        (*fields).kernel_stack = stack_id(context, stacks, 0);
        (*fields).flags = flags;
        (*fields).reserved = 0;
        bpf_get_current_comm((&raw mut (*fields).comm).cast(), COMM_LENGTH as u32);
        key.assume_init_ref()
    };
    if let Some(samples) = counts.get_ptr_mut(key) {
        // SAFETY: the value stays in place while the program runs. The key holds the thread, which runs
        // on one CPU at a time, so the addition cannot race.
        unsafe { *samples += 1 };
        return;
    }
    // A constant would be placed in read-only data, which 4.18 does not have.
    let first = black_box(1);
    if counts.insert(key, &first, 0).is_err() {
        count(Counter::CountMapFull);
    }
}

/// Puts a stack in the map: its key, or the negative errno. A task without a user or kernel part gives
/// `-EFAULT`, which is no failure.
#[inline(always)]
fn stack_id(context: &PerfEventContext, stacks: &StackTrace, kind: u64) -> i32 {
    let id = match context.get_stackid(stacks, kind) {
        Ok(id) => id as i32,
        Err(errno) => errno,
    };
    if id == STACK_COLLISION {
        count(Counter::StackCollision);
    }
    id
}

/// Start of the process and `FLAG_*` bits; zero where the kernel told no offsets.
#[inline(always)]
fn read_task() -> (u64, u32) {
    let Some(settings) = SETTINGS.get(0) else { return (0, 0) };
    if settings.task_start_boot_time == 0 {
        return (0, 0);
    }
    // SAFETY: the helper takes no argument and always returns the current task.
    let task = unsafe { bpf_get_current_task() };
    let leader: u64 = read(task, settings.task_group_leader);
    let kernel_thread = read::<u32>(task, settings.task_flags) & PF_KTHREAD != 0;
    (read(leader, settings.task_start_boot_time), if kernel_thread { FLAG_KERNEL_THREAD } else { 0 })
}

/// Reads a field of a kernel structure; zero where it cannot be read. `bpf_probe_read` is the only
/// such helper in 4.18.
#[inline(always)]
fn read<T: Copy + Default>(structure: u64, offset: u32) -> T {
    let mut value = T::default();
    // SAFETY: the helper writes at most the size of the value, and checks the address it reads.
    let result = unsafe {
        bpf_probe_read(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            (structure + u64::from(offset)) as *const _,
        )
    };
    if result == 0 { value } else { T::default() }
}
