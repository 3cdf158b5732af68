//! By what a file is known to have stayed as it was.

use rustix::fd::AsFd;
use rustix::io::Errno;

/// Size and times of an open file. Taken before the file is parsed, and compared whenever bytes of it were read.
///
/// Two writes within one tick of the kernel's clock, at most 10 ms, leave the same times on kernels before 6.13; so
/// a file that was written right before its stamp may change once more unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// `st_mtime`: seconds and nanoseconds.
    modified: (i64, u64),
    /// `st_ctime`, which no user of the file can set.
    changed: (i64, u64),
}

impl Stamp {
    /// Asks the descriptor.
    pub fn of(file: impl AsFd) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self {
            size: u64::try_from(stat.st_size).map_err(|_| Errno::OVERFLOW)?,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        })
    }

    /// Whether size and modification time are those of another stamp. If only `st_ctime` differs, the file got or lost
    /// a name, as when it is deleted, or another owner or mode; or somebody wrote to it and set its time back.
    pub fn seems_same(&self, other: &Self) -> bool {
        (self.size, self.modified) == (other.size, other.modified)
    }
}
