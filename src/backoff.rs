//! How long to wait before the next try: longer after each failure, and by chance, so that a fleet of agents
//! that failed together does not come back together.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pauses between tries. Pure: who waits brings the random number.
#[derive(Clone, Debug)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// No pause is shorter or longer.
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest: longest.max(shortest), failures: 0 }
    }

    /// The pause after one more failure: anything from the shortest to a bound that doubles each time.
    /// `fraction` is from 0 to 1.
    pub fn next(&mut self, fraction: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures.saturating_add(1));
        let bound = self.shortest.saturating_mul(doubled).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.shortest + (bound - self.shortest).mul_f64(fraction.clamp(0.0, 1.0))
    }

    /// All went well.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A random number from 0 to 1. Good enough to spread agents over time, not for secrets.
pub fn random_fraction() -> f64 {
    // Every state has keys of its own, and those of a process begin at random.
    let bits = RandomState::new().hash_one(0_u8);
    // 53 bits are what a double holds exactly.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::{Backoff, random_fraction};
    use std::time::Duration;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        let pauses: Vec<_> = (0..9).map(|_| backoff.next(1.0).as_secs_f64()).collect();
        assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), Duration::from_secs(1));
    }

    #[test]
    fn no_pause_is_none_at_all() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        for fraction in [0.0, -1.0, 0.0] {
            assert_eq!(backoff.next(fraction), Duration::from_millis(500));
        }
    }

    #[test]
    fn years_of_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        backoff.failures = u32::MAX - 1;
        for _ in 0..3 {
            assert_eq!(backoff.next(2.0), Duration::from_secs(60));
        }
        let mut odd = Backoff::new(Duration::from_secs(5), Duration::from_secs(1));
        assert_eq!(odd.next(0.5), Duration::from_secs(5));
    }

    #[test]
    fn random_numbers_differ_and_are_spread() {
        let numbers: Vec<_> = (0..1000).map(|_| random_fraction()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        let low = numbers.iter().filter(|number| **number < 0.5).count();
        assert!((350..650).contains(&low), "{low} of 1000 are below a half");
    }
}
