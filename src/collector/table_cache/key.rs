//! Which table belongs to which file.

use super::entry;
use crate::object::open::OpenedObject;
use rustix::fs::Stat;
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::{Duration, SystemTime};

/// Bytes of a file's head that are part of its key. Compilers put the build id there, behind the program headers.
const HEAD_BYTES: u64 = 4096;

/// A file that was changed less long ago may change again without another time: file systems have clocks that
/// tick in milliseconds, some in seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// A number that no other file has, nor this one with another content.
///
/// The build id alone would not do: whoever may run a program can give it the build id of another's. So the key
/// holds what a user cannot choose: device, inode, and the time of the last change by the kernel's clock, which
/// tells an inode from an earlier one of the same number. Read-only images have neither times nor inodes of
/// their own; there the head tells, with its build id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; Key::BYTES]);

impl Key {
    /// Its size.
    pub const BYTES: usize = 32;

    /// Of an open file; `None` if it cannot be read, or was changed just now.
    pub fn of(opened: &OpenedObject, now: SystemTime) -> Option<Self> {
        let status = rustix::fs::fstat(&opened.file).ok()?;
        if now.duration_since(changed(&status)?).ok()? < SETTLED {
            return None;
        }
        let mut head = vec![0; usize::try_from(opened.identity.size.min(HEAD_BYTES)).ok()?];
        if rustix::io::pread(&opened.file, &mut head[..], 0).ok()? != head.len() {
            return None;
        }
        Some(Self::from_parts(&status, &head))
    }

    fn from_parts(status: &Stat, head: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(entry::VERSION.to_le_bytes());
        digest.update(status.st_dev.to_le_bytes());
        digest.update(status.st_ino.to_le_bytes());
        digest.update(status.st_size.to_le_bytes());
        digest.update(status.st_mtime.to_le_bytes());
        digest.update(status.st_mtime_nsec.to_le_bytes());
        digest.update(status.st_ctime.to_le_bytes());
        digest.update(status.st_ctime_nsec.to_le_bytes());
        digest.update(head);
        Self(digest.finalize().into())
    }

    /// As it is.
    pub fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

/// In hexadecimal, as files are named.
impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The time of the last change of content or status, which only the kernel sets.
fn changed(status: &Stat) -> Option<SystemTime> {
    let (seconds, nanoseconds) =
        (u64::try_from(status.st_ctime).ok()?, u32::try_from(status.st_ctime_nsec).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::{Key, SETTLED, changed};
    use crate::object::open::{FileIdentity, OpenedObject};
    use std::fs::File;
    use std::io::Write;
    use std::time::Duration;

    fn opened(path: &std::path::Path) -> OpenedObject {
        let file = File::open(path).unwrap();
        let size = file.metadata().unwrap().len();
        let identity = FileIdentity { device: 0, inode: 0, size, modified: (0, 0) };
        OpenedObject { file: file.into(), identity }
    }

    #[test]
    fn a_file_that_has_just_changed_has_no_key() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"content").unwrap();
        let object = opened(file.path());
        let changed = changed(&rustix::fs::fstat(&object.file).unwrap()).unwrap();
        assert_eq!(Key::of(&object, changed + SETTLED - Duration::from_nanos(1)), None);
        assert!(Key::of(&object, changed + SETTLED).is_some());
        assert_eq!(Key::of(&object, changed - SETTLED), None, "the clock was set back");
    }

    #[test]
    fn whatever_differs_the_key_does() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let status = rustix::fs::fstat(file.as_file()).unwrap();
        let original = Key::from_parts(&status, b"head");
        let with = |change: fn(&mut rustix::fs::Stat)| {
            let mut other = status;
            change(&mut other);
            Key::from_parts(&other, b"head")
        };
        let others = [
            with(|status| status.st_dev += 1),
            with(|status| status.st_ino += 1),
            with(|status| status.st_size += 1),
            with(|status| status.st_mtime += 1),
            with(|status| status.st_mtime_nsec += 1),
            with(|status| status.st_ctime += 1),
            with(|status| status.st_ctime_nsec += 1),
            Key::from_parts(&status, b"lead"),
        ];
        assert_eq!(with(|_| ()), original);
        assert!(!others.contains(&original));
    }
}
