//! Whether a store that does not take a batch takes others: only then is what it refuses lost. Pure.

use std::time::{Duration, Instant};

/// For how long it counts that the store took something.
const FRESH: Duration = Duration::from_secs(150);

/// What the store took and refused.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    taken: Option<Instant>,
    refused: Option<Instant>,
}

impl Evidence {
    /// It took something.
    pub(super) fn taken(&mut self, now: Instant) {
        self.taken = Some(now);
    }

    /// It took no part of a batch. Whether it has taken something since it did that first, and not long ago: then it is
    /// the batch that it refuses.
    pub(super) fn refused(&mut self, now: Instant) -> bool {
        let takes_others = self
            .refused
            .zip(self.taken)
            .is_some_and(|(refused, taken)| taken > refused && now.saturating_duration_since(taken) < FRESH);
        if !takes_others {
            self.refused = Some(now);
        }
        takes_others
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, FRESH};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_store_that_refuses_everything_costs_nothing() {
        let (mut evidence, mut now) = (Evidence::default(), Instant::now());
        evidence.taken(now);
        for _ in 0..100 {
            now += SECOND;
            assert!(!evidence.refused(now), "what it took before says nothing of now");
        }
    }

    #[test]
    fn what_is_refused_beside_others_is_lost_and_so_is_the_next() {
        let (mut evidence, begun) = (Evidence::default(), Instant::now());
        assert!(!evidence.refused(begun));
        evidence.taken(begun + SECOND);
        assert!(evidence.refused(begun + 2 * SECOND));
        assert!(evidence.refused(begun + 3 * SECOND));
        assert!(!evidence.refused(begun + SECOND + FRESH), "that was long ago");
    }
}
