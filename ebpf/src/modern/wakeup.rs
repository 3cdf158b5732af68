//! When the agent is woken. A wake-up costs more than a sample, so most samples wait for its next look.

use crate::maps::{PROCESS_EVENTS, PROCESSES_MET, SAMPLES, WAKEUPS_SPENT, settings};
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use parca_agent_common::limits::{
    MET_PROCESSES, PROCESS_EVENT_RING_BYTES, WAKEUP_BURST, WAKEUP_INTERVAL_NANOS,
};
use parca_agent_common::record::{FLAG_KERNEL_THREAD, SampleHeader};

/// The flag with which a sample goes into its ring: it wakes the agent if a quarter of the ring is full,
/// or if it is of a process that the agent should read before it may be gone.
#[inline(always)]
pub fn for_sample(header: &SampleHeader) -> u64 {
    let is_filling = SAMPLES.query(u64::from(BPF_RB_AVAIL_DATA)) > u64::from(settings().wakeup_bytes);
    flag(is_filling || is_news(header))
}

/// The flag for an event: the agent reads events before samples each time, so only a ring that fills is
/// a reason to wake it.
#[inline(always)]
pub fn for_event() -> u64 {
    flag(PROCESS_EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) > u64::from(PROCESS_EVENT_RING_BYTES / 4))
}

/// What was read of a process is of no use: its next sample is news.
#[inline(always)]
pub fn forget(tgid: u32) {
    if let Some(met) = PROCESSES_MET.get_ptr_mut(tgid % MET_PROCESSES) {
        // SAFETY: the pointer is not null. CPUs that write to one slot at a time cost a wake-up at worst.
        unsafe { *met = 0 }
    }
}

#[inline(always)]
fn flag(urgent: bool) -> u64 {
    u64::from(if urgent { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}

/// Whether the process was not met lately. Each CPU wakes the agent for a few of them at once, and then only now
/// and then: a process that comes too soon is still news at its next sample.
#[inline(always)]
fn is_news(header: &SampleHeader) -> bool {
    if header.flags & FLAG_KERNEL_THREAD != 0 {
        return false;
    }
    let Some(met) = PROCESSES_MET.get_ptr_mut(header.tgid % MET_PROCESSES) else { return false };
    // SAFETY: the pointer is not null. CPUs that write to one slot at a time cost a wake-up at worst.
    let met = unsafe { &mut *met };
    if *met == header.process_start {
        return false;
    }
    let Some(spent) = WAKEUPS_SPENT.get_ptr_mut(0) else { return false };
    // SAFETY: the slot belongs to this CPU, and nothing interrupts this program to use it too.
    let spent = unsafe { &mut *spent };
    let since = if *spent > header.boot_time { *spent } else { header.boot_time };
    if since - header.boot_time > (WAKEUP_BURST - 1) * WAKEUP_INTERVAL_NANOS {
        return false;
    }
    *met = header.process_start;
    *spent = since + WAKEUP_INTERVAL_NANOS;
    true
}
