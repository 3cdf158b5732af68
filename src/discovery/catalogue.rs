//! What one source knows of containers now: filled by the source, asked when a process is attributed.

use super::target::Discovered;
use crate::metrics::Counter;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For how long a container is still known after it is gone: its last samples come late.
const KEEP: Duration = Duration::from_secs(60);
/// Containers of one source.
const MAX_ENTRIES: usize = 64 * 1024;
/// Bytes of their labels. A pod with 20 labels and 10 annotations takes about 7 KiB.
const MAX_BYTES: usize = 64 << 20;

/// Containers by their id without the engine's prefix.
#[derive(Debug, Default)]
pub struct Catalogue {
    state: Mutex<State>,
    revision: AtomicU64,
    refused: Counter,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Box<str>, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    discovered: Arc<Discovered>,
    gone: Option<Instant>,
}

impl Catalogue {
    /// Takes in what is known of a container, whether it is new or not. False if there is no room, which is
    /// counted: what was known of it before stays in force.
    pub fn put(&self, id: &str, mut discovered: Discovered) -> bool {
        let mut state = self.state();
        let before = state.entries.get(id);
        if before.is_some_and(|entry| *entry.discovered == discovered && entry.gone.is_none()) {
            return true;
        }
        let freed = before.map_or(0, |entry| cost(id, &entry.discovered));
        let bytes = state.bytes - freed + cost(id, &discovered);
        if bytes > MAX_BYTES || before.is_none() && state.entries.len() >= MAX_ENTRIES {
            self.refused.increment();
            if let Some(entry) = state.entries.get_mut(id) {
                entry.gone = None;
            }
            return false;
        }
        state.bytes = bytes;
        discovered.shrink();
        state.entries.insert(id.into(), Entry { discovered: Arc::new(discovered), gone: None });
        self.revision.fetch_add(1, Ordering::Release);
        true
    }

    /// Takes in that a container is gone. It stays known for a minute.
    pub fn remove(&self, id: &str, now: Instant) {
        if let Some(entry) = self.state().entries.get_mut(id) {
            entry.gone.get_or_insert(now);
        }
    }

    /// Takes in that all are gone but those of which `is_there` says otherwise.
    pub fn retain(&self, now: Instant, is_there: impl Fn(&str) -> bool) {
        for (id, entry) in &mut self.state().entries {
            if !is_there(id) {
                entry.gone.get_or_insert(now);
            }
        }
    }

    /// Forgets who has been gone for long. To be called now and then.
    pub fn purge(&self, now: Instant) {
        let mut state = self.state();
        let is_old = |entry: &Entry| entry.gone.is_some_and(|gone| now.duration_since(gone) >= KEEP);
        let old: Vec<_> =
            state.entries.iter().filter(|(_, entry)| is_old(entry)).map(|(id, _)| id.clone()).collect();
        for id in &old {
            state.remove(id);
        }
        if !old.is_empty() {
            self.revision.fetch_add(1, Ordering::Release);
        }
    }

    /// What is known of a container.
    pub fn get(&self, id: &str) -> Option<Arc<Discovered>> {
        self.state().entries.get(id).map(|entry| entry.discovered.clone())
    }

    /// Another number whenever something in it has changed.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// How many containers are known.
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all that is known.
    pub fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Containers for which there was no room.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, id: &str) {
        if let Some((id, entry)) = self.entries.remove_entry(id) {
            self.bytes -= cost(&id, &entry.discovered);
        }
    }
}

fn cost(id: &str, discovered: &Discovered) -> usize {
    id.len() + discovered.bytes() + size_of::<(Box<str>, Entry)>() + size_of::<Discovered>()
}

#[cfg(test)]
mod tests {
    use super::{Catalogue, KEEP, MAX_BYTES, MAX_ENTRIES};
    use crate::discovery::target::Discovered;
    use std::time::{Duration, Instant};

    fn named(name: &str) -> Discovered {
        Discovered { labels: [("container", name)].into_iter().collect(), meta: Default::default() }
    }

    #[test]
    fn who_is_gone_stays_known_for_a_minute() {
        let catalogue = Catalogue::default();
        let now = Instant::now();
        catalogue.put("a", named("web"));
        catalogue.remove("a", now);
        catalogue.purge(now + KEEP - Duration::from_secs(1));
        assert_eq!(*catalogue.get("a").unwrap(), named("web"));
        catalogue.purge(now + KEEP);
        assert_eq!((catalogue.get("a"), catalogue.bytes()), (None, 0));
    }

    #[test]
    fn who_comes_back_is_not_gone() {
        let catalogue = Catalogue::default();
        let now = Instant::now();
        catalogue.put("a", named("web"));
        catalogue.retain(now, |_| false);
        catalogue.put("a", named("web"));
        catalogue.purge(now + 2 * KEEP);
        assert!(catalogue.get("a").is_some());
    }

    #[test]
    fn only_a_change_makes_a_revision() {
        let catalogue = Catalogue::default();
        catalogue.put("a", named("web"));
        let revision = catalogue.revision();
        catalogue.put("a", named("web"));
        assert_eq!(catalogue.revision(), revision);
        catalogue.put("a", named("db"));
        assert_ne!(catalogue.revision(), revision);
    }

    #[test]
    fn there_is_a_bound_and_a_count() {
        let catalogue = Catalogue::default();
        for index in 0..MAX_ENTRIES {
            assert!(catalogue.put(&index.to_string(), named("x")));
        }
        assert!(!catalogue.put("one more", named("x")));
        assert_eq!((catalogue.len(), catalogue.refused()), (MAX_ENTRIES, 1));
    }

    #[test]
    fn what_has_no_room_to_grow_stays_as_it_was() {
        let catalogue = Catalogue::default();
        let now = Instant::now();
        catalogue.put("a", named("web"));
        catalogue.put("b", named(&"x".repeat(MAX_BYTES - 4096)));
        let (revision, bytes) = (catalogue.revision(), catalogue.bytes());
        catalogue.remove("a", now);
        assert!(!catalogue.put("a", named(&"y".repeat(4096))));
        assert_eq!((catalogue.refused(), catalogue.revision(), catalogue.bytes()), (1, revision, bytes));
        catalogue.purge(now + KEEP);
        assert_eq!(*catalogue.get("a").unwrap(), named("web"), "it is there, whatever its labels are");
    }

    #[test]
    fn a_change_takes_the_room_of_what_it_replaces() {
        let catalogue = Catalogue::default();
        for index in 0..MAX_ENTRIES {
            catalogue.put(&index.to_string(), named("x"));
        }
        assert!(catalogue.put("7", named("y")));
        let catalogue = Catalogue::default();
        let large = |letter: &str| named(&letter.repeat(MAX_BYTES / 2 + 1));
        assert!(catalogue.put("a", large("x")) && catalogue.put("a", large("y")));
        assert_eq!((*catalogue.get("a").unwrap() == large("y"), catalogue.refused()), (true, 0));
    }
}
