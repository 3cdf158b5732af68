//! Bounds of everything the kernel side stores or sends.

/// Frames of one kernel stack, or of a user stack in `baseline`, that `bpf_get_stack` returns at most: the default of the sysctl
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

/// Counts of replaced mappings, each of the processes whose ids are this far apart: what one of them does
/// makes the agent read the others again too.
pub const REPLACEMENT_COUNTS: u32 = 4096;

/// Time in which one CPU may wake the agent once because of a new process, nanoseconds.
pub const WAKEUP_INTERVAL_NANOS: u64 = 200_000_000;

/// Intervals that it may use ahead: so many processes that come at once are read at once.
pub const WAKEUP_BURST: u64 = 5;

/// Smallest number of entries of the count and stack maps of `baseline`, a power of two.
pub const BASELINE_ENTRIES_MIN: u32 = 2048;

/// User frames of one sample where the kernel has `bpf_loop` (5.17).
pub const MAX_USER_FRAMES: usize = 1024;

/// User frames that one program walks before it calls the next, and programs that may follow one another,
/// where the kernel has no `bpf_loop`: it lets 33 tail calls follow one another (32 before 6.1).
pub const FRAMES_PER_TAIL_CALL: u32 = 8;
/// See [`FRAMES_PER_TAIL_CALL`].
pub const MAX_TAIL_CALLS: u32 = 32;

/// Processes whose mappings the kernel side knows.
pub const MAX_PROCESSES: u32 = 16 * 1024;

/// Processes of which the agent can decide that few or none of their samples are wanted. At 88 bytes each, 704 KiB.
pub const DECIDED_PROCESSES: u32 = 8 * 1024;
/// Cgroups of which it can decide so. At 72 bytes each, 288 KiB.
pub const DECIDED_CGROUPS: u32 = 4 * 1024;

/// Blocks of mappings: 2 MiB, for 131 072 mappings.
pub const MAPPING_BLOCKS: u32 = 32;

/// Object files that the kernel side can name.
pub const MAX_OBJECT_SLOTS: u32 = 16 * 1024;

/// Pages of code of all object files together: 8 GiB of code.
pub const MAX_CODE_PAGES: u32 = 128 * 1024;

/// Rules: as many as a row can name.
pub const MAX_RULES: u32 = 64 * 1024;

/// Blocks of rows in one inner map, which is what is allocated at a time: 1 MiB.
pub const BLOCKS_PER_SLAB: u32 = 16;

/// Inner maps at most: 256 MiB of rows.
pub const MAX_SLABS: u32 = 256;
