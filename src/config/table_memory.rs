//! How much memory of the kernel unwind tables may take.

use std::fmt;
use std::str::FromStr;

/// Most bytes of unwind rows, in whole MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableMemory {
    mebibytes: u16,
}

impl TableMemory {
    /// 64 MiB: half as much again as all programs of a full desktop need.
    pub const DEFAULT: Self = Self { mebibytes: 64 };
    /// 1 MiB: what is allocated at a time.
    const MIN: u16 = 1;
    /// 256 MiB: as much as the kernel side can address.
    const MAX: u16 = 256;

    /// The number of bytes.
    pub fn bytes(self) -> usize {
        usize::from(self.mebibytes) << 20
    }
}

/// Not an amount of memory for unwind tables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no whole number of MiB from {}MiB to {}MiB", TableMemory::MIN, TableMemory::MAX)]
pub struct TableMemoryError {
    /// What was written.
    given: String,
}

impl FromStr for TableMemory {
    type Err = TableMemoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix("MiB").and_then(|number| number.trim_end().parse().ok());
        match number {
            Some(mebibytes @ Self::MIN..=Self::MAX) => Ok(Self { mebibytes }),
            _ => Err(TableMemoryError { given: text.into() }),
        }
    }
}

impl fmt::Display for TableMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}MiB", self.mebibytes)
    }
}

#[cfg(test)]
mod tests {
    use super::TableMemory;

    #[test]
    fn memory_is_a_whole_number_of_mebibytes() {
        for (text, bytes) in [("1MiB", 1 << 20), ("64 MiB", 64 << 20), ("256MiB", 256 << 20)] {
            assert_eq!(text.parse::<TableMemory>().unwrap().bytes(), bytes, "{text}");
        }
        for text in ["0MiB", "257MiB", "64", "64MB", "1.5MiB", "-1MiB", "MiB", ""] {
            let error = text.parse::<TableMemory>().unwrap_err().to_string();
            assert_eq!(error, format!("{text:?} is no whole number of MiB from 1MiB to 256MiB"));
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        assert_eq!(TableMemory::DEFAULT.to_string().parse(), Ok(TableMemory::DEFAULT));
    }
}
