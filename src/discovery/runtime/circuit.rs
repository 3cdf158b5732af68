//! When a socket that failed is asked again.

use crate::backoff::Backoff;
use std::time::{Duration, Instant};

/// For at least so long a socket is left alone after a failure.
const SHORTEST: Duration = Duration::from_millis(500);
/// At most so long.
const LONGEST: Duration = Duration::from_secs(60);
/// A trial of which nothing was heard after this long has been given up: another may be made.
const TRIAL: Duration = Duration::from_secs(10);

/// Whether a socket may be asked.
#[derive(Debug)]
pub(super) struct Circuit {
    backoff: Backoff,
    /// When it may be asked again; `None` if at any time.
    closed_until: Option<Instant>,
    /// One question was let through to see whether it answers again.
    on_trial: bool,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { backoff: Backoff::new(SHORTEST, LONGEST), closed_until: None, on_trial: false }
    }
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

    /// It has not. `fraction` is a random number from 0 to 1.
    pub(super) fn fail(&mut self, now: Instant, fraction: f64) {
        // Questions that were under way together are one failure.
        if self.closed_until.is_some() && !self.on_trial {
            return;
        }
        self.closed_until = Some(now + self.backoff.next(fraction));
        self.on_trial = false;
    }

    /// Whether it failed when it was last asked.
    pub(super) fn has_failed(&self) -> bool {
        self.closed_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Circuit, LONGEST, TRIAL};
    use std::time::{Duration, Instant};

    /// The longest first pause.
    const FIRST: Duration = Duration::from_secs(1);

    #[test]
    fn one_question_tries_a_socket_that_failed() {
        let (mut circuit, now) = (Circuit::default(), Instant::now());
        assert!(circuit.permit(now) && circuit.permit(now));
        circuit.fail(now, 1.0);
        assert!(!circuit.permit(now + FIRST - Duration::from_millis(1)));
        let due = now + FIRST;
        assert!(circuit.permit(due));
        assert!(!circuit.permit(due));
        circuit.fail(due, 1.0);
        assert!(!circuit.permit(due + FIRST) && circuit.permit(due + 2 * FIRST));
        circuit.succeed();
        assert!(circuit.permit(due) && !circuit.has_failed());
    }

    #[test]
    fn failures_at_the_same_time_are_one() {
        let (mut circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..16 {
            circuit.fail(now, 1.0);
        }
        assert!(circuit.permit(now + FIRST));
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
