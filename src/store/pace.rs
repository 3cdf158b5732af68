//! When the store is asked next, and with how much, by how it has answered so far. Pure.

use super::retry::Verdict;
use crate::backoff::Backoff;
use std::time::Duration;

/// Pauses after failures.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// Until a store that does not know the agent is asked again. The first time it may be an old token.
const DENIED: Duration = Duration::from_secs(300);
const DENIED_FIRST: Duration = Duration::from_secs(1);
/// Until a store is asked again that refuses everything.
const REFUSED: Duration = Duration::from_secs(60);
/// Longest time between two requests to a store that has too much to do.
const SLOWEST: Duration = Duration::from_secs(300);
/// Fewest bytes that one request is cut down to.
const LEAST_BYTES: u64 = 256 << 10;
/// Batches in time after which twice as much is sent again.
const IN_TIME: u32 = 8;
/// Tries of a batch that the store fails on.
const FEW: u32 = 3;

/// What becomes of a batch that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits, and so does everything else, for so long.
    Wait(Duration),
    /// It is sent in two halves, at once.
    Halve,
    /// The store does not take something in it: that is looked for by parts.
    Part,
}

/// How the store has answered so far.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    bytes: u64,
    /// Times that it was told to slow down.
    slowed: u32,
    /// Times that it had no answer in time, or was sent too much otherwise.
    late: u32,
    /// Times in a row that the connection broke on a request.
    broken: u32,
    backoff: Backoff,
    /// Batches that it took since it had no answer in time.
    in_time: u32,
    denied: bool,
    few: u32,
}

impl Pace {
    /// A request each `interval`, of at most so many bytes.
    pub fn new(interval: Duration, bytes: u64) -> Self {
        Self {
            interval,
            bytes,
            slowed: 0,
            late: 0,
            broken: 0,
            backoff: Backoff::new(SHORTEST, LONGEST),
            in_time: 0,
            denied: false,
            few: 0,
        }
    }

    /// Time from one request to the next while all is well.
    pub fn interval(&self) -> Duration {
        self.interval.saturating_mul(2_u32.saturating_pow(self.slowed)).min(SLOWEST.max(self.interval))
    }

    /// Most bytes of one request.
    pub fn bytes(&self) -> u64 {
        (self.bytes >> self.late).max(LEAST_BYTES.min(self.bytes))
    }

    fn send_less(&mut self) {
        self.in_time = 0;
        if self.bytes() > LEAST_BYTES {
            self.late += 1;
        }
    }

    /// Whether the store has told that it has too much to do.
    pub fn is_slowed(&self) -> bool {
        self.slowed > 0
    }

    /// Whether the store does not know the agent.
    pub fn is_denied(&self) -> bool {
        self.denied
    }

    /// The store took no part of a batch. Returns how long to wait.
    pub fn refuse_all(&mut self, fraction: f64) -> Duration {
        self.few = 0;
        jittered(REFUSED, fraction)
    }

    /// The store took a batch.
    pub fn succeed(&mut self) {
        self.slowed = self.slowed.saturating_sub(1);
        self.in_time += 1;
        if self.in_time >= IN_TIME {
            self.in_time = 0;
            self.late = self.late.saturating_sub(1);
        }
        self.backoff.reset();
        self.denied = false;
        self.few = 0;
        self.broken = 0;
    }

    /// The store did not take a batch. `fraction` is a random number from 0 to 1.
    pub fn fail(&mut self, verdict: Verdict, fraction: f64) -> Fate {
        self.denied &= verdict == Verdict::Denied;
        match verdict {
            Verdict::Retry => Fate::Wait(self.backoff.next(fraction)),
            Verdict::Late => {
                self.send_less();
                Fate::Wait(self.backoff.next(fraction))
            }
            Verdict::Broken => {
                self.broken += 1;
                // It may be what is sent that breaks it.
                if self.broken >= FEW {
                    self.broken = 0;
                    self.send_less();
                }
                Fate::Wait(self.backoff.next(fraction))
            }
            Verdict::After(pause) => Fate::Wait(jittered(pause.max(SHORTEST), fraction)),
            Verdict::SlowDown => {
                let before = self.interval();
                self.slowed += 1;
                if self.interval() == before {
                    self.slowed -= 1; // or it would take as long again until it is faster
                }
                Fate::Wait(jittered(self.interval(), fraction))
            }
            Verdict::Split => {
                self.send_less();
                Fate::Halve
            }
            Verdict::Denied if self.denied => Fate::Wait(jittered(DENIED, fraction)),
            Verdict::Denied => {
                self.denied = true;
                Fate::Wait(DENIED_FIRST)
            }
            Verdict::Refused => Fate::Part,
            Verdict::RetryFew => {
                self.few += 1;
                if self.few < FEW {
                    return Fate::Wait(self.backoff.next(fraction));
                }
                self.few = 0;
                Fate::Part
            }
        }
    }
}

/// A fleet that was told the same does not come back as one.
fn jittered(pause: Duration, fraction: f64) -> Duration {
    pause.mul_f64(1.0 + fraction / 4.0)
}

#[cfg(test)]
mod tests {
    use super::{DENIED, DENIED_FIRST, Fate, IN_TIME, LEAST_BYTES, Pace};
    use crate::store::retry::Verdict;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> Pace {
        Pace::new(10 * SECOND, 16 << 20)
    }

    #[test]
    fn a_store_that_has_too_much_to_do_is_asked_less_often_and_recovers() {
        let mut pace = pace();
        for seconds in [20, 40, 80, 160, 300, 300, 300] {
            assert_eq!(pace.fail(Verdict::SlowDown, 0.0), Fate::Wait(seconds * SECOND));
            assert_eq!((pace.interval(), pace.is_slowed()), (seconds * SECOND, true));
        }
        for _ in 0..5 {
            pace.succeed();
        }
        assert_eq!((pace.interval(), pace.is_slowed()), (10 * SECOND, false));
    }

    /// The same request would fail each time, and nothing would ever arrive.
    #[test]
    fn who_is_late_gets_less_at_a_time_until_it_is_not() {
        let mut pace = pace();
        for bytes in [8 << 20, 4 << 20, 2 << 20, 1 << 20, 512 << 10, LEAST_BYTES, LEAST_BYTES] {
            assert!(matches!(pace.fail(Verdict::Late, 1.0), Fate::Wait(_)));
            assert_eq!((pace.interval(), pace.bytes()), (10 * SECOND, bytes));
        }
        for _ in 1..IN_TIME {
            pace.succeed();
        }
        assert_eq!(pace.bytes(), LEAST_BYTES, "a few batches in time say little");
        for _ in 0..IN_TIME * 6 {
            pace.succeed();
        }
        assert_eq!(pace.bytes(), 16 << 20);
    }

    #[test]
    fn what_breaks_the_connection_again_and_again_is_sent_in_less() {
        let mut pace = pace();
        for bytes in [16 << 20, 16 << 20, 8 << 20, 8 << 20, 8 << 20, 4 << 20] {
            assert!(matches!(pace.fail(Verdict::Broken, 1.0), Fate::Wait(_)));
            assert_eq!(pace.bytes(), bytes);
        }
        assert_eq!(pace.fail(Verdict::Split, 1.0), Fate::Halve);
        assert_eq!(pace.bytes(), 2 << 20, "what is too long is not sent as long again");
    }

    #[test]
    fn who_is_denied_tries_once_more_with_a_new_token_and_then_rarely() {
        let mut pace = pace();
        assert_eq!(pace.fail(Verdict::Denied, 0.0), Fate::Wait(DENIED_FIRST));
        assert_eq!(pace.fail(Verdict::Denied, 0.0), Fate::Wait(DENIED));
        pace.succeed();
        assert_eq!(pace.fail(Verdict::Denied, 0.0), Fate::Wait(DENIED_FIRST));
        pace.fail(Verdict::Retry, 0.0);
        assert_eq!(pace.fail(Verdict::Denied, 0.0), Fate::Wait(DENIED_FIRST), "it is another store by now");
    }

    #[test]
    fn what_the_store_fails_on_is_looked_for_after_a_few_tries() {
        let mut pace = pace();
        assert!(matches!(pace.fail(Verdict::RetryFew, 1.0), Fate::Wait(_)));
        assert!(matches!(pace.fail(Verdict::RetryFew, 1.0), Fate::Wait(_)));
        assert_eq!(pace.fail(Verdict::RetryFew, 1.0), Fate::Part);
        assert!(matches!(pace.fail(Verdict::RetryFew, 1.0), Fate::Wait(_)), "the next one has its own tries");
        assert_eq!(pace.fail(Verdict::Refused, 1.0), Fate::Part);
        assert_eq!(pace.fail(Verdict::Split, 1.0), Fate::Halve);
    }

    #[test]
    fn pauses_grow_and_are_never_none() {
        let mut pace = pace();
        let mut last = Duration::ZERO;
        for _ in 0..9 {
            let Fate::Wait(pause) = pace.fail(Verdict::Retry, 1.0) else { panic!("lost") };
            assert!(pause >= last && pause <= 60 * SECOND);
            last = pause;
        }
        assert_eq!(last, 60 * SECOND);
        assert_eq!(pace.fail(Verdict::After(Duration::ZERO), 0.0), Fate::Wait(Duration::from_millis(500)));
        assert_eq!(pace.fail(Verdict::After(4 * SECOND), 1.0), Fate::Wait(5 * SECOND));
    }
}
