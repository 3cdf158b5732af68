//! How often samples are taken, for how long, and by which BPF object.

use super::duration::{self, ParseDurationError};
use crate::choice::{self, NotAmong};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Length of one profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowDuration(Duration);

impl WindowDuration {
    /// 10 s: what a store of profiles expects of a scrape.
    pub const DEFAULT: Self = Self(Duration::from_secs(10));
    /// 1 s: shorter windows cost more in labels and tables than they hold in samples.
    const MIN: Duration = Duration::from_secs(1);
    /// 10 min: what a crash may cost, and how long a change waits to be seen.
    const MAX: Duration = Duration::from_secs(600);

    /// The length itself.
    pub fn get(self) -> Duration {
        self.0
    }
}

/// Not the length of a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowDurationError {
    /// Not a duration at all.
    #[error(transparent)]
    Duration(#[from] ParseDurationError),
    /// Too short or too long.
    #[error(
        "{given:?} is out of range: {} to {}",
        duration::display(WindowDuration::MIN),
        duration::display(WindowDuration::MAX)
    )]
    Range {
        /// What was written.
        given: String,
    },
}

impl FromStr for WindowDuration {
    type Err = WindowDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = duration::parse(text)?;
        if (Self::MIN..=Self::MAX).contains(&length) {
            Ok(Self(length))
        } else {
            Err(WindowDurationError::Range { given: text.into() })
        }
    }
}

impl fmt::Display for WindowDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        duration::display(self.0).fmt(formatter)
    }
}

/// Samples a second on each CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency(u32);

impl Frequency {
    /// 100 a second: 1000 samples of each busy CPU in a profile of 10 s.
    pub const DEFAULT: Self = Self(100);
    /// One sample takes a few microseconds: at 10 000 a second they are some percent of a CPU, and more
    /// would mostly measure the agent. The kernel may allow less (`kernel.perf_event_max_sample_rate`).
    const MAX: u32 = 10_000;

    /// Samples a second.
    pub fn hertz(self) -> u32 {
        self.0
    }

    /// Time between two samples: what one sample stands for.
    pub fn period(self) -> Duration {
        Duration::from_nanos(1_000_000_000 / u64::from(self.0))
    }
}

/// Not a frequency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no whole number from 1 to {}", Frequency::MAX)]
pub struct FrequencyError {
    /// What was written.
    pub given: String,
}

impl FromStr for Frequency {
    type Err = FrequencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(hertz @ 1..=Self::MAX) if !text.starts_with('+') => Ok(Self(hertz)),
            _ => Err(FrequencyError { given: text.into() }),
        }
    }
}

impl From<Frequency> for u32 {
    fn from(frequency: Frequency) -> Self {
        frequency.hertz()
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A BPF object that is loaded without a probe, to test it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForcedObject {
    /// Ring buffer and raw samples.
    Modern,
    /// What kernel 4.18 can run.
    Baseline,
}

const OBJECTS: [(&str, ForcedObject); 2] =
    [("modern", ForcedObject::Modern), ("baseline", ForcedObject::Baseline)];

impl FromStr for ForcedObject {
    type Err = NotAmong;

    fn from_str(text: &str) -> Result<Self, NotAmong> {
        choice::choose(text, &OBJECTS)
    }
}

impl fmt::Display for ForcedObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(choice::word(*self, &OBJECTS))
    }
}

#[cfg(test)]
mod tests {
    use super::{Frequency, WindowDuration};
    use std::time::Duration;

    #[test]
    fn a_window_is_one_second_to_ten_minutes() {
        for text in ["1s", "10m", "600s"] {
            assert!(text.parse::<WindowDuration>().is_ok(), "{text}");
        }
        for text in ["999ms", "10m1ns", "0s"] {
            let error = text.parse::<WindowDuration>().unwrap_err().to_string();
            assert_eq!(error, format!("{text:?} is out of range: 1s to 10m"));
        }
    }

    #[test]
    fn frequencies() {
        for text in ["1", "99", "10000"] {
            assert_eq!(text.parse::<Frequency>().unwrap().to_string(), text);
        }
        for text in ["0", "10001", "-1", "+1", "1.5", "NaN", "", "99999999999999999999"] {
            let error = text.parse::<Frequency>().unwrap_err().to_string();
            assert_eq!(error, format!("{text:?} is no whole number from 1 to 10000"));
        }
    }

    #[test]
    fn the_period_is_the_inverse_of_the_frequency() {
        assert_eq!(Frequency::DEFAULT.period(), Duration::from_millis(10));
    }
}
