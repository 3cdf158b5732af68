//! The mappings of the current task as the kernel itself keeps them, for a process that the agent has not read yet.
//!
//! Nothing is locked. What is torn is found by the bounds of the mapping, or is a mapping that has just gone.

use crate::kernel_pointer::KernelPointer;
use crate::maple_tree::MapleWalk;
use crate::maps::{FILES, settings};
use crate::red_black_tree::RedBlackWalk;
use crate::task::Task;
use parca_agent_common::table::{FileKey, MEMORY_PAGE_SHIFT, MappingEntry, NO_OBJECT};

/// A search for a mapping.
#[repr(C)]
pub struct Walk {
    maple: MapleWalk,
    red_black: RedBlackWalk,
    file: FileKey,
}

/// Whether the kernel keeps mappings in a way that is known here.
#[inline(always)]
pub fn is_known() -> bool {
    let settings = settings();
    settings.memory_root != 0 || settings.memory_tree != 0
}

impl Walk {
    /// The mapping of the current task that holds an address.
    #[inline(always)]
    pub fn find(&mut self, task: Task, address: u64) -> Option<MappingEntry> {
        let settings = settings();
        if !is_known() {
            return None;
        }
        let memory = task.memory(settings.task_memory)?;
        // The settings are constants: the verifier leaves one of the two out.
        let mapping = if settings.memory_root != 0 {
            self.maple.find(memory.field(settings.memory_root), address)?
        } else {
            self.red_black.find(memory, address)?
        };
        let start = mapping.field::<u64>(settings.mapping_start);
        let end = mapping.field::<u64>(settings.mapping_end);
        if address < start || address >= end {
            return None;
        }
        let first_page = start >> MEMORY_PAGE_SHIFT;
        let page_count = (end >> MEMORY_PAGE_SHIFT).wrapping_sub(first_page);
        let slot = match mapping.pointer(settings.mapping_file) {
            Some(file) => self.slot(file),
            None => None,
        };
        let file_page = mapping.field::<u64>(settings.mapping_file_page) as u32;
        MappingEntry::new(first_page, page_count, slot.unwrap_or(NO_OBJECT), file_page)
    }

    /// The slot of a file, if its object has a table.
    #[inline(always)]
    fn slot(&mut self, file: KernelPointer) -> Option<u32> {
        let settings = settings();
        let inode = file.pointer(settings.file_inode)?;
        let super_block = inode.pointer(settings.inode_super_block)?;
        self.file.inode = inode.field(settings.inode_number);
        self.file.size = inode.field(settings.inode_size);
        self.file.device = u64::from(super_block.field::<u32>(settings.super_block_device));
        // SAFETY: a slot is a word, which is read whole.
        unsafe { FILES.get(&self.file) }.copied()
    }
}
