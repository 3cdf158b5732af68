//! Amounts of memory or disk: `64MiB`, `1GiB`.

use std::fmt;
use std::str::FromStr;

/// Units, largest first, in bytes.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of bytes, at least 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// Less holds not even one message.
    const MIN: u64 = 1 << 20;
    /// Beyond any disk: so that sums never overflow.
    const MAX: u64 = 1 << 50;

    /// This many MiB; at least one.
    pub const fn mebibytes(number: u32) -> Self {
        Self((number as u64) << 20)
    }

    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// Not an amount of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no size from 1MiB to 1048576GiB such as 64MiB or 1GiB")]
pub struct ByteSizeError {
    /// What was written.
    given: String,
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = UNITS.iter().find_map(|(unit, scale)| {
            let number = text.strip_suffix(unit)?.trim_end();
            let number: u64 =
                number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
            number.checked_mul(*scale)
        });
        match bytes {
            Some(bytes @ Self::MIN..=Self::MAX) => Ok(Self(bytes)),
            _ => Err(ByteSizeError { given: text.into() }),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, scale)| self.0.is_multiple_of(*scale));
        // Whatever was read is a whole number of the smallest unit.
        let (unit, scale) = whole.unwrap_or(&UNITS[UNITS.len() - 1]);
        write!(formatter, "{}{unit}", self.0 / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn a_size_is_read_and_written() {
        for (text, bytes, written) in [
            ("1MiB", 1 << 20, "1MiB"),
            ("64 MiB", 64 << 20, "64MiB"),
            ("1024MiB", 1 << 30, "1GiB"),
            ("1500KiB", 1500 << 10, "1500KiB"),
            ("1048576GiB", 1 << 50, "1048576GiB"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, written), "{text}");
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        for text in [
            "",
            "MiB",
            "0MiB",
            "1023KiB",
            "-1MiB",
            "+1MiB",
            "1.5GiB",
            "64",
            "64MB",
            "1048577GiB",
            "99999999999GiB",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?}");
        }
    }
}
