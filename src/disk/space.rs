//! Room that is left on a disk for others. Pure.

use std::io;

/// Most bytes that are left free. A tenth of a large disk would be more than anybody is about to need.
const MAX_RESERVE: u64 = 1 << 30;

/// A file system's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes of all of it.
    pub total: u64,
    /// Bytes that can be written yet by who is not root.
    pub available: u64,
}

/// Nothing is written, because others need what is left of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{available} bytes of the disk are free, and {reserve} have to stay free")]
pub struct NoSpace {
    /// Bytes that are free.
    pub available: u64,
    /// Bytes that have to stay free.
    pub reserve: u64,
}

impl NoSpace {
    /// Whether that is what an error says.
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|error| error.is::<Self>())
    }
}

impl From<NoSpace> for io::Error {
    fn from(error: NoSpace) -> Self {
        Self::new(io::ErrorKind::StorageFull, error)
    }
}

impl Space {
    /// Bytes that have to stay free: a tenth, at most a gibibyte.
    pub fn reserve(self) -> u64 {
        (self.total / 10).min(MAX_RESERVE)
    }

    /// Whether so many bytes more leave enough to others. Once they did not, a quarter more has to be free, so that a
    /// disk on the edge is not news each minute.
    pub fn check(self, bytes: u64, is_short: bool) -> Result<(), NoSpace> {
        let reserve = if is_short { self.reserve() / 4 * 5 } else { self.reserve() };
        // File systems that do not know their size, as some behind FUSE, say that it is nothing.
        if self.total > 0 && self.available < reserve.saturating_add(bytes) {
            return Err(NoSpace { available: self.available, reserve });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{NoSpace, Space};
    use std::io;

    #[test]
    fn a_tenth_of_a_disk_stays_free_but_no_more_than_a_gibibyte() {
        const GIB: u64 = 1 << 30;
        let cases = [
            (1000, 110, 10, false, true),
            (1000, 109, 10, false, false),
            (1000, 99, 0, false, false),
            (1000, 134, 10, true, false),
            (1000, 135, 10, true, true),
            (100 * GIB, GIB + 10, 10, false, true),
            (100 * GIB, GIB + 9, 10, false, false),
            (100 * GIB, GIB / 4 * 5 + 9, 10, true, false),
            (100 * GIB, GIB / 4 * 5 + 10, 10, true, true),
            (u64::MAX, GIB, u64::MAX, false, false),
            (0, 0, 10, true, true),
        ];
        for (total, available, bytes, is_short, expected) in cases {
            let space = Space { total, available };
            assert_eq!(
                space.check(bytes, is_short).is_ok(),
                expected,
                "{bytes} bytes of {space:?}, {is_short}"
            );
        }
    }

    #[test]
    fn it_is_told_from_a_disk_that_is_full() {
        let ours = io::Error::from(NoSpace { available: 1, reserve: 2 });
        let disks = io::Error::from(rustix::io::Errno::NOSPC);
        assert_eq!((ours.kind(), disks.kind()), (io::ErrorKind::StorageFull, io::ErrorKind::StorageFull));
        assert_eq!((NoSpace::is_in(&ours), NoSpace::is_in(&disks)), (true, false));
    }
}
