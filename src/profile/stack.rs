//! Whole stacks, interned.

use super::frame::Frame;
use std::collections::HashMap;
use std::sync::Arc;

/// A stack of one [`StackTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackId(u32);

/// The different stacks of one window. Stacks are compared frame by frame: a hash only finds candidates.
#[derive(Debug, Default)]
pub struct StackTable {
    stacks: Vec<Arc<[Frame]>>,
    ids: HashMap<Arc<[Frame]>, StackId>,
}

impl StackTable {
    /// The id of a stack, leaf first; the same frames get the same id. `None` once the table holds
    /// 2^32 stacks.
    pub fn intern(&mut self, frames: &[Frame]) -> Option<StackId> {
        if let Some(id) = self.ids.get(frames) {
            return Some(*id);
        }
        let id = StackId(u32::try_from(self.stacks.len()).ok()?);
        let frames: Arc<[Frame]> = frames.into();
        self.stacks.push(frames.clone());
        self.ids.insert(frames, id);
        Some(id)
    }

    /// The frames of a stack, leaf first; empty for an id of another table.
    pub fn frames(&self, id: StackId) -> &[Frame] {
        self.stacks.get(id.0 as usize).map_or(&[], |frames| frames)
    }

    /// Every stack, leaf first.
    pub fn iter(&self) -> impl Iterator<Item = &[Frame]> {
        self.stacks.iter().map(AsRef::as_ref)
    }

    /// How many different stacks there are.
    pub fn len(&self) -> usize {
        self.stacks.len()
    }

    /// Whether there is no stack.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::StackTable;
    use crate::address::KernelAddress;
    use crate::profile::frame::Frame;

    #[test]
    fn equal_stacks_share_an_id_and_prefixes_do_not() {
        let frame = |address| Frame::Kernel(KernelAddress(address));
        let mut table = StackTable::default();
        let first = table.intern(&[frame(1), frame(2)]).unwrap();
        assert_eq!(table.intern(&[frame(1), frame(2)]), Some(first));
        let prefix = table.intern(&[frame(1)]).unwrap();
        assert_ne!(prefix, first);
        assert_eq!(table.frames(prefix), [frame(1)]);
        assert_eq!(table.len(), 2);
    }
}
