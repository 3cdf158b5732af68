//! Containers that no source knows: asked of the container runtimes once, and waited for a little.

use super::container::ContainerId;
use crate::metrics::{Counter, Exposition};
use smol::channel::{Sender, TrySendError};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For how long a container that was just met may stay without a name, and hold up the end of a window. The API
/// server tells of a container a second or two after it has started.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a container that nobody knew is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// The same if that could not be asked who knows it: a daemon that starts again is back in seconds.
const ASK_AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// When one that is known is: it may have another name by now.
const REFRESH: Duration = Duration::from_secs(300);
/// Containers that are remembered. Forgetting them all costs asking again.
const MAX_ENTRIES: usize = 16 * 1024;

/// When which container was met and asked for.
#[derive(Debug)]
pub struct Unknown {
    requests: Sender<ContainerId>,
    met: Mutex<HashMap<ContainerId, Met>>,
    asked: Counter,
    refused: Counter,
    nameless: Counter,
}

#[derive(Debug)]
struct Met {
    first: Instant,
    asked: Instant,
    /// The runtimes have said that they do not know it.
    is_denied: bool,
    /// They could not be asked.
    has_failed: bool,
    /// It was given up and counted.
    is_counted: bool,
}

impl Unknown {
    /// `requests` leads to who asks the runtimes.
    pub fn new(requests: Sender<ContainerId>) -> Self {
        let (asked, refused, nameless) = Default::default();
        Self { requests, met: Mutex::default(), asked, refused, nameless }
    }

    /// Whether a container that nobody knows may still get a name soon; asks for it if that is due. One that only
    /// runtimes could know is given up as soon as they have all said no.
    pub(super) fn awaits(&self, container: &ContainerId, only_runtimes: bool, now: Instant) -> bool {
        let mut all = self.met();
        self.make_room(&mut all);
        let met = all.entry(container.clone()).or_insert_with(|| self.meet(container, now));
        let pause = if met.has_failed { ASK_AGAIN_AFTER_FAILURE } else { ASK_AGAIN };
        if now.duration_since(met.asked) >= pause {
            met.asked = now;
            met.has_failed = !self.ask(container);
        }
        let is_waiting = now.duration_since(met.first) < PATIENCE && !(only_runtimes && met.is_denied);
        if !is_waiting && !met.is_counted {
            met.is_counted = true;
            self.nameless.increment();
        }
        is_waiting
    }

    /// Whether a container that a runtime knows was met only just now.
    pub(super) fn is_fresh(&self, container: &ContainerId, now: Instant) -> bool {
        self.met().get(container).is_some_and(|met| now.duration_since(met.first) < PATIENCE)
    }

    /// Asks again for a container that is known, if it has been known for long.
    pub(super) fn refresh(&self, container: &ContainerId, now: Instant) {
        let mut all = self.met();
        self.make_room(&mut all);
        let met = all.entry(container.clone()).or_insert_with(|| Met::at(now));
        if now.duration_since(met.asked) >= REFRESH {
            met.asked = now;
            self.ask(container);
        }
    }

    /// Takes in that the runtime that may know a container cannot be asked at the moment.
    pub fn fail(&self, container: &ContainerId) {
        if let Some(met) = self.met().get_mut(container) {
            met.has_failed = true;
        }
    }

    /// Takes in that no runtime knows a container.
    pub fn deny(&self, container: &ContainerId) {
        if let Some(met) = self.met().get_mut(container) {
            met.is_denied = true;
        }
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        exposition.counter(
            "containers_asked",
            "Times that a container was to be asked of the container runtimes, by whether there was room.",
            [
                (&[("result", "asked")][..], self.asked.get()),
                (&[("result", "queue_full")][..], self.refused.get()),
            ],
        );
        exposition.counter(
            "containers_nameless",
            "Containers of which no source knew more than the id.",
            [(&[][..], self.nameless.get())],
        );
    }

    fn meet(&self, container: &ContainerId, now: Instant) -> Met {
        Met { has_failed: !self.ask(container), ..Met::at(now) }
    }

    /// False if there was no room to ask.
    fn ask(&self, container: &ContainerId) -> bool {
        match self.requests.try_send(container.clone()) {
            Ok(()) => self.asked.increment(),
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.refused.increment();
                return false;
            }
        }
        true
    }

    fn make_room(&self, all: &mut HashMap<ContainerId, Met>) {
        if all.len() >= MAX_ENTRIES {
            all.clear();
        }
    }

    fn met(&self) -> MutexGuard<'_, HashMap<ContainerId, Met>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Met {
    fn at(now: Instant) -> Self {
        Self { first: now, asked: now, is_denied: false, has_failed: false, is_counted: false }
    }
}

#[cfg(test)]
mod tests {
    use super::{ASK_AGAIN, ASK_AGAIN_AFTER_FAILURE, PATIENCE, REFRESH, Unknown};
    use crate::discovery::container::ContainerId;
    use smol::channel::bounded;
    use std::time::Instant;

    fn container() -> ContainerId {
        ContainerId { engine: None, id: "a".into(), user: None }
    }

    #[test]
    fn a_container_is_asked_for_once_and_waited_for_a_little() {
        let (sender, requests) = bounded(8);
        let (unknown, now) = (Unknown::new(sender), Instant::now());
        assert!(unknown.awaits(&container(), false, now));
        assert!(unknown.awaits(&container(), false, now + PATIENCE / 2));
        assert!(!unknown.awaits(&container(), false, now + PATIENCE));
        assert_eq!((requests.len(), unknown.nameless.get()), (1, 1));
        assert!(!unknown.awaits(&container(), false, now + ASK_AGAIN));
        assert_eq!((requests.len(), unknown.nameless.get()), (2, 1));
    }

    #[test]
    fn who_is_denied_is_waited_for_only_if_another_may_know_it() {
        let (sender, _requests) = bounded(8);
        let (unknown, now) = (Unknown::new(sender), Instant::now());
        assert!(unknown.awaits(&container(), true, now));
        unknown.deny(&container());
        assert!(!unknown.awaits(&container(), true, now));
        assert!(unknown.awaits(&container(), false, now));
    }

    #[test]
    fn who_could_not_be_asked_is_asked_again_soon() {
        let (sender, requests) = bounded(8);
        let (unknown, now) = (Unknown::new(sender), Instant::now());
        unknown.awaits(&container(), false, now);
        unknown.fail(&container());
        unknown.awaits(&container(), false, now + ASK_AGAIN_AFTER_FAILURE / 2);
        assert_eq!(requests.len(), 1);
        unknown.awaits(&container(), false, now + ASK_AGAIN_AFTER_FAILURE);
        assert_eq!(requests.len(), 2);
    }

    #[test]
    fn a_known_container_is_asked_for_again_after_long() {
        let (sender, requests) = bounded(8);
        let (unknown, now) = (Unknown::new(sender), Instant::now());
        unknown.refresh(&container(), now);
        unknown.refresh(&container(), now + REFRESH / 2);
        assert_eq!(requests.len(), 0);
        unknown.refresh(&container(), now + REFRESH);
        assert_eq!(requests.len(), 1);
    }

    #[test]
    fn a_full_queue_is_counted_and_nothing_waits_for_it() {
        let (sender, requests) = bounded(1);
        let unknown = Unknown::new(sender);
        let other = ContainerId { engine: None, id: "b".into(), user: None };
        let now = Instant::now();
        unknown.awaits(&container(), true, now);
        unknown.awaits(&other, true, now);
        assert_eq!((unknown.asked.get(), unknown.refused.get()), (1, 1));
        requests.try_recv().unwrap();
        unknown.awaits(&other, true, now + ASK_AGAIN_AFTER_FAILURE);
        assert_eq!(*requests.try_recv().unwrap().id, *other.id);
    }
}
