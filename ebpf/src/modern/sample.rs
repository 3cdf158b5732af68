//! One sample: who runs, and both of its stacks.

use crate::maps::{SAMPLES, SCRATCH, STACK_SLOTS, SampleRecord, count, settings};
use crate::registers::is_user_mode;
use crate::task::Task;
use crate::wakeup;
use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::BPF_F_USER_STACK;
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_stack, bpf_ktime_get_boot_ns,
};
use aya_ebpf::programs::PerfEventContext;
use core::hint::black_box;
use core::slice;
use parca_agent_common::counter::Counter;
use parca_agent_common::limits::{COMM_LENGTH, MAX_STACK_BYTES};
use parca_agent_common::record::{
    FLAG_KERNEL_STACK_FAILED, FLAG_KERNEL_THREAD, FLAG_USER_STACK_FAILED, SampleHeader,
};

/// Keeps a byte count below the room of one stack, in a way that the verifier can follow.
const STACK_MASK: usize = STACK_SLOTS * size_of::<u64>() - 1;

/// Takes a sample of the current task and sends it.
#[inline(always)]
pub fn take(context: &PerfEventContext) {
    if context.pid() == 0 {
        return; // the idle task
    }
    count(Counter::SamplesTaken);
    let Some(record) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: the record is this CPU's own, and nothing interrupts this program to use it too.
    let record = unsafe { &mut *record };
    write_header(context, &mut record.header);
    let bytes = read_stacks(context, record);
    send(record, size_of::<SampleHeader>() + bytes);
}

/// All of the header but what the stacks tell.
#[inline(always)]
fn write_header(context: &PerfEventContext, header: &mut SampleHeader) {
    let settings = settings();
    let task = Task::current();
    let leader =
        if context.pid() == context.tgid() { task } else { task.group_leader(settings.task_group_leader) };
    header.process_start = leader.start_boot_time(settings.task_start_boot_time);
    header.tgid = context.tgid();
    header.tid = context.pid();
    header.flags = if task.is_kernel_thread(settings.task_flags) { FLAG_KERNEL_THREAD } else { 0 };
    header.reserved = 0;
    // SAFETY: the helpers take no pointer but that of the array, with its length.
    unsafe {
        header.cpu = bpf_get_smp_processor_id();
        header.boot_time = bpf_ktime_get_boot_ns();
        header.cgroup_id = bpf_get_current_cgroup_id();
        bpf_get_current_comm(header.comm.as_mut_ptr().cast(), COMM_LENGTH as u32);
    }
}

/// Reads the kernel stack to the start of the frames, and the user stack behind it; returns the bytes of
/// both. To ask for a stack that is not there would clear a kilobyte for nothing.
#[inline(always)]
fn read_stacks(context: &PerfEventContext, record: &mut SampleRecord) -> usize {
    let frames = record.frames.as_mut_ptr().cast::<u8>();
    let header = &mut record.header;
    let has_user_stack = header.flags & FLAG_KERNEL_THREAD == 0;
    let mut read = |offset: usize, kind: u64, counter: Counter, failed: u32| {
        // SAFETY: behind a masked offset there is room for another whole stack.
        let bytes = unsafe {
            bpf_get_stack(context.as_ptr(), frames.add(offset).cast(), MAX_STACK_BYTES as u32, kind)
        };
        if bytes < 0 {
            count(counter);
            header.flags |= failed;
            return 0;
        }
        // Without black_box the compiler drops the mask, for it knows the bound; the verifier does not.
        black_box(bytes as usize) & STACK_MASK
    };
    let kernel_bytes = if is_user_mode(context) {
        0
    } else {
        read(0, 0, Counter::KernelStackFailed, FLAG_KERNEL_STACK_FAILED)
    };
    let user_bytes = if has_user_stack {
        let user = u64::from(BPF_F_USER_STACK);
        read(kernel_bytes, user, Counter::UserStackFailed, FLAG_USER_STACK_FAILED)
    } else {
        0
    };
    header.kernel_frames = (kernel_bytes / size_of::<u64>()) as u16;
    header.user_frames = (user_bytes / size_of::<u64>()) as u16;
    kernel_bytes + user_bytes
}

/// Sends the first `length` bytes of the record. The agent reads the ring in its own time.
#[inline(always)]
fn send(record: &SampleRecord, length: usize) {
    let wakeup = wakeup::for_sample(&record.header);
    // SAFETY: the masks of both stacks keep the length within the record.
    let bytes = unsafe { slice::from_raw_parts((&raw const *record).cast::<u8>(), length) };
    if SAMPLES.output::<[u8]>(bytes, wakeup).is_err() {
        count(Counter::SampleRingFull);
    }
}
