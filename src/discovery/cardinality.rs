//! A bound for the number of targets: names that processes make up must not make profiles without end.

use super::policy::stays;
use super::target::Target;
use crate::label::LabelSet;
use crate::metrics::{Counter, Exposition};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Targets with samples of late. What comes beyond shares one target for each source.
const MAX_TARGETS: usize = 4096;
/// A target without processes for so long makes room.
const KEEP: Duration = Duration::from_secs(300);

/// The label of a target that stands for all that found no room.
const OVERFLOW: &str = "overflow";

/// The targets of late.
#[derive(Debug)]
pub(super) struct Cardinality {
    /// Labels that all targets have.
    base: LabelSet,
    targets: HashMap<LabelSet, (Arc<Target>, Instant)>,
    overflowed: Counter,
}

impl Cardinality {
    pub(super) fn new(base: &LabelSet) -> Self {
        let base = base.iter().filter(|(name, _)| stays(name)).collect();
        Self { base, targets: HashMap::new(), overflowed: Counter::default() }
    }

    /// The target to use: the known one with the same labels, this one, or the one of those without room.
    pub(super) fn admit(&mut self, target: Arc<Target>, now: Instant) -> Arc<Target> {
        // Whatever discovered it: a store knows series by their labels alone.
        if let Some((known, seen)) = self.targets.get_mut(&target.labels) {
            *seen = now;
            return known.clone();
        }
        if self.targets.len() >= MAX_TARGETS {
            self.overflowed.increment();
            let mut labels = self.base.clone();
            labels.set(OVERFLOW, target.source.name());
            return Arc::new(Target { labels, source: target.source });
        }
        self.targets.insert(target.labels.clone(), (target.clone(), now));
        target
    }

    pub(super) fn purge(&mut self, now: Instant) {
        self.targets.retain(|_, (target, seen)| {
            // Someone else holds it: an attribution that is in use.
            Arc::strong_count(target) > 1 || now.duration_since(*seen) < KEEP
        });
        self.targets.shrink_to(2 * self.targets.len());
    }

    pub(super) fn collect(&self, exposition: &mut Exposition) {
        exposition.gauge("targets", "Targets with samples of late.", [(&[][..], self.targets.len() as f64)]);
        exposition.counter(
            "targets_overflowed",
            "Times that a target found no room and was profiled together with others.",
            [(&[][..], self.overflowed.get())],
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Cardinality, KEEP, MAX_TARGETS};
    use crate::discovery::target::{Source, Target};
    use crate::label::LabelSet;
    use std::sync::Arc;
    use std::time::Instant;

    fn target(name: usize) -> Arc<Target> {
        let labels = [("comm".to_owned(), name.to_string())].into_iter().collect();
        Arc::new(Target { labels, source: Source::Host })
    }

    fn cardinality() -> Cardinality {
        let base: LabelSet = [("node", "n"), ("__name__", "p"), ("__meta_x", "y")].into_iter().collect();
        Cardinality::new(&base)
    }

    #[test]
    fn what_finds_no_room_shares_a_target() {
        let (mut cardinality, now) = (cardinality(), Instant::now());
        let kept: Vec<_> = (0..MAX_TARGETS).map(|name| cardinality.admit(target(name), now)).collect();
        let beyond = cardinality.admit(target(MAX_TARGETS), now);
        assert_eq!(beyond.labels.to_string(), r#"{__name__="p",node="n",overflow="host"}"#);
        assert!(Arc::ptr_eq(&kept[7], &cardinality.admit(target(7), now)));
        assert_eq!(cardinality.overflowed.get(), 1);
    }

    #[test]
    fn what_has_the_same_labels_is_one_target_whoever_discovered_it() {
        let (mut cardinality, now) = (cardinality(), Instant::now());
        let first = cardinality.admit(target(1), now);
        let same = Target { source: Source::Container, ..Target::clone(&target(1)) };
        assert!(Arc::ptr_eq(&first, &cardinality.admit(Arc::new(same), now)));
    }

    #[test]
    fn who_is_gone_makes_room() {
        let (mut cardinality, now) = (cardinality(), Instant::now());
        let kept = cardinality.admit(target(1), now);
        cardinality.admit(target(2), now);
        cardinality.purge(now + KEEP);
        assert_eq!(cardinality.targets.len(), 1);
        drop(kept);
        cardinality.purge(now + KEEP);
        assert!(cardinality.targets.is_empty());
    }
}
