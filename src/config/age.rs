//! For how long something is kept.

use super::duration::{self, ParseDurationError};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// An age, from a minute to ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(Duration);

impl Age {
    const MIN: Duration = Duration::from_secs(60);
    const MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

    /// This many hours; at least one.
    pub const fn hours(number: u32) -> Self {
        Self(Duration::from_secs(number as u64 * 3600))
    }

    /// The age itself.
    pub fn get(self) -> Duration {
        self.0
    }
}

/// Not an age.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// Not a duration at all.
    #[error(transparent)]
    Duration(#[from] ParseDurationError),
    /// Too short or too long.
    #[error("{given:?} is out of range: {} to {}", duration::display(Age::MIN), duration::display(Age::MAX))]
    Range {
        /// What was written.
        given: String,
    },
}

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let age = duration::parse(text)?;
        if (Self::MIN..=Self::MAX).contains(&age) {
            Ok(Self(age))
        } else {
            Err(AgeError::Range { given: text.into() })
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        duration::display(self.0).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::Age;
    use std::time::Duration;

    #[test]
    fn ages() {
        assert_eq!("168h".parse::<Age>().unwrap(), Age::hours(168));
        assert_eq!("1m".parse::<Age>().unwrap().get(), Duration::from_secs(60));
        for text in ["59s", "87841h", "1", ""] {
            assert!(text.parse::<Age>().is_err(), "{text:?}");
        }
    }
}
