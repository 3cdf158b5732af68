//! Certificates and keys: given as they are, or as files that others renew.

use super::small_file::{self, FileError};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// Longest file of certificates: a bundle of all public authorities has about 250 KiB.
const MAX_BYTES: u64 = 4 << 20;

/// PEM text. Debug output shows none of it.
pub(super) enum Material {
    Given(Vec<u8>),
    File(PathBuf),
}

impl Material {
    /// The text as it is now.
    pub(super) fn read(&self) -> Result<Cow<'_, [u8]>, FileError> {
        match self {
            Self::Given(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::File(path) => small_file::read(path, MAX_BYTES).map(Cow::Owned),
        }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(bytes) => write!(formatter, "Given({} bytes)", bytes.len()),
            Self::File(path) => write!(formatter, "File({path:?})"),
        }
    }
}
