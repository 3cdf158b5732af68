//! How long to wait before the bus is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Pauses between tries, whose bound doubles with each failure. Pure: who waits brings the random number.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    bound: Duration,
}

impl Backoff {
    /// No pause is shorter or longer.
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, bound: shortest }
    }

    /// The pause after one more failure. `fraction`, from 0 to 1, says where between the shortest and the bound.
    pub(super) fn next(&mut self, fraction: f64) -> Duration {
        self.bound = self.bound.saturating_mul(2).min(self.longest);
        self.shortest + self.bound.saturating_sub(self.shortest).mul_f64(fraction.clamp(0.0, 1.0))
    }

    /// All went well.
    pub(super) fn reset(&mut self) {
        self.bound = self.shortest;
    }
}

/// A number from 0 to 1 by chance, such as it is: it only keeps hosts apart.
pub(super) fn random_fraction() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Backoff, random_fraction};
    use std::time::Duration;

    #[test]
    fn pauses_grow_up_to_a_bound_and_begin_anew() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(60));
        let longest: Vec<_> = (0..7).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(longest, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.next(0.0), seconds(1));
        backoff.reset();
        assert_eq!(backoff.next(1.0), seconds(2));
    }

    #[test]
    fn chance_differs() {
        let drawn: Vec<f64> = (0..100).map(|_| random_fraction()).collect();
        assert!(drawn.iter().all(|fraction| (0.0..=1.0).contains(fraction)));
        assert!(drawn.iter().any(|fraction| *fraction < 0.5) && drawn.iter().any(|fraction| *fraction > 0.5));
    }
}
