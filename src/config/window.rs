//! For how long samples go into one profile.

use super::duration::{self, ParseDurationError};
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

#[cfg(test)]
mod tests {
    use super::WindowDuration;

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
}
