//! Bounds of everything the kernel side stores or sends.

/// Frames of one stack that `bpf_get_stack` returns at most: the default of the sysctl
/// `kernel.perf_event_max_stack`. A stack of exactly this many frames may have lost its outermost ones.
pub const MAX_STACK_FRAMES: usize = 127;

/// Bytes of one stack of [`MAX_STACK_FRAMES`] 64-bit addresses.
pub const MAX_STACK_BYTES: usize = MAX_STACK_FRAMES * size_of::<u64>();

/// Length of a task's command name, terminating NUL included: `TASK_COMM_LEN` of the kernel.
pub const COMM_LENGTH: usize = 16;

/// Process events (exec, exit, fork) that may wait for the agent. At 64 bytes and a ring header of 8
/// each, 256 KiB hold 3640 of them: half a second of a fork storm of 7000 a second.
pub const PROCESS_EVENT_RING_BYTES: u32 = 256 * 1024;

/// Smallest and largest ring for samples; between them it is sized by CPUs and frequency.
pub const SAMPLE_RING_BYTES_MIN: u32 = 512 * 1024;
/// See [`SAMPLE_RING_BYTES_MIN`].
pub const SAMPLE_RING_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Processes whose first sample wakes the agent once. Two whose ids are this far apart share a place, and
/// can wake it again and again, at the pace of [`WAKEUP_INTERVAL_NANOS`].
pub const MET_PROCESSES: u32 = 4096;

/// Least time between two wake-ups that one CPU causes because of a new process, nanoseconds.
pub const WAKEUP_INTERVAL_NANOS: u64 = 200_000_000;

/// Smallest number of entries of the count and stack maps of `baseline`, a power of two.
pub const BASELINE_ENTRIES_MIN: u32 = 2048;
