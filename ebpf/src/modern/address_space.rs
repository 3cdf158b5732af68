//! The mappings of the current task as the kernel itself keeps them, for a process that the agent has not read yet.
//!
//! They are in a maple tree (6.1): nodes of 256 bytes, each a list of pivots, the last addresses of ranges, and of
//! slots, a child or a mapping for each range. Readers hold no lock, as the kernel's own (`mtree_load`): other threads
//! of the process may change the tree meanwhile, but no node is freed before this program ends (RCU). What is torn is
//! found by the bounds of the mapping, or is a mapping that has just gone.

use crate::kernel_pointer::KernelPointer;
use crate::maps::{FILES, settings};
use crate::task::Task;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use core::hint::black_box;
use parca_agent_common::table::{FileKey, MEMORY_PAGE_SHIFT, MappingEntry, NO_OBJECT, PAGE_COUNT_BITS};

/// Words of a node (`struct maple_node`): its parent, pivots, slots.
const NODE_WORDS: usize = 32;
/// The low bits of a pointer to a node hold its type.
const NODE_MASK: u64 = 255;
const TYPE_SHIFT: u32 = 3;
const TYPE_MASK: u64 = 0xf;
/// `enum maple_type`. Leaves have the layout of `maple_range_64`.
const DENSE: u64 = 0;
const LEAF: u64 = 1;
const RANGE: u64 = 2;
const RANGE_WITH_GAPS: u64 = 3;
/// Pivots of `maple_range_64` and `maple_arange_64`. Slots follow, one more.
const RANGE_PIVOTS: u32 = 15;
const RANGE_WITH_GAPS_PIVOTS: u32 = 9;
/// Levels of a tree: each has ten times as many mappings as the one above, and there are at most 65 530.
const MAX_LEVELS: u32 = 6;

/// A walk through the tree. It is in a map: a node is too large for the stack, and what is read from a map is any
/// number to the verifier, which so looks at each level once.
#[repr(C)]
pub struct Walk {
    node: [u64; NODE_WORDS],
    file: FileKey,
    next: u64,
    pivots: u32,
    offset: u32,
}

impl Walk {
    /// The mapping of the current task that holds an address, if the kernel keeps mappings as this knows.
    #[inline(always)]
    pub fn find(&mut self, task: Task, address: u64) -> Option<MappingEntry> {
        let settings = settings();
        if settings.memory_root == 0 {
            return None;
        }
        let memory = task.memory(settings.task_memory)?;
        let mapping = KernelPointer::new(self.leaf(memory.field(settings.memory_root), address)?);
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

    /// What the tree has at an address.
    #[inline(always)]
    fn leaf(&mut self, root: u64, address: u64) -> Option<u64> {
        volatile(&mut self.next, root);
        for _ in 0..MAX_LEVELS {
            let entry = volatile_read(&self.next);
            let node = entry & !NODE_MASK;
            if node == 0 {
                return None;
            }
            let kind = (entry >> TYPE_SHIFT) & TYPE_MASK;
            if kind == DENSE || kind > RANGE_WITH_GAPS {
                return None;
            }
            let pivots = if kind == RANGE_WITH_GAPS { RANGE_WITH_GAPS_PIVOTS } else { RANGE_PIVOTS };
            volatile(&mut self.pivots, pivots);
            let bytes = (NODE_WORDS * size_of::<u64>()) as u32;
            // SAFETY: the length is the node's; the helper checks the address and fails instead of faulting.
            if unsafe { bpf_probe_read_kernel(self.node.as_mut_ptr().cast(), bytes, node as *const _) } != 0 {
                return None;
            }
            volatile(&mut self.offset, volatile_read(&self.pivots));
            for offset in 0..RANGE_PIVOTS {
                if offset >= volatile_read(&self.pivots) {
                    break;
                }
                if self.word(1 + offset) >= address {
                    volatile(&mut self.offset, offset);
                    break;
                }
            }
            let slot = self.word(1 + volatile_read(&self.pivots) + volatile_read(&self.offset));
            if kind == LEAF {
                return (slot != 0).then_some(slot);
            }
            volatile(&mut self.next, slot);
        }
        None
    }

    #[inline(always)]
    fn word(&self, index: u32) -> u64 {
        let index = black_box(index as usize) & (NODE_WORDS - 1);
        // SAFETY: the mask keeps the index within the node.
        unsafe { *self.node.get_unchecked(index) }
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

/// Writes a field in a way that the compiler keeps.
#[inline(always)]
fn volatile<T>(field: &mut T, value: T) {
    // SAFETY: the pointer comes from a reference.
    unsafe { (&raw mut *field).write_volatile(value) }
}

/// Reads a field as any number.
#[inline(always)]
fn volatile_read<T: Copy>(field: &T) -> T {
    // SAFETY: the pointer comes from a reference.
    unsafe { (&raw const *field).read_volatile() }
}

const _: () = assert!(LEAF < RANGE && PAGE_COUNT_BITS == 28);
