//! The directory of the spool, in which only files with names like ours are touched.

use crate::disk::private_directory::{DirectoryError, PrivateDirectory};
#[cfg(test)]
use crate::disk::space::Space;
#[cfg(test)]
use rustix::io::Errno;
use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the files of the spool end with.
const SUFFIX: &str = ".spool";

/// Digits of a sequence number in a name, all of them, so that names are in the order of numbers.
const DIGITS: usize = 20;

/// The number of a file. Later ones hold what came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence(pub u64);

/// As its file is named.
impl fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:0DIGITS$}{SUFFIX}", self.0)
    }
}

impl Sequence {
    /// Of a file's name; none if it is not one of ours.
    fn parse(name: &CStr) -> Option<Self> {
        let digits = name.to_str().ok()?.strip_suffix(SUFFIX)?;
        let ours = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| ours).map(Self)
    }

    /// The next one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The directory, which no other process uses as this one does.
#[derive(Debug)]
pub struct Folder {
    directory: PrivateDirectory,
    /// What a test has the disk answer.
    #[cfg(test)]
    pub(super) fault: Option<Fault>,
}

impl Folder {
    /// Makes the directory where there is none, and takes hold of it.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        Ok(Self {
            directory: PrivateDirectory::open(path, 0o700)?,
            #[cfg(test)]
            fault: None,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The numbers of all files, in order.
    pub fn sequences(&self) -> io::Result<Vec<Sequence>> {
        let names = self.directory.names()?;
        let mut sequences: Vec<_> = names.iter().filter_map(|name| Sequence::parse(name)).collect();
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// Bytes of a file; none if it is not a regular one.
    pub fn file_bytes(&self, sequence: Sequence) -> io::Result<Option<u64>> {
        self.directory.file_bytes(&sequence.to_string())
    }

    /// Makes a file, which stays one even if the host fails.
    pub fn create(&self, sequence: Sequence) -> io::Result<File> {
        self.disk(Change::Grow)?;
        let file = self.directory.create(&sequence.to_string())?;
        if let Err(error) = self.directory.sync() {
            let _ = self.remove(sequence); // empty, and found as such by the next agent
            return Err(error);
        }
        Ok(file)
    }

    /// Opens a file, to be changed where that can be.
    pub fn open_file(&self, sequence: Sequence) -> io::Result<File> {
        self.directory.open_file(&sequence.to_string())
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, sequence: Sequence) -> io::Result<()> {
        self.disk(Change::Keep)?;
        self.directory.remove(&sequence.to_string())
    }

    /// Fails if so many bytes more would not leave enough of the disk to others.
    pub fn check_space(&mut self, bytes: u64) -> io::Result<()> {
        self.directory.check_space(bytes)
    }

    /// Has the disk say how much of it is free.
    #[cfg(test)]
    pub(super) fn tell_space(&mut self, space: Space) {
        self.directory.space = Some(space);
    }

    /// Writes to a file. Where it fails, a part may be there.
    pub fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.disk(Change::Grow) {
            file.write_all_at(bytes.get(..bytes.len() / 2).unwrap_or_default(), offset)?;
            return Err(error);
        }
        file.write_all_at(bytes, offset)
    }

    /// Writes over a part of a file.
    pub fn overwrite(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk(Change::Keep)?;
        file.write_all_at(bytes, offset)
    }

    /// Cuts a file.
    pub fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        self.disk(Change::Keep)?;
        file.set_len(length)
    }

    /// Stands before each change of the disk, for tests to have it fail.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "it fails in tests only")]
    fn disk(&self, _: Change) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn disk(&self, change: Change) -> io::Result<()> {
        match (self.fault, change) {
            (Some(Fault::Full), Change::Grow) => Err(Errno::NOSPC.into()),
            (Some(Fault::ReadOnly), _) => Err(Errno::ROFS.into()),
            _ => Ok(()),
        }
    }
}

/// Whether a change needs space.
#[derive(Clone, Copy)]
enum Change {
    Grow,
    Keep,
}

/// What a test has wrong with the disk.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Fault {
    Full,
    ReadOnly,
}

#[cfg(test)]
mod tests {
    use super::Sequence;

    #[test]
    fn names_are_those_of_files_of_the_spool_or_of_none() {
        let cases = [
            (c"00000000000000000007.spool", Some(7)),
            (c"18446744073709551615.spool", Some(u64::MAX)),
            (c"18446744073709551616.spool", None),
            (c"7.spool", None),
            (c"+0000000000000000007.spool", None),
            (c"00000000000000000007.spool.old", None),
            (c"00000000000000000007", None),
            (c"notes.spool", None),
            (c"\xff0000000000000000007.spool", None),
        ];
        for (name, number) in cases {
            assert_eq!(Sequence::parse(name), number.map(Sequence), "{}", name.to_string_lossy());
        }
    }
}
