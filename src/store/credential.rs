//! The token that the store demands: given once, or in a file that is read again when it changes, as a cluster gives
//! its pods tokens that live for an hour.

use crate::disk::small_file::{self, FileError};
use crate::token::{BearerToken, BearerTokenError};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest file that is read. A token is a tenth of it.
const MAX_BYTES: u64 = 64 << 10;

/// Where the token comes from.
#[derive(Debug)]
pub enum Credential {
    /// It does not change; there may be none.
    Fixed(BearerToken),
    /// It is what this file holds.
    File {
        /// The file.
        path: PathBuf,
        /// What it held when it was last read. Nobody holds the lock while it waits for a disk.
        read: Mutex<Option<Known>>,
    },
}

/// A token that was read.
#[derive(Clone, Debug)]
pub struct Known {
    token: BearerToken,
    version: Version,
    /// The store refused it: the file is read again whether it looks changed or not.
    is_refused: bool,
}

/// Device, inode, bytes and the time of the last change: a file that was replaced or written has another version.
type Version = (u64, u64, u64, i64, i64);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The system does not give the file.
    #[error("the file of the bearer token, {}, cannot be read", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory, a FIFO, a device.
    #[error("{} is no regular file", path.display())]
    NotRegular {
        /// Where.
        path: PathBuf,
    },
    /// Its disk, or the server of its mount, does not answer.
    #[error("the file of the bearer token, {}, is not read within {} s", path.display(), deadline.as_secs())]
    Late {
        /// Where.
        path: PathBuf,
        /// How long it had.
        deadline: Duration,
    },
    /// Nothing in it.
    #[error("{} is empty", path.display())]
    Empty {
        /// Where.
        path: PathBuf,
    },
    /// Another text.
    #[error("what {} holds {source}", path.display())]
    NoToken {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: BearerTokenError,
    },
}

impl Credential {
    /// What a file holds.
    pub fn file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), read: Mutex::default() }
    }

    /// The token as it is now. It may wait for a disk.
    pub fn token(&self) -> Result<BearerToken, CredentialError> {
        let (path, read) = match self {
            Self::Fixed(token) => return Ok(token.clone()),
            Self::File { path, read } => (path, read),
        };
        let (file, version) = open(path)?;
        if let Some(known) = lock(read).as_ref().filter(|known| known.version == version && !known.is_refused)
        {
            return Ok(known.token.clone());
        }
        let token = token_of(path, file)?;
        *lock(read) = Some(Known { token: token.clone(), version, is_refused: false });
        Ok(token)
    }

    /// The file, if there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Fixed(_) => None,
            Self::File { path, .. } => Some(path),
        }
    }

    /// Whether the file is not the one that was read last, as far as one can see without reading it. It may wait for a
    /// disk.
    pub fn has_changed(&self) -> bool {
        let Self::File { path, read } = self else { return false };
        let opened = open(path);
        let known = lock(read).as_ref().map(|known| known.version);
        opened.is_ok_and(|(_, version)| known != Some(version))
    }

    /// Has the file read again whether it looks changed or not: the store refused what it held.
    pub fn forget(&self) {
        if let Self::File { read, .. } = self
            && let Some(known) = &mut *lock(read)
        {
            known.is_refused = true;
        }
    }
}

fn lock(read: &Mutex<Option<Known>>) -> MutexGuard<'_, Option<Known>> {
    read.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(path: &Path) -> Result<(File, Version), CredentialError> {
    let (file, status) = small_file::open(path).map_err(|error| {
        let path = path.to_owned();
        match error {
            FileError::NotRegular => CredentialError::NotRegular { path },
            FileError::Read(source) => CredentialError::Read { path, source },
            // Opening tells nothing else.
            error => CredentialError::Read { path, source: io::Error::other(error) },
        }
    })?;
    let version = (status.dev(), status.ino(), status.size(), status.mtime(), status.mtime_nsec());
    Ok((file, version))
}

fn token_of(path: &Path, file: File) -> Result<BearerToken, CredentialError> {
    let path = || path.to_owned();
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| CredentialError::Read { path: path(), source })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CredentialError::NoToken { path: path(), source: BearerTokenError::Syntax })?;
    let token: BearerToken =
        text.parse().map_err(|source| CredentialError::NoToken { path: path(), source })?;
    if token.is_empty() { Err(CredentialError::Empty { path: path() }) } else { Ok(token) }
}

#[cfg(test)]
mod tests {
    use super::Credential;
    use std::fs;

    #[test]
    fn a_file_is_read_again_when_it_changes_or_was_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let credential = Credential::file(&path);
        fs::write(&path, "first\r\n").unwrap();
        let secret = || credential.token().unwrap().secret().map(str::to_owned);
        assert_eq!(secret().as_deref(), Some("first"));
        // As a cluster does it: another file takes its place.
        let next = directory.path().join("next");
        fs::write(&next, "other").unwrap();
        fs::rename(&next, &path).unwrap();
        assert_eq!(secret().as_deref(), Some("other"));
        credential.forget();
        assert_eq!(secret().as_deref(), Some("other"));
    }

    #[test]
    fn what_is_no_token_is_named_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let shown = path.display().to_string();
        let error = |path| {
            let error = Credential::file(path).token().unwrap_err();
            crate::text::error_chain(&error)
        };
        assert!(error(&path).starts_with(&format!("the file of the bearer token, {shown}, cannot be read")));
        for (content, reason) in [
            ("", "is empty"),
            ("\n", "is empty"),
            ("my secret", "holds is no token"),
            ("\u{feff}secret", "holds is no token"),
            (&*"x".repeat(100_000), "holds is longer than"),
        ] {
            fs::write(&path, content).unwrap();
            let error = error(&path);
            assert!(error.contains(&shown) && error.contains(reason) && !error.contains("secret"), "{error}");
        }
        assert_eq!(error(directory.path()), format!("{} is no regular file", directory.path().display()));
    }
}
