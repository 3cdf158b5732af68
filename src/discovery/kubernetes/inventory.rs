//! Which containers each pod has, so that the catalogue learns of those that are gone.

use super::labels::PodContainer;
use super::pod::Metadata;
use crate::discovery::catalogue::Catalogue;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// The pods of this node. No more containers are in it than the catalogue took.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pods: HashMap<Box<str>, Known>,
    /// Of the list that is being taken in.
    list: u64,
}

#[derive(Debug)]
struct Known {
    /// The list in which the pod last stood, or that was current when it was told of.
    list: u64,
    /// Ids, and whether the container has ended.
    containers: Vec<(Box<str>, bool)>,
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
    /// A list begins.
    pub(super) fn begin(&mut self) {
        self.list += 1;
    }

    /// A list is complete: pods that do not stand in it are gone.
    pub(super) fn finish(&mut self, catalogue: &Catalogue, now: Instant) {
        self.pods.retain(|_, known| known.list == self.list);
        let running = self.pods.values().flat_map(|known| &known.containers).filter(|(_, is_over)| !is_over);
        let running: HashSet<&str> = running.map(|(id, _)| &**id).collect();
        catalogue.retain(now, |id| running.contains(id));
    }

    /// A pod as it is now.
    pub(super) fn put(
        &mut self,
        metadata: &Metadata,
        containers: impl IntoIterator<Item = PodContainer>,
        catalogue: &Catalogue,
        now: Instant,
    ) {
        let key = key(metadata);
        let before = self.pods.remove(&key).map(|known| known.containers).unwrap_or_default();
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
            self.pods.insert(key, Known { list: self.list, containers: after });
        }
    }

    /// A pod is gone.
    pub(super) fn delete(&mut self, metadata: &Metadata, catalogue: &Catalogue, now: Instant) {
        for (id, _) in self.pods.remove(&key(metadata)).into_iter().flat_map(|known| known.containers) {
            catalogue.remove(&id, now);
        }
    }

    /// Pods with containers.
    pub(super) fn pods(&self) -> usize {
        self.pods.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Inventory;
    use crate::discovery::catalogue::Catalogue;
    use crate::discovery::kubernetes::labels::PodContainer;
    use crate::discovery::kubernetes::pod::Metadata;
    use crate::discovery::target::Discovered;
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
            Self { inventory: Inventory::default(), catalogue, now: Instant::now() }
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
}
