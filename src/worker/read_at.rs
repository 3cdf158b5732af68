//! Reading a file in bounded pieces, never by mapping it: a mapped file that shrinks kills its reader.

pub use crate::object::read_at::{ReadAt, Unreadable};
use object::read::{ReadCache, ReadCacheOps, ReadRef};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, pread};
use std::cell::Cell;
use std::ops::Range;

/// A file of a profiled process, by its descriptor.
#[derive(Debug)]
pub struct TargetFile {
    descriptor: OwnedFd,
    size: u64,
}

impl TargetFile {
    /// Asks the descriptor for its size.
    pub fn new(descriptor: OwnedFd) -> Result<Self, Unreadable> {
        let stat = rustix::fs::fstat(&descriptor).map_err(|_| Unreadable)?;
        let size = u64::try_from(stat.st_size).map_err(|_| Unreadable)?;
        Ok(Self { descriptor, size })
    }
}

impl ReadAt for TargetFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let position = offset.checked_add(filled as u64).ok_or(Unreadable)?;
            match pread(self.descriptor.as_fd(), rest, position) {
                Ok(0) => return Err(Unreadable),
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(_) => return Err(Unreadable),
            }
        }
        Ok(())
    }
}

/// The small parts of a file, kept in memory once read, for parsers that want references. Both one read
/// and their sum are bounded before anything is allocated.
pub struct Headers<'file, F: ReadAt + ?Sized> {
    cache: ReadCache<Cursor<'file, F>>,
    left: Cell<u64>,
}

/// Largest single read through [`Headers`]: the section table of 65536 sections, bytes.
const MAX_READ: u64 = 4 << 20;

/// Most bytes that one [`Headers`] hands out.
const MAX_TOTAL: u64 = 16 << 20;

impl<'file, F: ReadAt + ?Sized> Headers<'file, F> {
    /// Nothing read yet.
    pub fn new(file: &'file F) -> Self {
        Self { cache: ReadCache::new(Cursor { file, position: 0 }), left: Cell::new(MAX_TOTAL) }
    }

    fn charge(&self, size: u64) -> Result<(), ()> {
        let left = self.left.get().checked_sub(size).filter(|_| size <= MAX_READ).ok_or(())?;
        self.left.set(left);
        Ok(())
    }
}

impl<'headers, F: ReadAt + ?Sized> ReadRef<'headers> for &'headers Headers<'_, F> {
    fn len(self) -> Result<u64, ()> {
        (&self.cache).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'headers [u8], ()> {
        self.charge(size)?;
        (&self.cache).read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'headers [u8], ()> {
        // The cache itself reads at most 4 KiB to find the delimiter.
        self.charge(4096)?;
        (&self.cache).read_bytes_at_until(range, delimiter)
    }
}

/// A [`ReadAt`] with a position.
struct Cursor<'file, F: ?Sized> {
    file: &'file F,
    position: u64,
}

impl<F: ReadAt + ?Sized> ReadCacheOps for Cursor<'_, F> {
    fn len(&mut self) -> Result<u64, ()> {
        Ok(self.file.size())
    }

    fn seek(&mut self, position: u64) -> Result<u64, ()> {
        self.position = position;
        Ok(position)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ()> {
        let left = self.file.size().saturating_sub(self.position);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffer = buffer.get_mut(..count).ok_or(())?;
        self.read_exact(buffer).map(|()| count)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ()> {
        self.file.read_at(self.position, buffer).map_err(|_| ())?;
        self.position = self.position.saturating_add(buffer.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Headers, MAX_READ, MAX_TOTAL, ReadAt, TargetFile, Unreadable};
    use object::read::ReadRef;
    use std::fs::File;

    /// A file of zeros, of any size.
    struct Sparse(u64);

    impl ReadAt for Sparse {
        fn size(&self) -> u64 {
            self.0
        }

        fn read_at(&self, _offset: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
            buffer.fill(0);
            Ok(())
        }
    }

    #[test]
    fn reads_are_bounded_one_by_one_and_in_sum() {
        let headers = Headers::new(&Sparse(1 << 40));
        assert!((&headers).read_bytes_at(0, MAX_READ + 1).is_err());
        for index in 0..MAX_TOTAL / MAX_READ {
            assert!((&headers).read_bytes_at(index, MAX_READ).is_ok());
        }
        assert!((&headers).read_bytes_at(0, 1).is_err());
    }

    #[test]
    fn reads_end_with_the_bytes() {
        let headers = Headers::new(&b"abc"[..]);
        assert_eq!((&headers).read_bytes_at(1, 2), Ok(&b"bc"[..]));
        assert_eq!((&headers).read_bytes_at_until(0..3, b'c'), Ok(&b"ab"[..]));
        assert!((&headers).read_bytes_at(2, 2).is_err());
        assert!((&headers).read_bytes_at(u64::MAX, 2).is_err());
    }

    #[test]
    fn a_file_that_shrank_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(10).unwrap();
        let target = TargetFile::new(File::open(file.path()).unwrap().into()).unwrap();
        file.as_file().set_len(4).unwrap();
        assert_eq!(target.size(), 10);
        assert_eq!(target.read_at(0, &mut [1; 4]), Ok(()));
        assert_eq!(target.read_at(2, &mut [0; 4]), Err(Unreadable));
        assert_eq!(target.read_at(u64::MAX, &mut [0; 4]), Err(Unreadable));
    }
}
