//! Work that waits for a thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who goes first. Urgent items go in the order in which they came; of the others, who takes one says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Before all others.
    High,
    /// When nothing more urgent waits.
    Low,
}

/// Two bounded queues between threads, one for each urgency, which can be closed.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Of each of the two.
    capacity: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    urgent: VecDeque<T>,
    others: VecDeque<T>,
    closed: bool,
}

impl<T> State<T> {
    fn len(&self) -> usize {
        self.urgent.len() + self.others.len()
    }
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = Mutex::new(State { urgent: VecDeque::new(), others: VecDeque::new(), closed: false });
        Self { capacity, state, changed: Condvar::new() }
    }

    /// Adds an item and returns how many wait now, or gives the item back when the queue is full or closed.
    pub(super) fn push(&self, item: T, urgency: Urgency) -> Result<usize, T> {
        let mut state = self.lock();
        let closed = state.closed;
        let waiting = match urgency {
            Urgency::High => &mut state.urgent,
            Urgency::Low => &mut state.others,
        };
        if closed || waiting.len() >= self.capacity {
            return Err(item);
        }
        waiting.push_back(item);
        let length = state.len();
        drop(state);
        self.changed.notify_one();
        Ok(length)
    }

    /// Waits for an item, an urgent one if there is any, else the one with the greatest weight, of equals the first.
    /// Tells how many are left. Nothing once the queue is closed.
    pub(super) fn pop_heaviest(&self, weight: impl Fn(&T) -> u64) -> Option<(T, usize)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(item) = state.urgent.pop_front().or_else(|| take_heaviest(&mut state.others, &weight))
            {
                return Some((item, state.len()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same where all weigh the same.
    pub(super) fn pop(&self) -> Option<(T, usize)> {
        self.pop_heaviest(|_| 0)
    }

    /// Waits some time, or until the queue is closed; true if it is.
    pub(super) fn wait_closed(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = self.lock();
        while !state.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().len() == 0
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Lets nothing more in or out, and returns what waited.
    pub(super) fn close(&self) -> VecDeque<T> {
        let mut state = self.lock();
        state.closed = true;
        let mut left = std::mem::take(&mut state.urgent);
        left.append(&mut state.others);
        drop(state);
        self.changed.notify_all();
        left
    }

    /// No code panics while it holds the lock, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_heaviest<T>(items: &mut VecDeque<T>, weight: impl Fn(&T) -> u64) -> Option<T> {
    // The last of equals wins, so they are gone through from behind.
    let (index, _) = items.iter().enumerate().rev().max_by_key(|(_, item)| weight(item))?;
    items.remove(index)
}

#[cfg(test)]
mod tests {
    use super::{Queue, Urgency};
    use std::time::Duration;

    #[test]
    fn a_full_queue_gives_the_item_back() {
        let queue = Queue::new(2);
        assert_eq!(queue.push('a', Urgency::High), Ok(1));
        assert_eq!(queue.push('b', Urgency::High), Ok(2));
        assert_eq!(queue.push('c', Urgency::High), Err('c'));
        assert_eq!(queue.pop(), Some(('a', 1)));
        assert_eq!(queue.push('c', Urgency::High), Ok(2));
    }

    #[test]
    fn the_urgent_go_first_and_have_room_of_their_own() {
        let queue = Queue::new(2);
        for item in ['c', 'd'] {
            assert!(queue.push(item, Urgency::Low).is_ok());
        }
        assert_eq!(queue.push('e', Urgency::Low), Err('e'));
        assert_eq!(queue.push('a', Urgency::High), Ok(3));
        assert_eq!(queue.push('b', Urgency::High), Ok(4));
        let order: Vec<_> = (0..4).filter_map(|_| queue.pop()).collect();
        assert_eq!(order, [('a', 3), ('b', 2), ('c', 1), ('d', 0)]);
    }

    #[test]
    fn of_the_others_the_heaviest_goes_first_and_weights_may_change() {
        let queue = Queue::new(5);
        for item in ['b', 'a', 'c', 'B', 'A'] {
            assert!(queue.push(item, Urgency::Low).is_ok());
        }
        let is_upper = |item: &char| u64::from(item.is_uppercase());
        let is_a = |item: &char| u64::from(*item == 'a');
        assert_eq!(queue.pop_heaviest(is_upper), Some(('B', 4)));
        assert_eq!(queue.pop_heaviest(is_a), Some(('a', 3)));
        assert_eq!(queue.pop_heaviest(is_a), Some(('b', 2)));
        assert_eq!(queue.pop_heaviest(is_upper), Some(('A', 1)));
    }

    #[test]
    fn closing_wakes_every_waiter_and_returns_what_waited() {
        let queue = Queue::new(2);
        let _ = queue.push('a', Urgency::High);
        assert!(!queue.wait_closed(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.wait_closed(Duration::from_secs(60)));
            assert_eq!(queue.close(), ['a']);
            assert!(waiter.join().unwrap());
        });
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.push('b', Urgency::High), Err('b'));
    }
}
