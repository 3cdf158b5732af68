//! How often samples are taken.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::Frequency;
    use std::time::Duration;

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
