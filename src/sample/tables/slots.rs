//! Object files as the kernel side numbers them.

use crate::object::ObjectId;
use parca_agent_common::limits::MAX_OBJECT_SLOTS;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// The number by which the kernel side knows an object file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// Which slot holds which object. Read for each frame of each sample, changed when a process is met.
#[derive(Debug, Default)]
pub(super) struct Slots {
    objects: RwLock<Vec<Option<ObjectId>>>,
}

impl Slots {
    /// The objects of slots.
    pub(super) fn resolve<T>(&self, read: impl FnOnce(&dyn Fn(Slot) -> Option<ObjectId>) -> T) -> T {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        read(&|slot| objects.get(slot.0 as usize).copied().flatten())
    }

    fn set(&self, slot: Slot, object: Option<ObjectId>) {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let index = slot.0 as usize;
        if objects.len() <= index {
            objects.resize(index + 1, None);
        }
        if let Some(place) = objects.get_mut(index) {
            *place = object;
        }
    }
}

/// Gives out slots.
#[derive(Debug, Default)]
pub(super) struct SlotTable {
    by_object: HashMap<ObjectId, Slot>,
    free: Vec<Slot>,
    made: u32,
}

impl SlotTable {
    /// The slot of an object, given to it now if it has none; `None` if all are taken.
    pub(super) fn meet(&mut self, object: ObjectId, slots: &Slots) -> Option<Slot> {
        if let Some(slot) = self.by_object.get(&object) {
            return Some(*slot);
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.made < MAX_OBJECT_SLOTS => {
                self.made += 1;
                Slot(self.made - 1)
            }
            None => return None,
        };
        self.by_object.insert(object, slot);
        slots.set(slot, Some(object));
        Some(slot)
    }

    /// Takes an object's slot away. Frames that name it may still be on their way: [`Self::give`] follows when
    /// they have arrived.
    pub(super) fn leave(&mut self, object: ObjectId) -> Option<Slot> {
        self.by_object.remove(&object)
    }

    /// Lets another object have a slot.
    pub(super) fn give(&mut self, slot: Slot, slots: &Slots) {
        slots.set(slot, None);
        self.free.push(slot);
    }

    /// Few slots are left.
    pub(super) fn is_crowded(&self) -> bool {
        self.by_object.len() > MAX_OBJECT_SLOTS as usize / 8 * 7
    }

    /// Objects that have a slot.
    pub(super) fn len(&self) -> usize {
        self.by_object.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Slot, SlotTable, Slots};
    use crate::object::ObjectId;

    #[test]
    fn a_slot_names_its_object_until_it_is_given_to_another() {
        let (slots, mut table) = (Slots::default(), SlotTable::default());
        let object = |slot| slots.resolve(|resolve| resolve(slot));
        assert_eq!(table.meet(ObjectId(7), &slots), Some(Slot(0)));
        assert_eq!(table.meet(ObjectId(8), &slots), Some(Slot(1)));
        assert_eq!(table.meet(ObjectId(7), &slots), Some(Slot(0)));
        assert_eq!((object(Slot(0)), object(Slot(9))), (Some(ObjectId(7)), None));
        let left = table.leave(ObjectId(7)).unwrap();
        assert_eq!(object(left), Some(ObjectId(7)), "frames may be on their way");
        table.give(left, &slots);
        assert_eq!(object(left), None);
        assert_eq!(table.meet(ObjectId(9), &slots), Some(left));
    }
}
