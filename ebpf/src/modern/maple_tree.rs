//! The tree in which kernels from 6.1 on keep the mappings of a process: nodes of 256 bytes, each a list of pivots, the
//! last addresses of ranges, and of slots, a child or a mapping for each range.
//!
//! Readers hold no lock, as the kernel's own (`mtree_load`): other threads of the process may change the tree
//! meanwhile, but no node is freed before this program ends (RCU).

use crate::kernel_pointer::KernelPointer;
use crate::opaque::{read, write};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use core::hint::black_box;

/// Words of a node (`struct maple_node`): its parent, pivots, slots.
const NODE_WORDS: usize = 32;
/// The low bits of a pointer to a node hold its type.
const NODE_MASK: u64 = 255;
const TYPE_SHIFT: u32 = 3;
const TYPE_MASK: u64 = 0xf;
/// `enum maple_type`. Leaves have the layout of `maple_range_64`.
const DENSE: u64 = 0;
const LEAF: u64 = 1;
const RANGE_WITH_GAPS: u64 = 3;
/// Pivots of `maple_range_64` and `maple_arange_64`. Slots follow, one more.
const RANGE_PIVOTS: u32 = 15;
const RANGE_WITH_GAPS_PIVOTS: u32 = 9;
/// Levels of a tree: each has ten times as many mappings as the one above, and there are at most 65 530.
const MAX_LEVELS: u32 = 6;

/// A walk through a tree. It is in a map, for a node is too large for the stack.
#[repr(C)]
pub struct MapleWalk {
    node: [u64; NODE_WORDS],
    next: u64,
    pivots: u32,
    offset: u32,
}

impl MapleWalk {
    /// What the tree with this root (`maple_tree.ma_root`) has at an address.
    #[inline(always)]
    pub fn find(&mut self, root: u64, address: u64) -> Option<KernelPointer> {
        write(&mut self.next, root);
        for _ in 0..MAX_LEVELS {
            let entry = read(&self.next);
            let node = entry & !NODE_MASK;
            if node == 0 {
                return None;
            }
            let kind = (entry >> TYPE_SHIFT) & TYPE_MASK;
            if kind == DENSE || kind > RANGE_WITH_GAPS {
                return None;
            }
            let pivots = if kind == RANGE_WITH_GAPS { RANGE_WITH_GAPS_PIVOTS } else { RANGE_PIVOTS };
            write(&mut self.pivots, pivots);
            let bytes = (NODE_WORDS * size_of::<u64>()) as u32;
            // SAFETY: the length is the node's; the helper checks the address and fails instead of faulting.
            if unsafe { bpf_probe_read_kernel(self.node.as_mut_ptr().cast(), bytes, node as *const _) } != 0 {
                return None;
            }
            write(&mut self.offset, read(&self.pivots));
            for offset in 0..RANGE_PIVOTS {
                if offset >= read(&self.pivots) {
                    break;
                }
                if self.word(1 + offset) >= address {
                    write(&mut self.offset, offset);
                    break;
                }
            }
            let slot = self.word(1 + read(&self.pivots) + read(&self.offset));
            if kind == LEAF {
                return (slot != 0).then_some(KernelPointer::new(slot));
            }
            write(&mut self.next, slot);
        }
        None
    }

    #[inline(always)]
    fn word(&self, index: u32) -> u64 {
        let index = black_box(index as usize) & (NODE_WORDS - 1);
        // SAFETY: the mask keeps the index within the node.
        unsafe { *self.node.get_unchecked(index) }
    }
}
