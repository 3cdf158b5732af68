//! One sample: who runs, the kernel stack, and the registers from which the user stack is unwound.

use crate::maps::{FRAME_SLOTS, NEXT_PROGRAM, SAMPLES, SCRATCH, SampleRecord, UNWINDER, count, settings};
use crate::pid_namespace::Ids;
use crate::registers::is_user_mode;
use crate::selection;
use crate::task::Task;
use crate::unwinder::{Unwinder, take_next, take_one_frame};
use crate::wakeup;
use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_stack, bpf_ktime_get_boot_ns, bpf_loop,
};
use aya_ebpf::programs::PerfEventContext;
use core::ffi::c_void;
use core::hint::black_box;
use core::{mem, ptr, slice};
use parca_agent_common::counter::Counter;
use parca_agent_common::limits::{COMM_LENGTH, FRAMES_PER_TAIL_CALL, MAX_STACK_BYTES, MAX_USER_FRAMES};
use parca_agent_common::record::{
    FLAG_KERNEL_STACK_FAILED, FLAG_KERNEL_THREAD, FLAG_PROCESS_UNKNOWN, SampleHeader,
};
use parca_agent_common::selection::KEEP_NONE;
use parca_agent_common::unwind::StackEnd;

/// The whole sample in one program, which loops over the frames (`bpf_loop`, 5.17).
#[inline(always)]
pub fn take_in_loop(context: &PerfEventContext) {
    let Some((unwinder, record)) = begin(context) else { return };
    if unwinder.end == StackEnd::DepthLimit as u32 {
        type Callback = extern "C" fn(u32, *mut c_void) -> i64;
        // SAFETY: the callback has the signature that the helper wants, and its context is not used. The
        // transmutation keeps the function's address a relocation, which the loader needs.
        unsafe {
            let callback = mem::transmute::<Callback, *mut c_void>(take_one_frame);
            bpf_loop(MAX_USER_FRAMES as u32, callback, ptr::null_mut(), 0);
        }
    }
    finish(unwinder, record);
}

/// The sample's first program where there is no `bpf_loop`: others follow it, each with some frames.
#[inline(always)]
pub fn take_in_steps(context: &PerfEventContext) {
    let Some((unwinder, record)) = begin(context) else { return };
    if unwinder.end == StackEnd::DepthLimit as u32 {
        next_program(context);
    }
    finish(unwinder, record);
}

/// A following program. Its tail calls are counted by the kernel; when there are no more to be had, the sample
/// goes out as it is.
#[inline(always)]
pub fn go_on_in_steps(context: &PerfEventContext) {
    let mut ended = false;
    for _ in 0..FRAMES_PER_TAIL_CALL {
        if !take_next() {
            ended = true;
            break;
        }
    }
    if !ended {
        next_program(context);
    }
    let Some(unwinder) = UNWINDER.get_ptr_mut(0) else { return };
    let Some(record) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: both are this CPU's own, and nothing interrupts this program to use them too.
    let (unwinder, record) = unsafe { (&mut *unwinder, &mut *record) };
    finish(unwinder, record);
}

/// Goes to the next program, and comes back only where that is not possible.
#[inline(always)]
fn next_program(context: &PerfEventContext) {
    // SAFETY: the index is within the map.
    let _ = unsafe { NEXT_PROGRAM.tail_call(context, 0) };
}

/// All of a sample but the user frames; nothing for the idle task and for one that `/proc` does not show. A stack that cannot be unwound has its
/// reason already.
#[inline(always)]
fn begin<'a>(context: &PerfEventContext) -> Option<(&'a mut Unwinder, &'a mut SampleRecord)> {
    if context.pid() == 0 {
        return None; // the idle task
    }
    count(Counter::SamplesTaken);
    let ids = Ids::current();
    if ids.are_outside() {
        count(Counter::OutsidePidNamespace);
        return None;
    }
    let record = SCRATCH.get_ptr_mut(0)?;
    let unwinder = UNWINDER.get_ptr_mut(0)?;
    // SAFETY: both are this CPU's own, and nothing interrupts this program to use them too.
    let (record, unwinder) = unsafe { (&mut *record, &mut *unwinder) };
    let task = Task::current();
    write_header(ids, task, &mut record.header);
    let weight = selection::weight(&record.header);
    if weight == KEEP_NONE {
        count(Counter::NotSelected);
        return None;
    }
    record.header.weight = weight as u16;
    read_kernel_stack(context, record);
    unwinder.begin(record.header.tgid, record.header.process_start);
    if record.header.flags & FLAG_KERNEL_THREAD != 0 {
        unwinder.end = StackEnd::NoUserStack as u32;
        return Some((unwinder, record));
    }
    let settings = settings();
    let entered = if task.user_registers(settings, &mut unwinder.entry) {
        unwinder.entry.innermost(&mut unwinder.registers, settings.pac_mask)
    } else {
        Err(StackEnd::NoRegisters)
    };
    if let Err(end) = entered {
        unwinder.end = end as u32;
    }
    Some((unwinder, record))
}

#[inline(always)]
fn write_header(ids: Ids, task: Task, header: &mut SampleHeader) {
    let settings = settings();
    let leader = if ids.tid == ids.tgid { task } else { task.group_leader(settings.task_group_leader) };
    header.process_start = leader.start_boot_time(settings.task_start_boot_time);
    header.tgid = ids.tgid;
    header.tid = ids.tid;
    header.flags = if task.is_kernel_thread(settings.task_flags) { FLAG_KERNEL_THREAD } else { 0 };
    // SAFETY: the helpers take no pointer but that of the array, with its length.
    unsafe {
        header.cpu = bpf_get_smp_processor_id();
        header.boot_time = bpf_ktime_get_boot_ns();
        header.cgroup_id = bpf_get_current_cgroup_id();
        bpf_get_current_comm(header.comm.as_mut_ptr().cast(), COMM_LENGTH as u32);
    }
}

/// Reads the kernel stack to the start of the frames. To ask for one that is not there would clear a
/// kilobyte for nothing.
#[inline(always)]
fn read_kernel_stack(context: &PerfEventContext, record: &mut SampleRecord) {
    record.header.kernel_frames = 0;
    if is_user_mode(context) {
        return;
    }
    let frames = record.frames.as_mut_ptr().cast();
    // SAFETY: there is room for a whole stack.
    let bytes = unsafe { bpf_get_stack(context.as_ptr(), frames, MAX_STACK_BYTES as u32, 0) };
    if bytes < 0 {
        count(Counter::KernelStackFailed);
        record.header.flags |= FLAG_KERNEL_STACK_FAILED;
        return;
    }
    record.header.kernel_frames = (bytes as usize / size_of::<u64>()) as u16;
}

/// Sends the sample. The agent reads the ring in its own time.
#[inline(always)]
fn finish(unwinder: &Unwinder, record: &mut SampleRecord) {
    if unwinder.wants_reading() && record.header.flags & FLAG_KERNEL_THREAD == 0 {
        record.header.flags |= FLAG_PROCESS_UNKNOWN;
    }
    record.header.user_frames = unwinder.frames as u16;
    record.header.user_end = unwinder.end as u16;
    let frames =
        black_box(u32::from(record.header.kernel_frames) + unwinder.frames) as usize & (FRAME_SLOTS - 1);
    let length = size_of::<SampleHeader>() + frames * size_of::<u64>();
    let wakeup = wakeup::for_sample(&record.header);
    // SAFETY: the mask keeps the length within the record.
    let bytes = unsafe { slice::from_raw_parts((&raw const *record).cast::<u8>(), length) };
    if SAMPLES.output::<[u8]>(bytes, wakeup).is_err() {
        count(Counter::SampleRingFull);
    }
}
