//! Durations as people write them: `10s`, `1m30s`, `1.5h`, `500ms`.

use std::fmt;
use std::time::Duration;

/// Units, longest first, in nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// Not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDurationError {
    /// Not a row of numbers and units.
    #[error("{given:?} is no duration such as 10s, 1m30s or 500ms")]
    Syntax {
        /// What was written.
        given: String,
    },
    /// A number without a unit.
    #[error("{given:?} needs a unit: h, m, s, ms, us or ns")]
    NoUnit {
        /// What was written.
        given: String,
    },
    /// Over 584 years, which are 2^64 nanoseconds.
    #[error("{given:?} is too long")]
    TooLong {
        /// What was written.
        given: String,
    },
}

/// Reads one or more numbers, each with its unit.
pub fn parse(text: &str) -> Result<Duration, ParseDurationError> {
    let syntax = || ParseDurationError::Syntax { given: text.into() };
    let too_long = || ParseDurationError::TooLong { given: text.into() };
    let mut rest = text;
    let mut nanoseconds = 0u64;
    if rest.is_empty() {
        return Err(syntax());
    }
    while !rest.is_empty() {
        let number_end = rest
            .find(|letter: char| !is_number(letter))
            .ok_or_else(|| ParseDurationError::NoUnit { given: text.into() })?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(is_number).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(syntax)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
            return Err(syntax());
        }
        let part = whole
            .parse::<u64>()
            .ok()
            .and_then(|whole| whole.checked_mul(*scale))
            .and_then(|part| part.checked_add(scaled_fraction(fraction, *scale)));
        nanoseconds = part.and_then(|part| nanoseconds.checked_add(part)).ok_or_else(too_long)?;
        rest = tail;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn is_number(letter: char) -> bool {
    letter.is_ascii_digit() || letter == '.'
}

/// Nanoseconds of the digits behind the point; what is shorter than one is cut off.
fn scaled_fraction(digits: &str, scale: u64) -> u64 {
    let mut place = scale;
    digits
        .bytes()
        .map(|digit| {
            let tenths = place;
            place /= 10;
            tenths * u64::from(digit - b'0') / 10
        })
        .fold(0, u64::saturating_add)
}

/// Writes a duration so that [`parse`] reads the same: `1m30s`.
pub fn display(duration: Duration) -> impl fmt::Display {
    Human(duration)
}

struct Human(Duration);

impl fmt::Display for Human {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return formatter.write_str("0s");
        }
        for (unit, scale) in UNITS.iter().filter(|(unit, _)| *unit != "µs") {
            let count = rest / u128::from(*scale);
            rest %= u128::from(*scale);
            if count > 0 {
                write!(formatter, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{display, parse};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("0.25s", 250),
            ("1h1m1s1ms", 3_661_001),
            ("2000us", 2),
            ("3000µs", 3),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn no_durations() {
        let syntax = " is no duration such as 10s, 1m30s or 500ms";
        let unit = " needs a unit: h, m, s, ms, us or ns";
        for (text, reason) in [
            ("", syntax),
            ("s", syntax),
            ("-1s", syntax),
            ("+1s", syntax),
            ("1 s", syntax),
            ("1d", syntax),
            ("1..5s", syntax),
            (".5s", syntax),
            ("1.s", syntax),
            ("1s ", syntax),
            ("NaN", syntax),
            ("1e3s", syntax),
            ("10", unit),
            ("1m30", unit),
            ("18446744073709551616ns", " is too long"),
            ("9999999999999h", " is too long"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), format!("{text:?}{reason}"));
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(nanoseconds: u64) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse(&display(duration).to_string()), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[0-9.hmsuµn -]{0,40}") {
            let _ = parse(&text);
        }
    }
}
