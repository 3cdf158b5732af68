//! Slots: a bounded number of places for connections, in which the oldest that may go makes room.

use smol::channel::{Receiver, Sender, bounded};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Places for connections.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Oldest first.
    places: VecDeque<Place>,
}

#[derive(Debug)]
struct Place {
    id: u64,
    /// From when on it may be asked to leave; `None` while it must not.
    evictable: Option<Instant>,
    evict: Sender<()>,
}

/// One place, held until dropped.
#[derive(Debug)]
pub(super) struct Slot {
    shared: Arc<Shared>,
    id: u64,
    evicted: Receiver<()>,
}

impl Slots {
    /// At least one place.
    pub(super) fn new(capacity: usize) -> Self {
        Self(Arc::new(Shared { capacity: capacity.max(1), state: Mutex::default() }))
    }

    /// Takes a place that may be taken away from the given moment on. When there is none, the oldest
    /// holder that may be asked leaves its place to the newcomer; `None` when no holder may.
    pub(super) fn enter(&self, evictable: Option<Instant>) -> Option<Slot> {
        let (evict, evicted) = bounded(1);
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.places.len() >= self.0.capacity {
            let now = Instant::now();
            let oldest =
                state.places.iter().position(|place| place.evictable.is_some_and(|from| from <= now))?;
            if let Some(place) = state.places.remove(oldest) {
                // A full channel was told already.
                let _ = place.evict.try_send(());
            }
        }
        let id = state.next;
        state.next += 1;
        state.places.push_back(Place { id, evictable, evict });
        Some(Slot { shared: self.0.clone(), id, evicted })
    }

    /// Places taken.
    pub(super) fn taken(&self) -> usize {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).places.len()
    }
}

impl Slot {
    /// Returns once this place went to somebody else.
    pub(super) async fn evicted(&self) {
        // A closed channel means the same: the place is gone.
        let _ = self.evicted.recv().await;
    }

    /// Allows that this place be taken away, from the given moment on.
    pub(super) fn evictable_from(&self, moment: Instant) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = state.places.iter_mut().find(|place| place.id == self.id) {
            place.evictable = Some(moment);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.places.retain(|place| place.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use std::time::{Duration, Instant};

    fn is_evicted(slot: &super::Slot) -> bool {
        slot.evicted.is_closed()
    }

    #[test]
    fn the_oldest_that_may_go_makes_room() {
        let now = Instant::now();
        let slots = Slots::new(3);
        let firm = slots.enter(None).unwrap();
        let old = slots.enter(Some(now)).unwrap();
        let young = slots.enter(Some(now)).unwrap();
        let newcomer = slots.enter(Some(now)).unwrap();
        assert!(is_evicted(&old));
        assert!(!is_evicted(&firm) && !is_evicted(&young) && !is_evicted(&newcomer));
        assert_eq!(slots.taken(), 3);
    }

    #[test]
    fn a_newcomer_is_refused_while_nobody_may_go() {
        let slots = Slots::new(1);
        let holder = slots.enter(Some(Instant::now() + Duration::from_secs(60))).unwrap();
        assert!(slots.enter(None).is_none());
        holder.evictable_from(Instant::now());
        let next = slots.enter(None).unwrap();
        drop(holder);
        assert_eq!(slots.taken(), 1, "leaving a lost place frees nothing");
        drop(next);
        assert_eq!(slots.taken(), 0);
    }
}
