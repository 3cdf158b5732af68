//! Which containers were asked for, of whom, and when.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For how long what a runtime told is taken as it is: a container may be renamed. Who uses a container requests it
/// every five minutes.
pub(super) const FRESH: Duration = Duration::from_secs(240);
/// A container that no one has requested for this long is taken to be gone: not every runtime tells of the end.
pub(super) const FORGET: Duration = Duration::from_secs(3600);
/// Containers that are remembered. As long as one is not, it is not known.
pub(super) const MAX_ENTRIES: usize = 64 * 1024;

/// By key, as [`ContainerId::key`](crate::discovery::container::ContainerId::key) tells.
#[derive(Debug, Default)]
pub(super) struct Known {
    entries: HashMap<Box<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Who told of it.
    socket: Arc<Path>,
    asked: Instant,
    requested: Instant,
}

impl Known {
    /// Takes in that a container is requested.
    pub(super) fn request(&mut self, id: &str, now: Instant) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.requested = now;
        }
    }

    /// Takes in that a socket has told of a container. False if there is no room.
    pub(super) fn learn(&mut self, id: &str, socket: Arc<Path>, now: Instant) -> bool {
        if let Some(entry) = self.entries.get_mut(id) {
            (entry.socket, entry.asked) = (socket, now);
        } else if self.entries.len() < MAX_ENTRIES {
            self.entries.insert(id.into(), Entry { socket, asked: now, requested: now });
        } else {
            return false;
        }
        true
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.entries.remove(id);
    }

    /// Whether what was told of a container still holds. `still_holds` tells whether what a socket told at a time
    /// does for longer than usual.
    pub(super) fn is_fresh(
        &self,
        id: &str,
        now: Instant,
        still_holds: impl Fn(&Path, Instant) -> bool,
    ) -> bool {
        self.entries.get(id).is_some_and(|entry| {
            now.duration_since(entry.asked) < FRESH || still_holds(&entry.socket, entry.asked)
        })
    }

    /// Who told of a container.
    pub(super) fn teller(&self, id: &str) -> Option<&Path> {
        self.entries.get(id).map(|entry| &*entry.socket)
    }

    /// The containers that a socket told of.
    pub(super) fn told_by(&self, socket: &Path) -> Vec<Box<str>> {
        let of_socket = |entry: &Entry| &*entry.socket == socket;
        self.entries.iter().filter(|(_, entry)| of_socket(entry)).map(|(id, _)| id.clone()).collect()
    }

    /// Forgets those that no one has requested for long, and names them. Also of those whose end would be told: the
    /// event may be lost, or come before an answer that was under way.
    pub(super) fn forget_unwanted(&mut self, now: Instant) -> Vec<Box<str>> {
        let is_unwanted = |entry: &Entry| now.duration_since(entry.requested) >= FORGET;
        let unwanted: Vec<_> =
            self.entries.iter().filter(|(_, entry)| is_unwanted(entry)).map(|(id, _)| id.clone()).collect();
        for id in &unwanted {
            self.entries.remove(id);
        }
        unwanted
    }
}

#[cfg(test)]
mod tests {
    use super::{FORGET, FRESH, Known, MAX_ENTRIES};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const SOCKET: &str = "/run/a.sock";

    fn socket() -> Arc<Path> {
        Path::new(SOCKET).into()
    }

    #[test]
    fn what_was_told_holds_for_minutes_and_longer_where_the_socket_says_so() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.learn("a", socket(), now);
        let second = Duration::from_secs(1);
        for (age, lasts, expected) in
            [(FRESH - second, false, true), (FRESH, false, false), (FRESH, true, true)]
        {
            let still_holds = |path: &Path, asked| {
                assert_eq!((path, asked), (Path::new(SOCKET), now));
                lasts
            };
            assert_eq!(known.is_fresh("a", now + age, still_holds), expected, "{age:?} {lasts}");
        }
        assert!(!known.is_fresh("b", now, |_, _| true));
    }

    #[test]
    fn who_is_not_requested_is_forgotten() {
        let (mut known, now) = (Known::default(), Instant::now());
        for id in ["a", "b"] {
            known.learn(id, socket(), now);
        }
        known.request("b", now + FORGET);
        let later = now + FORGET;
        assert_eq!(known.forget_unwanted(later - Duration::from_secs(1)), []);
        assert_eq!(known.forget_unwanted(later), ["a".into()]);
        assert_eq!(known.told_by(Path::new(SOCKET)), ["b".into()]);
        known.forget("b");
        assert_eq!((known.teller("a"), known.teller("b")), (None, None));
    }

    #[test]
    fn there_is_a_bound() {
        let (mut known, now) = (Known::default(), Instant::now());
        for index in 0..MAX_ENTRIES {
            assert!(known.learn(&index.to_string(), socket(), now));
        }
        assert!(!known.learn("one more", socket(), now));
        assert!(known.learn("0", socket(), now));
        assert_eq!(known.entries.len(), MAX_ENTRIES);
    }
}
