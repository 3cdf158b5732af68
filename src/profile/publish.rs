//! The last finished window, and word of the next.

use super::Window;
use smol::channel::{Receiver, Sender, bounded};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Readers that may wait for the next window at the same time.
const MAX_WAITERS: usize = 64;
/// For how long a window of ten seconds waits for the names of its targets after its end.
pub const LONGEST_CLOSING: Duration = Duration::from_secs(3);

/// Takes each window as it is published. It must not wait for anything.
pub type Sink = Box<dyn Fn(&Arc<Window>) + Send + Sync>;

/// Holds the last finished window for whoever asks, and hands the next one to whoever waits.
#[derive(Default)]
pub struct Windows {
    state: Mutex<State>,
    sinks: RwLock<Vec<Sink>>,
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Windows").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    latest: Option<Arc<Window>>,
    /// One has ended and is not published yet.
    is_closing: bool,
    waiters: Vec<Sender<Arc<Window>>>,
}

impl Windows {
    /// Makes a window the latest one, and wakes all who wait.
    pub fn publish(&self, window: Arc<Window>) {
        for sink in self.sinks.read().unwrap_or_else(PoisonError::into_inner).iter() {
            sink(&window);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for waiter in state.waiters.drain(..) {
            // A full channel cannot be, and a closed one is a reader that gave up.
            let _ = waiter.try_send(window.clone());
        }
        state.latest = Some(window);
        state.is_closing = false;
    }

    /// Hands every window from now on to a sink, before anyone else sees it.
    pub fn add_sink(&self, sink: Sink) {
        self.sinks.write().unwrap_or_else(PoisonError::into_inner).push(sink);
    }

    /// Takes in that a window has ended, which will be published soon.
    pub fn begin_closing(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_closing = true;
    }

    /// Whether a window has ended and is not published yet.
    pub fn is_closing(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_closing
    }

    /// The last finished window; `None` before the first.
    pub fn latest(&self) -> Option<Arc<Window>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).latest.clone()
    }

    /// A channel on which the next window will arrive; `None` when too many wait already.
    pub fn next(&self) -> Option<Receiver<Arc<Window>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiters.retain(|waiter| !waiter.is_closed());
        if state.waiters.len() >= MAX_WAITERS {
            return None;
        }
        let (sender, receiver) = bounded(1);
        state.waiters.push(sender);
        Some(receiver)
    }
}
