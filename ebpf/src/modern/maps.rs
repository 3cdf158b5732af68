//! Every map of this object, and why it has its size.
//!
//! The agent writes the tables through its own address space (`BPF_F_MMAPABLE`, 5.5), without a system call
//! for each entry.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::btf_maps::{Array as BtfArray, ArrayOfMaps};
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, ProgramArray, RingBuf};
use parca_agent_common::counter::Counter;
use parca_agent_common::limits::{
    BLOCKS_PER_SLAB, DECIDED_CGROUPS, DECIDED_PROCESSES, MAPPING_BLOCKS, MAX_CODE_PAGES, MAX_OBJECT_SLOTS,
    MAX_PROCESSES, MAX_RULES, MAX_SLABS, MAX_STACK_FRAMES, MAX_USER_FRAMES, MET_PROCESSES,
    PROCESS_EVENT_RING_BYTES, REPLACEMENT_COUNTS, SAMPLE_RING_BYTES_MIN,
};
use parca_agent_common::pid_namespace::PidNamespace;
use parca_agent_common::record::SampleHeader;
use parca_agent_common::selection::{Divisor, ProcessDecision};
use parca_agent_common::settings::Settings;
use parca_agent_common::table::{
    FileKey, MAPPINGS_PER_BLOCK, MappingEntry, ObjectEntry, PageEntry, ProcessEntry, ROWS_PER_BLOCK,
};
use parca_agent_common::unwind::rule::{Row, Rule};

use crate::lookup::Search;
use crate::unwinder::Unwinder;

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

/// Until when the wake-ups for processes of this CPU are spent, if each takes an interval: `CLOCK_BOOTTIME`,
/// nanoseconds.
#[map]
pub static WAKEUPS_SPENT: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Where a sample is put together; it is too large for the 512 bytes of a BPF stack. One a CPU is
/// enough, for a timer interrupt does not interrupt itself.
#[map]
pub static SCRATCH: PerCpuArray<SampleRecord> = PerCpuArray::with_max_entries(1, 0);

/// Where a stack is unwound, one a CPU for the same reason.
#[map]
pub static UNWINDER: PerCpuArray<Unwinder> = PerCpuArray::with_max_entries(1, 0);

/// Processes whose mappings are known, by process id. Preallocated: programs insert at fork, in any context.
#[map]
pub static PROCESSES: HashMap<u32, ProcessEntry> = HashMap::with_max_entries(MAX_PROCESSES, 0);

/// How many mappings of a process were replaced by others since this program was loaded, at its process id modulo
/// the size.
#[map]
pub static REPLACEMENTS: Array<u64> = Array::with_max_entries(REPLACEMENT_COUNTS, BPF_F_MMAPABLE);

/// Where the mapping that is replaced is looked for, one a CPU.
#[map]
pub static REPLACEMENT_SEARCH: PerCpuArray<Search> = PerCpuArray::with_max_entries(1, 0);

/// What the agent decided of processes, by process id. Preallocated like [`PROCESSES`].
#[map]
pub static PROCESS_DECISIONS: HashMap<u32, ProcessDecision> = HashMap::with_max_entries(DECIDED_PROCESSES, 0);

/// What it decided of whole cgroups, by cgroup v2 id.
#[map]
pub static CGROUP_DECISIONS: HashMap<u64, Divisor> = HashMap::with_max_entries(DECIDED_CGROUPS, 0);

/// One number: not 0 if there is anything in the two.
#[map]
pub static IS_SELECTING: Array<u32> = Array::with_max_entries(1, 0);

/// Executable mappings, a run for each address space. 64 KiB a value.
#[map]
pub static MAPPINGS: Array<[MappingEntry; MAPPINGS_PER_BLOCK]> =
    Array::with_max_entries(MAPPING_BLOCKS, BPF_F_MMAPABLE);

/// Object files by slot, 16 bytes each.
#[map]
pub static OBJECTS: Array<ObjectEntry> = Array::with_max_entries(MAX_OBJECT_SLOTS, BPF_F_MMAPABLE);

/// Slots of object files that have a table, by file.
#[map]
pub static FILES: HashMap<FileKey, u32> = HashMap::with_max_entries(MAX_OBJECT_SLOTS, 0);

/// Pages of code of all object files, a run for each, 8 bytes a page.
#[map]
pub static CODE_PAGES: Array<PageEntry> = Array::with_max_entries(MAX_CODE_PAGES, BPF_F_MMAPABLE);

/// Rules, 8 bytes each.
#[map]
pub static RULES: Array<Rule> = Array::with_max_entries(MAX_RULES, BPF_F_MMAPABLE);

/// Rows, a run for each page of code. The agent adds inner maps as they are needed.
#[btf_map]
pub static ROWS: ArrayOfMaps<Slab, { MAX_SLABS as usize }> = ArrayOfMaps::new();

/// One inner map of [`ROWS`]. 64 KiB a value.
pub type Slab = BtfArray<[Row; ROWS_PER_BLOCK], { BLOCKS_PER_SLAB as usize }, { BPF_F_MMAPABLE as usize }>;

/// One number, another whenever a table comes or goes: what was found in the tables before holds no more.
#[map]
pub static TABLES_GENERATION: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One element: the program that walks on where there is no `bpf_loop`.
#[map]
pub static NEXT_PROGRAM: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Room for both stacks, a power of two so that an index can be masked.
pub const FRAME_SLOTS: usize = (MAX_STACK_FRAMES + MAX_USER_FRAMES).next_power_of_two();

/// A sample as it leaves the kernel, and more room than it may fill.
#[repr(C)]
pub struct SampleRecord {
    pub header: SampleHeader,
    pub frames: [u64; FRAME_SLOTS],
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
    task_stack: 0,
    wakeup_bytes: 0,
    user_registers: 0,
    task_memory: 0,
    memory_root: 0,
    memory_tree: 0,
    mapping_node: 0,
    mapping_memory: 0,
    node_left: 0,
    node_right: 0,
    mapping_start: 0,
    mapping_end: 0,
    mapping_file_page: 0,
    mapping_file: 0,
    file_inode: 0,
    inode_number: 0,
    inode_size: 0,
    inode_super_block: 0,
    super_block_device: 0,
    unmapped_area_length: 0,
    period_nanos: 0,
    reserved: 0,
    pac_mask: 0,
};

/// The settings that the agent gave.
#[inline(always)]
pub fn settings() -> Settings {
    // SAFETY: the pointer comes from a reference; the read is volatile because the loader replaces the
    // bytes after compilation.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS) }
}

/// Set by the agent where it is not in the initial pid namespace, and constant as well.
#[unsafe(no_mangle)]
static PID_NAMESPACE: PidNamespace = PidNamespace {
    inode: 0,
    task_thread_pid: 0,
    pid_level: 0,
    pid_numbers: 0,
    number_bytes: 0,
    number_id: 0,
    number_namespace: 0,
    namespace_inode: 0,
};

/// The pid namespace whose ids are told; `None` for the initial one. The verifier removes what follows from the
/// other case.
#[inline(always)]
pub fn pid_namespace() -> Option<PidNamespace> {
    // SAFETY: as in `settings`.
    let inode = unsafe { core::ptr::read_volatile(&raw const PID_NAMESPACE.inode) };
    if inode == 0 {
        return None;
    }
    // SAFETY: as in `settings`.
    Some(unsafe { core::ptr::read_volatile(&raw const PID_NAMESPACE) })
}

/// Adds one to a counter of this CPU.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the slot belongs to this CPU, and the verifier knows that it is not null.
        unsafe { *slot += 1 }
    }
}
