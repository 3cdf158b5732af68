//! Work that waits for a thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A bounded queue between threads, which can be closed.
#[derive(Debug)]
pub(super) struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = Mutex::new(State { waiting: VecDeque::new(), closed: false });
        Self { capacity, state, changed: Condvar::new() }
    }

    /// Adds an item and returns how many wait now, or gives the item back when the queue is full or closed.
    pub(super) fn push(&self, item: T) -> Result<usize, T> {
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= self.capacity {
            return Err(item);
        }
        state.waiting.push_back(item);
        let length = state.waiting.len();
        drop(state);
        self.changed.notify_one();
        Ok(length)
    }

    /// Waits for an item; tells how many are left. Nothing once the queue is closed.
    pub(super) fn pop(&self) -> Option<(T, usize)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(item) = state.waiting.pop_front() {
                return Some((item, state.waiting.len()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
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
        self.lock().waiting.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Lets nothing more in or out, and returns what waited.
    pub(super) fn close(&self) -> VecDeque<T> {
        let mut state = self.lock();
        state.closed = true;
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        left
    }

    /// No code panics while it holds the lock, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;
    use std::time::Duration;

    #[test]
    fn a_full_queue_gives_the_item_back() {
        let queue = Queue::new(2);
        assert_eq!(queue.push('a'), Ok(1));
        assert_eq!(queue.push('b'), Ok(2));
        assert_eq!(queue.push('c'), Err('c'));
        assert_eq!(queue.pop(), Some(('a', 1)));
        assert_eq!(queue.push('c'), Ok(2));
    }

    #[test]
    fn closing_wakes_every_waiter_and_returns_what_waited() {
        let queue = Queue::new(2);
        let _ = queue.push('a');
        assert!(!queue.wait_closed(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.wait_closed(Duration::from_secs(60)));
            assert_eq!(queue.close(), ['a']);
            assert!(waiter.join().unwrap());
        });
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.push('b'), Err('b'));
    }
}
