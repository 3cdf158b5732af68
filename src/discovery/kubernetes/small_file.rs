//! Files of credentials: small, and read again whenever they are needed, since others replace them.

use crate::disk::small_file;
use std::io;
use std::path::{Path, PathBuf};

/// A file that could not be read whole.
#[derive(Debug, thiserror::Error)]
#[error("{path:?} {problem}")]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub problem: FileProblem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// A directory, a FIFO, a device.
    #[error("is no regular file")]
    NotRegular,
    /// Nothing in it, or white space alone.
    #[error("is empty")]
    Empty,
    /// Too long for what it should be.
    #[error("has over {0} bytes")]
    TooLong(u64),
    /// Bytes that are no text.
    #[error("is not UTF-8 text")]
    NotText,
}

impl FileError {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(&self.problem, FileProblem::Read(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a file of at most `longest` bytes. It never waits for a writer of a FIFO, and never reads a device.
pub(super) fn read(path: &Path, longest: u64) -> Result<Vec<u8>, FileError> {
    read_bytes(path, longest).map_err(|problem| FileError { path: path.into(), problem })
}

/// The same, as text without the white space around it.
pub(super) fn read_trimmed(path: &Path, longest: u64) -> Result<String, FileError> {
    let failed = |problem| FileError { path: path.into(), problem };
    let text = String::from_utf8(read(path, longest)?).map_err(|_| failed(FileProblem::NotText))?;
    match text.trim() {
        "" => Err(failed(FileProblem::Empty)),
        text => Ok(text.to_owned()),
    }
}

fn read_bytes(path: &Path, longest: u64) -> Result<Vec<u8>, FileProblem> {
    let bytes = small_file::read(path, longest).map_err(|error| match error {
        small_file::FileError::Read(error) => FileProblem::Read(error),
        small_file::FileError::NotRegular => FileProblem::NotRegular,
        small_file::FileError::TooLong(longest) => FileProblem::TooLong(longest),
        small_file::FileError::Late(_) => FileProblem::Read(io::ErrorKind::TimedOut.into()),
    })?;
    if bytes.is_empty() { Err(FileProblem::Empty) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::{read, read_trimmed};
    use std::fs;

    #[test]
    fn what_is_no_small_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        fs::write(path("empty"), "").unwrap();
        fs::write(path("blank"), "\r\n\n").unwrap();
        fs::write(path("long"), "x".repeat(11)).unwrap();
        fs::write(path("binary"), b"\xff\xfe").unwrap();
        let cases = [
            ("missing", "cannot be read: No such file or directory"),
            (".", "is no regular file"),
            ("fifo", "is no regular file"),
            ("empty", "is empty"),
            ("blank", "is empty"),
            ("long", "has over 10 bytes"),
            ("binary", "is not UTF-8 text"),
        ];
        for (name, expected) in cases {
            let error = read_trimmed(&path(name), 10).unwrap_err();
            assert_eq!(error.is_missing(), name == "missing");
            let text = error.to_string();
            assert!(text.contains(expected) && text.contains(&format!("{:?}", path(name))), "{text}");
        }
    }

    #[test]
    fn line_ends_are_no_part_of_a_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for text in ["abc", "abc\n", "abc\r\n", " abc\n\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_trimmed(&path, 10).unwrap(), "abc");
        }
        assert_eq!(read(&path, 10).unwrap(), b" abc\n\n");
    }
}
