//! Lists of directories, and of patterns of paths.

use super::directory::{Directory, DirectoryError};
use super::list::List;
use std::str::FromStr;

/// Directories, in the order in which they are looked into.
pub type Directories = List<DirectoryName>;
/// Patterns, of which any may match.
pub type PathPatterns = List<PathPattern>;

/// An absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryName(String);

impl FromStr for DirectoryName {
    type Err = DirectoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Directory>().map(|_| Self(text.to_owned()))
    }
}

impl AsRef<str> for DirectoryName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A path in which `*` stands for any letters, slashes too, and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(String);

/// Not a pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no pattern of paths: it begins with / or *")]
pub struct PathPatternError {
    /// What was written.
    given: String,
}

impl FromStr for PathPattern {
    type Err = PathPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with(['/', '*']) && !text.contains('\0') {
            Ok(Self(text.to_owned()))
        } else {
            Err(PathPatternError { given: text.into() })
        }
    }
}

impl AsRef<str> for PathPattern {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
