//! Which containers each pod has, so that the catalogue learns of those that are gone.

use super::labels::PodContainer;
use super::pod::Metadata;
use super::state::KubernetesState;
use crate::discovery::catalogue::Catalogue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// Pods that are told apart. A node runs 110 unless its kubelet is told otherwise; those that have ended stay until
/// somebody deletes them.
const MAX_PODS: usize = 16 * 1024;

/// The pods of this node that have containers. One that has ended stays in it, when the catalogue has long forgotten
/// its containers: else they would be told again with each list.
#[derive(Debug)]
pub(super) struct Inventory {
    pods: HashMap<Box<str>, Known>,
    /// How many of them have ended. They are forgotten when there are too many.
    ended: usize,
    /// Of the list that is being taken in.
    list: u64,
    /// Counts what is dropped.
    state: Arc<KubernetesState>,
}

#[derive(Debug)]
struct Known {
    /// The list in which the pod last stood, or that was current when it was told of.
    list: u64,
    /// Ids, and whether the container has ended.
    containers: Vec<(Box<str>, bool)>,
}

impl Known {
    fn has_ended(&self) -> bool {
        self.containers.iter().all(|(_, is_over)| *is_over)
    }
}

/// What no other pod has.
fn key(metadata: &Metadata) -> Box<str> {
    if metadata.uid.is_empty() {
        format!("{}/{}", metadata.namespace, metadata.name).into()
    } else {
        metadata.uid.as_str().into()
    }
}

impl Inventory {
    /// Nothing is known yet.
    pub(super) fn new(state: Arc<KubernetesState>) -> Self {
        Self { pods: HashMap::new(), ended: 0, list: 0, state }
    }

    /// A list begins.
    pub(super) fn begin(&mut self) {
        self.list += 1;
    }

    /// A list is complete: pods that do not stand in it are gone.
    pub(super) fn finish(&mut self, catalogue: &Catalogue, now: Instant) {
        self.pods.retain(|_, known| known.list == self.list);
        self.ended = self.pods.values().filter(|known| known.has_ended()).count();
        let running = self.pods.values().flat_map(|known| &known.containers).filter(|(_, is_over)| !is_over);
        let running: HashSet<&str> = running.map(|(id, _)| &**id).collect();
        catalogue.retain(now, |id| running.contains(id));
    }

    /// A pod as it is now. There may be no room for one that is new.
    pub(super) fn put(
        &mut self,
        metadata: &Metadata,
        containers: impl IntoIterator<Item = PodContainer>,
        catalogue: &Catalogue,
        now: Instant,
    ) {
        let key = key(metadata);
        let before = self.remove(&key);
        let mut containers = containers.into_iter().peekable();
        if before.is_empty() && containers.peek().is_some() && !self.has_room() {
            self.state.refused_pod();
            return;
        }
        let mut after: Vec<(Box<str>, bool)> = Vec::new();
        for PodContainer { id, is_over, discovered } in containers {
            // One that has ended is told once: its last samples may come yet, and then it is to be forgotten.
            let known = before.iter().find(|(old, _)| *old == id);
            let was_told = is_over && known.is_some_and(|(_, was_over)| *was_over);
            // One that was known stays so without room for what is new of it, which the next event or list tells
            // again.
            if !was_told && !catalogue.put(&id, discovered) && known.is_none() {
                continue;
            }
            if is_over && !was_told {
                catalogue.remove(&id, now);
            }
            after.push((id, is_over));
        }
        for (id, _) in before.iter().filter(|(id, _)| !after.iter().any(|(new, _)| new == id)) {
            catalogue.remove(id, now);
        }
        if !after.is_empty() {
            let known = Known { list: self.list, containers: after };
            self.ended += usize::from(known.has_ended());
            self.pods.insert(key, known);
        }
    }

    /// A pod is gone.
    pub(super) fn delete(&mut self, metadata: &Metadata, catalogue: &Catalogue, now: Instant) {
        for (id, _) in self.remove(&key(metadata)) {
            catalogue.remove(&id, now);
        }
    }

    /// Pods with containers.
    pub(super) fn pods(&self) -> usize {
        self.pods.len()
    }

    /// The containers that a pod had.
    fn remove(&mut self, key: &str) -> Vec<(Box<str>, bool)> {
        let Some(known) = self.pods.remove(key) else { return Vec::new() };
        self.ended -= usize::from(known.has_ended());
        known.containers
    }

    /// Whether there is room for one more pod, which those that have ended make.
    fn has_room(&mut self) -> bool {
        if self.pods.len() >= MAX_PODS && self.ended > 0 {
            self.pods.retain(|_, known| !known.has_ended());
            self.state.forgot_pods(self.ended);
            self.ended = 0;
        }
        self.pods.len() < MAX_PODS
    }
}

#[cfg(test)]
mod tests {
    use super::{Inventory, MAX_PODS};
    use crate::discovery::catalogue::Catalogue;
    use crate::discovery::kubernetes::labels::PodContainer;
    use crate::discovery::kubernetes::pod::Metadata;
    use crate::discovery::target::Discovered;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const MINUTE: Duration = Duration::from_secs(60);

    struct Fixture {
        inventory: Inventory,
        catalogue: Catalogue,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            let catalogue = Catalogue::default();
            Self { inventory: Inventory::new(Arc::default()), catalogue, now: Instant::now() }
        }

        /// Ids, `!` before one that has ended.
        fn put(&mut self, uid: &str, ids: &[&str]) {
            let metadata = Metadata { uid: uid.to_owned(), ..Metadata::default() };
            let containers = ids.iter().map(|id| PodContainer {
                id: id.trim_start_matches('!').into(),
                is_over: id.starts_with('!'),
                discovered: Discovered::default(),
            });
            self.inventory.put(&metadata, containers, &self.catalogue, self.now);
        }

        /// Which of these are known, first now and then after a minute.
        fn known(&self, ids: &str) -> [String; 2] {
            let known = || ids.chars().filter(|id| self.catalogue.get(&id.to_string()).is_some()).collect();
            let before = known();
            self.catalogue.purge(self.now + MINUTE);
            [before, known()]
        }
    }

    #[test]
    fn an_id_that_changes_stays_for_a_minute() {
        let mut fixture = Fixture::new();
        fixture.put("u", &["a", "b"]);
        fixture.put("u", &["a", "c"]);
        assert_eq!(fixture.known("abc"), ["abc", "ac"]);
    }

    #[test]
    fn a_container_whose_labels_find_no_room_is_tried_again() {
        let mut fixture = Fixture::new();
        let named = |name: &str| Discovered {
            labels: [("pod", name)].into_iter().collect(),
            ..Discovered::default()
        };
        let containers =
            |name: &str| [PodContainer { id: "a".into(), is_over: false, discovered: named(name) }];
        let metadata = Metadata { uid: "u".to_owned(), ..Metadata::default() };
        let put = |fixture: &mut Fixture, name: &str| {
            fixture.inventory.begin();
            fixture.inventory.put(&metadata, containers(name), &fixture.catalogue, fixture.now);
            fixture.inventory.finish(&fixture.catalogue, fixture.now);
            fixture.catalogue.purge(fixture.now + MINUTE);
        };
        put(&mut fixture, "old");
        put(&mut fixture, &"x".repeat(65 << 20));
        assert_eq!((fixture.inventory.pods(), fixture.catalogue.refused()), (1, 1));
        assert_eq!(*fixture.catalogue.get("a").unwrap(), named("old"));
        put(&mut fixture, "new");
        assert_eq!(*fixture.catalogue.get("a").unwrap(), named("new"));
    }

    #[test]
    fn a_pod_that_is_deleted_takes_all_its_containers_along() {
        let mut fixture = Fixture::new();
        fixture.put("u", &["a", "b"]);
        fixture.put("v", &["c"]);
        let metadata = Metadata { uid: "u".to_owned(), ..Metadata::default() };
        fixture.inventory.delete(&metadata, &fixture.catalogue, fixture.now);
        assert_eq!(fixture.known("abc"), ["abc", "c"]);
        assert_eq!(fixture.inventory.pods(), 1);
    }

    #[test]
    fn a_container_that_has_ended_is_known_for_a_minute_and_no_longer() {
        let mut fixture = Fixture::new();
        fixture.put("u", &["a", "!b"]);
        assert_eq!(fixture.known("ab"), ["ab", "a"]);
        fixture.put("u", &["!a", "!b"]);
        assert_eq!(fixture.known("ab"), ["a", ""], "b is not told again");
    }

    #[test]
    fn who_does_not_stand_in_a_list_is_gone() {
        let mut fixture = Fixture::new();
        fixture.inventory.begin();
        fixture.put("u", &["a"]);
        fixture.put("v", &["b", "!c"]);
        fixture.inventory.finish(&fixture.catalogue, fixture.now);
        fixture.inventory.begin();
        fixture.put("v", &["b", "!c"]);
        fixture.inventory.finish(&fixture.catalogue, fixture.now);
        assert_eq!(fixture.known("abc"), ["abc", "b"]);
        assert_eq!(fixture.inventory.pods(), 1);
    }

    #[test]
    fn a_list_that_breaks_off_takes_nothing_away() {
        let mut fixture = Fixture::new();
        fixture.put("u", &["a"]);
        fixture.inventory.begin();
        fixture.put("v", &["b"]);
        assert_eq!(fixture.known("ab"), ["ab", "ab"]);
        fixture.inventory.begin();
        fixture.put("u", &["a"]);
        fixture.inventory.finish(&fixture.catalogue, fixture.now);
        assert_eq!(fixture.known("ab"), ["ab", "a"]);
    }

    #[test]
    fn pods_that_have_ended_make_room() {
        let mut fixture = Fixture::new();
        fixture.put("runs", &["a"]);
        for index in 1..MAX_PODS {
            fixture.put(&index.to_string(), &["!b"]);
        }
        assert_eq!(fixture.inventory.pods(), MAX_PODS);
        // One that is known needs no room.
        fixture.put("runs", &["a", "c"]);
        assert_eq!((fixture.inventory.pods(), fixture.inventory.state.forgotten_pods()), (MAX_PODS, 0));
        fixture.put("new", &["d"]);
        assert_eq!((fixture.inventory.pods(), fixture.inventory.ended), (2, 0));
        assert_eq!(fixture.inventory.state.forgotten_pods(), MAX_PODS as u64 - 1);
        assert_eq!(fixture.known("acd"), ["acd", "acd"]);
    }

    #[test]
    fn there_is_a_bound_and_a_count() {
        let mut fixture = Fixture::new();
        for index in 0..MAX_PODS {
            fixture.put(&index.to_string(), &["a"]);
        }
        fixture.put("waits", &[]);
        assert_eq!(fixture.inventory.state.refused_pods(), 0, "a pod without containers needs no room");
        fixture.put("one more", &["b"]);
        assert_eq!((fixture.inventory.pods(), fixture.inventory.state.refused_pods()), (MAX_PODS, 1));
        assert_eq!(fixture.known("ab"), ["a", "a"], "what is not in the inventory would never be gone");
        fixture.put("0", &["!a"]);
        fixture.put("one more", &["b"]);
        assert_eq!((fixture.inventory.pods(), fixture.inventory.state.refused_pods()), (MAX_PODS, 1));
    }

    #[test]
    fn who_has_ended_is_counted_however_it_goes() {
        let mut fixture = Fixture::new();
        fixture.put("u", &["!a"]);
        fixture.put("v", &["!b", "c"]);
        assert_eq!(fixture.inventory.ended, 1);
        fixture.put("v", &["!b", "!c"]);
        assert_eq!(fixture.inventory.ended, 2);
        let metadata = Metadata { uid: "u".to_owned(), ..Metadata::default() };
        fixture.inventory.delete(&metadata, &fixture.catalogue, fixture.now);
        assert_eq!(fixture.inventory.ended, 1);
        fixture.inventory.begin();
        fixture.inventory.finish(&fixture.catalogue, fixture.now);
        assert_eq!((fixture.inventory.ended, fixture.inventory.pods()), (0, 0));
    }
}
