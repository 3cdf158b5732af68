//! How often the worker may be started anew, so that files made to kill it cost the host little.

use std::time::{Duration, Instant};

/// Starts that may follow one another at once.
const BURST: u32 = 30;

/// Time that earns one more start: 30 a minute.
const EARNED_IN: Duration = Duration::from_secs(2);

/// Starts left, and since when.
#[derive(Debug)]
pub struct Pace {
    left: u32,
    counted_at: Instant,
}

impl Pace {
    /// The whole burst is left.
    pub fn new(now: Instant) -> Self {
        Self { left: BURST, counted_at: now }
    }

    /// Takes one start, or tells how long to wait for it.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let elapsed = now.saturating_duration_since(self.counted_at);
        let earned = u32::try_from(elapsed.as_secs() / EARNED_IN.as_secs()).unwrap_or(u32::MAX);
        if earned >= BURST - self.left {
            self.left = BURST;
            self.counted_at = now;
        } else {
            self.left += earned;
            self.counted_at += EARNED_IN * earned;
        }
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| EARNED_IN.saturating_sub(now.saturating_duration_since(self.counted_at)))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, EARNED_IN, Pace};
    use std::time::{Duration, Instant};

    #[test]
    fn after_the_burst_starts_are_earned_by_time() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..BURST {
            assert_eq!(pace.take(start), Ok(()));
        }
        assert_eq!(pace.take(start), Err(EARNED_IN));
        assert_eq!(pace.take(start + Duration::from_millis(500)), Err(Duration::from_millis(1500)));
        assert_eq!(pace.take(start + EARNED_IN), Ok(()));
        assert_eq!(pace.take(start + EARNED_IN), Err(EARNED_IN));
    }

    #[test]
    fn a_minute_never_sees_more_than_the_burst_and_what_it_earns() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let taken = (0..60_000).filter(|ms| pace.take(start + Duration::from_millis(*ms)).is_ok()).count();
        assert_eq!(taken, 30 + 29);
    }

    #[test]
    fn rest_restores_the_burst_and_no_more() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..BURST {
            assert!(pace.take(start).is_ok());
        }
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| pace.take(later).is_ok()).count(), 30);
    }
}
