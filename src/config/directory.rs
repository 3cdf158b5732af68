//! Directories that the operator names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An absolute path: a service has no directory that a relative one could mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(PathBuf);

impl Directory {
    /// Borrows the path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path itself.
    pub fn into_path(self) -> PathBuf {
        self.0
    }
}

impl From<PathBuf> for Directory {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

/// Not the path of a directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no absolute path")]
pub struct DirectoryError {
    /// What was written.
    pub given: String,
}

impl FromStr for Directory {
    type Err = DirectoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') && !text.contains('\0') {
            Ok(Self(text.into()))
        } else {
            Err(DirectoryError { given: text.into() })
        }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::Directory;
    use std::path::Path;

    #[test]
    fn only_absolute_paths() {
        assert_eq!("/var/tmp".parse::<Directory>().unwrap().into_path(), Path::new("/var/tmp"));
        for text in ["", "tmp", "./tmp", "/tmp\0"] {
            assert!(text.parse::<Directory>().is_err(), "{text:?}");
        }
    }
}
