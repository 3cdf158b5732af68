//! A BPF array map that both sides see (`BPF_F_MMAPABLE`, 5.5): written like memory, without a system call for
//! each entry.

use rustix::fd::BorrowedFd;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// The values of an array map, one behind the other, as 32-bit words. Dropping it unmaps them; the map stays.
#[derive(Debug)]
pub struct SharedArray {
    /// # Invariant
    /// Points to `words` words that stay mapped until drop.
    start: NonNull<AtomicU32>,
    words: usize,
}

// SAFETY: the words are atomic, and the mapping belongs to the process and not to a thread.
unsafe impl Send for SharedArray {}
// SAFETY: as above.
unsafe impl Sync for SharedArray {}

impl SharedArray {
    /// Maps an array whose values, each of a multiple of 8 bytes, have `bytes` bytes in all.
    pub fn map(array: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place, so no other mapping is replaced.
        let start = unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, array, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, words: bytes / size_of::<u32>() })
    }

    /// Writes words from an index on, one after the other: a reader that sees the last sees all. Nothing is
    /// written past the end; false then.
    pub fn store(&self, index: usize, values: impl IntoIterator<Item = u32>) -> bool {
        let mut values = values.into_iter();
        for word in self.words().get(index..).unwrap_or_default() {
            let Some(value) = values.next() else { return true };
            word.store(value, Ordering::Release);
        }
        values.next().is_none()
    }

    /// One word; `None` past the end.
    pub fn load(&self, index: usize) -> Option<u32> {
        self.words().get(index).map(|word| word.load(Ordering::Acquire))
    }

    fn words(&self) -> &[AtomicU32] {
        // SAFETY: the invariant of `start`; a mapping is aligned to a page, and any bytes are a number.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for SharedArray {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and no reference outlives `self`. A failure
        // leaves it mapped.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.words * size_of::<u32>()) };
    }
}
