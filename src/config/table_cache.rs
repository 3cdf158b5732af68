//! Where unwind tables are kept from one run to the next.

use super::directory::{Directory, DirectoryError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A directory, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheDirectory {
    /// Tables are made anew each time.
    Off,
    /// An absolute path.
    At(Directory),
}

const OFF: &str = "off";

impl CacheDirectory {
    /// The path, if there is to be a cache.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Off => None,
            Self::At(directory) => Some(directory.path()),
        }
    }
}

/// Where a service of the system keeps what it can make again (file-hierarchy(7)).
impl Default for CacheDirectory {
    fn default() -> Self {
        Self::At(PathBuf::from("/var/cache/parca-agent").into())
    }
}

impl FromStr for CacheDirectory {
    type Err = DirectoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == OFF { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

impl fmt::Display for CacheDirectory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str(OFF),
            Self::At(directory) => directory.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CacheDirectory;
    use std::path::Path;

    #[test]
    fn a_path_or_off() {
        let parsed = |text: &str| text.parse::<CacheDirectory>().unwrap();
        assert_eq!(parsed("off").path(), None);
        assert_eq!(parsed("/var/tmp").path(), Some(Path::new("/var/tmp")));
        assert!("none".parse::<CacheDirectory>().is_err());
        for text in ["off", "/var/tmp"] {
            assert_eq!(parsed(text).to_string(), text);
        }
    }
}
