//! What the agent tells the BPF programs before they run.

/// Byte offsets inside the running kernel's structures, read from its BTF, and switches.
///
/// `modern` gets it as a read-only global, `baseline` through an array map. An offset of 0 means
/// unknown: no field that we read stands first in its structure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// `task_struct.group_leader`, a pointer.
    pub task_group_leader: u32,
    /// `task_struct.start_boottime` (5.5) or `real_start_time`, nanoseconds since boot.
    pub task_start_boot_time: u32,
    /// `task_struct.flags`, for `PF_KTHREAD`.
    pub task_flags: u32,
    /// `task_struct.tgid`.
    pub task_tgid: u32,
    /// `task_struct.pid`.
    pub task_pid: u32,
    /// `task_struct.comm`.
    pub task_comm: u32,
    /// `task_struct.stack`, a pointer to the kernel stack's lowest byte.
    pub task_stack: u32,
    /// A fill level of the sample ring, in bytes, at which the agent is woken at once.
    pub wakeup_bytes: u32,
    /// From `task_struct.stack` to the registers with which the task entered the kernel (`pt_regs`), where the
    /// kernel has no helper that finds them; 0 where it has `bpf_task_pt_regs` (5.15).
    pub user_registers: u32,
    /// `task_struct.mm`, a pointer to the address space.
    pub task_memory: u32,
    /// `mm_struct.mm_mt.ma_root`, the root of the tree of its mappings (6.1); else 0.
    pub memory_root: u32,
    /// `mm_struct.mm_rb.rb_node`, the same before 6.1; else 0.
    pub memory_tree: u32,
    /// `vm_area_struct.vm_rb`, a mapping's node in that tree.
    pub mapping_node: u32,
    /// `vm_area_struct.vm_mm`, a pointer to the address space.
    pub mapping_memory: u32,
    /// `rb_node.rb_left`, a pointer.
    pub node_left: u32,
    /// `rb_node.rb_right`, a pointer.
    pub node_right: u32,
    /// `vm_area_struct.vm_start`, the first field of its structure.
    pub mapping_start: u32,
    /// `vm_area_struct.vm_end`.
    pub mapping_end: u32,
    /// `vm_area_struct.vm_pgoff`.
    pub mapping_file_page: u32,
    /// `vm_area_struct.vm_file`, a pointer.
    pub mapping_file: u32,
    /// `file.f_inode`, a pointer.
    pub file_inode: u32,
    /// `inode.i_ino`.
    pub inode_number: u32,
    /// `inode.i_size`.
    pub inode_size: u32,
    /// `inode.i_sb`, a pointer.
    pub inode_super_block: u32,
    /// `super_block.s_dev`.
    pub super_block_device: u32,
    /// `vm_unmapped_area_info.length`; 0 where the kernel does not tell of it.
    pub unmapped_area_length: u32,
    /// Time between two samples of one CPU, nanoseconds.
    pub period_nanos: u32,
    /// Zero.
    pub reserved: u32,
    /// aarch64: bits of a user address that pointer authentication may have changed.
    pub pac_mask: u64,
}

const _: () = assert!(size_of::<Settings>() == 120);

#[cfg(feature = "user")]
impl Settings {
    /// Its size in [`Settings::to_words`].
    pub const WORDS: usize = size_of::<Self>() / size_of::<u32>();

    /// The same bytes as plain words, in which form a loader takes them.
    pub fn to_words(self) -> [u32; Self::WORDS] {
        [
            self.task_group_leader,
            self.task_start_boot_time,
            self.task_flags,
            self.task_tgid,
            self.task_pid,
            self.task_comm,
            self.task_stack,
            self.wakeup_bytes,
            self.user_registers,
            self.task_memory,
            self.memory_root,
            self.memory_tree,
            self.mapping_node,
            self.mapping_memory,
            self.node_left,
            self.node_right,
            self.mapping_start,
            self.mapping_end,
            self.mapping_file_page,
            self.mapping_file,
            self.file_inode,
            self.inode_number,
            self.inode_size,
            self.inode_super_block,
            self.super_block_device,
            self.unmapped_area_length,
            self.period_nanos,
            self.reserved,
            self.pac_mask as u32,
            (self.pac_mask >> 32) as u32,
        ]
    }
}
