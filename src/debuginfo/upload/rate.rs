//! How fast debug information leaves the host.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time whose bytes may be saved up while nothing is sent.
const BURST: Duration = Duration::from_millis(250);

/// When the next bytes may go, at a rate. Pure: the clock is brought along.
///
/// Bytes that are taken push the time at which the line is free again; who comes before that time waits until then.
/// So whoever takes first goes first, and nobody has to be told when others have finished.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Bytes a second.
    rate: NonZeroU64,
    /// When all that was taken is out; `None` if nothing was.
    free: Option<Instant>,
}

impl Bucket {
    /// So many bytes a second.
    pub fn new(rate: NonZeroU64) -> Self {
        Self { rate, free: None }
    }

    /// Takes bytes, and tells how long to wait before they are sent.
    pub fn take(&mut self, bytes: u64, now: Instant) -> Duration {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let begin = self.free.map_or(earliest, |free| free.max(earliest));
        let end = begin.checked_add(duration(bytes, self.rate)).unwrap_or(begin);
        self.free = Some(end);
        // The bytes have to be earned before they are sent.
        end.saturating_duration_since(now)
    }
}

/// Time that bytes take at a rate.
pub fn duration(bytes: u64, rate: NonZeroU64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The rate of all uploads together.
#[derive(Debug)]
pub struct Rate {
    bucket: Option<Mutex<Bucket>>,
    rate: Option<NonZeroU64>,
}

impl Rate {
    /// So many bytes a second; without a number, as fast as it goes.
    pub fn new(rate: Option<NonZeroU64>) -> Self {
        Self { bucket: rate.map(|rate| Mutex::new(Bucket::new(rate))), rate }
    }

    /// Takes bytes, and tells how long to wait before they are sent.
    pub fn take(&self, bytes: u64) -> Duration {
        self.bucket.as_ref().map_or(Duration::ZERO, |bucket| {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).take(bytes, Instant::now())
        })
    }

    /// Bytes a second.
    pub fn limit(&self) -> Option<NonZeroU64> {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, Bucket, Rate, duration};
    use std::num::NonZeroU64;
    use std::time::{Duration, Instant};

    fn rate(bytes: u64) -> NonZeroU64 {
        NonZeroU64::new(bytes).unwrap()
    }

    #[test]
    fn bytes_of_all_takers_go_at_the_rate() {
        let begun = Instant::now();
        let (mut bucket, mut now) = (Bucket::new(rate(1000)), begun);
        for _ in 0..100 {
            now += bucket.take(100, now);
        }
        assert_eq!(now - begun, Duration::from_secs(10) - BURST);
        // Two that take at once wait for each other.
        let (first, second) = (bucket.take(500, now), bucket.take(500, now));
        assert_eq!((first, second), (Duration::from_millis(500), Duration::from_secs(1)));
    }

    #[test]
    fn an_idle_line_saves_no_more_than_a_burst() {
        let begun = Instant::now();
        let mut bucket = Bucket::new(rate(1000));
        bucket.take(1000, begun);
        let later = begun + Duration::from_secs(3600);
        assert_eq!(bucket.take(250, later), Duration::ZERO);
        assert_eq!(bucket.take(100, later), Duration::from_millis(100));
    }

    #[test]
    fn no_size_and_no_rate_overflows() {
        assert_eq!(duration(u64::MAX, rate(1)), Duration::from_nanos(u64::MAX));
        let mut bucket = Bucket::new(rate(1));
        let now = Instant::now();
        for _ in 0..3 {
            bucket.take(u64::MAX, now);
        }
        assert_eq!(Rate::new(None).take(u64::MAX), Duration::ZERO);
    }
}
