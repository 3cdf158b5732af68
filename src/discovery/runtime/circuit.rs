//! When a socket that failed is asked again.

use std::time::{Duration, Instant};

/// How long a socket is left alone after its first failure. Each further one doubles it.
const SHORTEST: Duration = Duration::from_secs(1);
/// At most so long.
const LONGEST: Duration = Duration::from_secs(60);
/// A trial of which nothing was heard after this long has been given up: another may be made.
const TRIAL: Duration = Duration::from_secs(10);

/// Whether a socket may be asked.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    /// When it may be asked again; `None` if at any time.
    closed_until: Option<Instant>,
    /// One question was let through to see whether it answers again.
    on_trial: bool,
}

impl Circuit {
    /// Whether it may be asked now. Once it has failed and its time is up, one question is let through, and no
    /// other before that one is answered.
    pub(super) fn permit(&mut self, now: Instant) -> bool {
        match self.closed_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.closed_until = Some(now + TRIAL);
                self.on_trial = true;
                true
            }
        }
    }

    /// It has answered.
    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// It has not. `chance` is a number from 0 to 1 that spreads what happens on many hosts at once.
    pub(super) fn fail(&mut self, now: Instant, chance: f64) {
        // Questions that were under way together are one failure.
        if self.closed_until.is_some() && !self.on_trial {
            return;
        }
        self.closed_until = Some(now + delay(self.failures, chance));
        self.failures = self.failures.saturating_add(1);
        self.on_trial = false;
    }

    /// Whether it failed when it was last asked.
    pub(super) fn has_failed(&self) -> bool {
        self.closed_until.is_some()
    }
}

/// How long to wait after a number of earlier failures.
pub(super) fn delay(earlier: u32, chance: f64) -> Duration {
    let full = SHORTEST.saturating_mul(1 << earlier.min(6)).min(LONGEST);
    full.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// A number from 0 to 1 that differs from host to host.
pub(super) fn chance() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish();
    (random >> 32) as f64 / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Circuit, LONGEST, SHORTEST, TRIAL, chance, delay};
    use std::time::{Duration, Instant};

    #[test]
    fn the_delay_doubles_up_to_a_minute_and_varies_by_half() {
        let seconds = |earlier, chance| delay(earlier, chance).as_secs_f64();
        let cases = [(0, 1.0), (1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (7, 60.0), (u32::MAX, 60.0)];
        for (earlier, expected) in cases {
            assert_eq!(
                (seconds(earlier, 1.0), seconds(earlier, 0.0)),
                (expected, expected / 2.0),
                "{earlier}"
            );
        }
        assert!((0.0..=1.0).contains(&chance()));
    }

    #[test]
    fn one_question_tries_a_socket_that_failed() {
        let (mut circuit, now) = (Circuit::default(), Instant::now());
        assert!(circuit.permit(now) && circuit.permit(now));
        circuit.fail(now, 1.0);
        assert!(!circuit.permit(now + SHORTEST - Duration::from_millis(1)));
        let due = now + SHORTEST;
        assert!(circuit.permit(due));
        assert!(!circuit.permit(due));
        circuit.fail(due, 1.0);
        assert!(!circuit.permit(due + SHORTEST) && circuit.permit(due + 2 * SHORTEST));
        circuit.succeed();
        assert!(circuit.permit(due) && !circuit.has_failed());
    }

    #[test]
    fn failures_at_the_same_time_are_one() {
        let (mut circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..16 {
            circuit.fail(now, 1.0);
        }
        assert!(circuit.permit(now + SHORTEST));
    }

    #[test]
    fn a_trial_that_was_given_up_is_not_the_last() {
        let (mut circuit, now) = (Circuit::default(), Instant::now());
        circuit.fail(now, 1.0);
        assert!(circuit.permit(now + LONGEST));
        assert!(!circuit.permit(now + LONGEST + TRIAL / 2));
        assert!(circuit.permit(now + LONGEST + TRIAL));
    }
}
