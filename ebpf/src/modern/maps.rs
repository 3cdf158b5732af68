//! Every map of this object, and why it has its size.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray, RingBuf};
use parca_agent_common::counter::Counter;
use parca_agent_common::limits::{
    MAX_STACK_FRAMES, MET_PROCESSES, PROCESS_EVENT_RING_BYTES, SAMPLE_RING_BYTES_MIN,
};
use parca_agent_common::record::SampleHeader;
use parca_agent_common::settings::Settings;

/// Samples on their way to the agent (5.8). The agent sizes it when it loads the object.
#[map]
pub static SAMPLES: RingBuf = RingBuf::with_byte_size(SAMPLE_RING_BYTES_MIN, 0);

/// Changes in the life of processes, apart from the samples so that neither can crowd out the other.
#[map]
pub static PROCESS_EVENTS: RingBuf = RingBuf::with_byte_size(PROCESS_EVENT_RING_BYTES, 0);

/// One slot for each [`Counter`].
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::COUNT, 0);

/// Starts of the processes that the agent was woken for, each at its process id, modulo the size.
#[map]
pub static PROCESSES_MET: Array<u64> = Array::with_max_entries(MET_PROCESSES, 0);

/// When this CPU last woke the agent for a process: `CLOCK_BOOTTIME`, nanoseconds.
#[map]
pub static LAST_WAKEUP: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Where a sample is put together; it is too large for the 512 bytes of a BPF stack. One a CPU is
/// enough, for a timer interrupt does not interrupt itself.
#[map]
pub static SCRATCH: PerCpuArray<SampleRecord> = PerCpuArray::with_max_entries(1, 0);

/// Room for one stack and for what a masked index can reach beyond [`MAX_STACK_FRAMES`].
pub const STACK_SLOTS: usize = (MAX_STACK_FRAMES + 1).next_power_of_two();

/// A sample as it leaves the kernel, at its largest.
#[repr(C)]
pub struct SampleRecord {
    pub header: SampleHeader,
    pub frames: [u64; 2 * STACK_SLOTS],
}

/// Set by the agent before the object is loaded, constant to the verifier (read-only data, 5.2).
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    task_group_leader: 0,
    task_start_boot_time: 0,
    task_flags: 0,
    task_tgid: 0,
    task_pid: 0,
    task_comm: 0,
    reserved: 0,
    wakeup_bytes: 0,
};

/// The settings that the agent gave.
#[inline(always)]
pub fn settings() -> Settings {
    // SAFETY: the pointer comes from a reference; the read is volatile because the loader replaces the
    // bytes after compilation.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS) }
}

/// Adds one to a counter of this CPU.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the slot belongs to this CPU, and the verifier knows that it is not null.
        unsafe { *slot += 1 }
    }
}
