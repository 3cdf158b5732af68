//! Files that the operator names, or leaves to be found.

use super::directory::{Directory, DirectoryError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An absolute path, or none: an empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePath(Option<PathBuf>);

impl FilePath {
    /// The path, if one was named.
    pub fn get(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

impl FromStr for FilePath {
    type Err = DirectoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|path: Directory| Self(Some(path.into_path())))
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(path) => path.display().fmt(formatter),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FilePath;
    use std::path::Path;

    #[test]
    fn an_absolute_path_or_nothing() {
        let parsed = |text: &str| text.parse::<FilePath>().unwrap();
        assert_eq!(parsed("/run/a.sock").get(), Some(Path::new("/run/a.sock")));
        assert_eq!(parsed("").get(), None);
        for text in ["", "/run/a.sock"] {
            assert_eq!(parsed(text).to_string(), text);
        }
        assert_eq!("a".parse::<FilePath>().unwrap_err().to_string(), r#""a" is no absolute path"#);
    }
}
