//! The tree in which kernels before 6.1 keep the mappings of a process: each mapping is a node, with those of lower
//! addresses on its left.
//!
//! Other threads of the process may change the tree meanwhile, and nothing keeps a mapping that they take away from
//! becoming another: one of another process is told by its owner.

use crate::kernel_pointer::KernelPointer;
use crate::maps::settings;
use crate::opaque::{read, write};

/// Levels of a tree: at most twice the logarithm of the number of mappings, of which there are at most 65 530.
const MAX_LEVELS: u32 = 34;

/// A walk through a tree.
#[repr(C)]
pub struct RedBlackWalk {
    next: u64,
}

impl RedBlackWalk {
    /// The mapping (`vm_area_struct`) of an address space that holds an address.
    #[inline(always)]
    pub fn find(&mut self, memory: KernelPointer, address: u64) -> Option<KernelPointer> {
        let settings = settings();
        write(&mut self.next, memory.field(settings.memory_tree));
        for _ in 0..MAX_LEVELS {
            let node = read(&self.next);
            if node == 0 {
                return None;
            }
            let mapping = KernelPointer::new(node.wrapping_sub(u64::from(settings.mapping_node)));
            let is_behind = address >= mapping.field::<u64>(settings.mapping_end);
            if !is_behind && address >= mapping.field::<u64>(settings.mapping_start) {
                return (mapping.field::<u64>(settings.mapping_memory) == memory.address())
                    .then_some(mapping);
            }
            let child = if is_behind { settings.node_right } else { settings.node_left };
            write(&mut self.next, KernelPointer::new(node).field(child));
        }
        None
    }
}
