//! Files that somebody else writes and renews, such as a token. Reading one never waits for a writer of a FIFO and never
//! reads a device; it may wait for a disk, or for ever for a mount whose server is gone.

use rustix::fs::OFlags;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Why a file is of no use. Whoever tells it names the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system does not give it.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// A directory, a FIFO, a device.
    #[error("it is no regular file")]
    NotRegular,
    /// More than such a file has.
    #[error("it has over {0} bytes")]
    TooLong(u64),
    /// Its disk, or the server of its mount, does not answer.
    #[error("it is not read within {} s", .0.as_secs())]
    Late(Duration),
}

/// Opens a file, and tells what it is.
pub fn open(path: &Path) -> Result<(File, Metadata), FileError> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(FileError::NotRegular) }
}

/// Reads a file of at most `longest` bytes.
pub fn read(path: &Path, longest: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    // One more, so that a file that grows meanwhile is noticed too.
    open(path)?.0.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest { Err(FileError::TooLong(longest)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::{FileError, read};
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::fs;

    #[test]
    fn what_is_no_small_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(read(&path("fifo"), 10), Err(FileError::NotRegular)));
        assert!(matches!(read(folder.path(), 10), Err(FileError::NotRegular)));
        assert!(matches!(read(&path("missing"), 10), Err(FileError::Read(_))));
        fs::write(path("full"), "0123456789").unwrap();
        assert_eq!(read(&path("full"), 10).unwrap(), b"0123456789");
        fs::write(path("long"), "0123456789a").unwrap();
        assert!(matches!(read(&path("long"), 10), Err(FileError::TooLong(10))));
    }
}
