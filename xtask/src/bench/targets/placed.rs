//! Samples, by whether they are under the container that they were taken in.

use std::collections::BTreeMap;

use serde::Serialize;

use super::member::{Number, Sighting};
use crate::pprof::Sample;

/// Samples in wrong places of which the bench tells.
const TOLD: usize = 3;

/// How many are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Placed {
    right: u64,
    wrong: u64,
    #[serde(skip)]
    told: usize,
}

impl Placed {
    /// Takes a sample in. Returns whether it is under its own container, of those with these labels.
    pub(super) fn add(
        &mut self,
        sample: &Sample,
        sighting: Sighting,
        labels: &BTreeMap<Number, String>,
    ) -> bool {
        let expected = labels.get(&sighting.container);
        let is_right = expected.is_some() && sample.labels.get("containerid") == expected;
        if is_right {
            self.right += sample.count;
        } else {
            self.wrong += sample.count;
            if self.told < TOLD {
                self.told += 1;
                eprintln!("  not under {expected:?} but under {:?}", sample.labels);
            }
        }
        is_right
    }

    /// All of them.
    pub(super) fn total(self) -> u64 {
        self.right + self.wrong
    }

    /// The share that is right; nothing of nothing.
    #[expect(clippy::cast_precision_loss, reason = "thousands of samples")]
    pub(super) fn right_percent(self) -> Option<f64> {
        (self.total() > 0).then(|| self.right as f64 / self.total() as f64 * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn placed(container: Number, under: &[Option<&str>]) -> Placed {
        let labels = [(1, "docker://a".to_owned()), (2, "docker://b".to_owned())].into();
        let sighting = Sighting { container, age: Duration::ZERO };
        let mut placed = Placed::default();
        for id in under {
            let labels_of_sample = id.iter().map(|id| ("containerid".to_owned(), (*id).to_owned())).collect();
            let sample = Sample { count: 2, labels: labels_of_sample, ..Sample::default() };
            placed.add(&sample, sighting, &labels);
        }
        placed
    }

    #[test]
    fn a_sample_is_right_under_its_own_container_only() {
        let under = [Some("docker://a"), Some("docker://b"), Some(""), None];
        for (container, right) in [(1, 2), (2, 2), (3, 0)] {
            let placed = placed(container, &under);
            assert_eq!((placed.right, placed.total()), (right, 8), "{container}");
        }
    }

    #[test]
    fn the_share_is_of_all_samples() {
        assert_eq!(placed(1, &[Some("docker://a"), None]).right_percent(), Some(50.0));
        assert_eq!(Placed::default().right_percent(), None);
    }
}
