//! The side-band of `perf_event_open(2)`: a ring, one for each CPU, in which the kernel tells of every
//! executable mapping and every exec that happens on the CPU, whoever does it.
//!
//! The event itself counts nothing; its kind is `PERF_COUNT_SW_DUMMY` (3.12). Records are stamped with
//! `CLOCK_BOOTTIME` (`use_clockid`, 4.1), as samples are. What the bytes of a record mean is for
//! [`crate::sample::sideband_record`] to say; here a record is as long as its header says and the ring allows.
//!
//! The protocol of the ring: the kernel writes records and then `data_head`, both ever-growing byte counts;
//! the reader reads up to it and then writes `data_tail`. The kernel does not touch what lies between.
//! See `struct perf_event_mmap_page` in `include/uapi/linux/perf_event.h`.

use super::perf_event::{Attributes, CpuId, PERF_TYPE_SOFTWARE, open_on_cpu};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a ring for records: at the measured 500 bytes for the exec of a small program, 130 execs on one
/// CPU between two looks. A power of two, and a multiple of every supported page size.
pub const RING_BYTES: usize = 64 << 10;

const PERF_COUNT_SW_DUMMY: u64 = 9;
const PERF_SAMPLE_TIME: u64 = 1 << 2;
/// `PERF_RECORD_COMM`; with an exec it is the first record of the new address space.
const FLAG_COMM: u64 = 1 << 9;
/// Mappings, executable ones only.
const FLAG_MMAP: u64 = 1 << 8;
/// With device, inode and protection (3.16).
const FLAG_MMAP2: u64 = 1 << 23;
/// `wakeup` counts bytes.
const FLAG_WATERMARK: u64 = 1 << 14;
/// Every record ends in what `sample_type` says.
const FLAG_SAMPLE_ID_ALL: u64 = 1 << 18;
const FLAG_USE_CLOCK: u64 = 1 << 25;

/// Offsets in `struct perf_event_mmap_page`, the page before the records.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;

/// `struct perf_event_header`: type, misc, and the size of the whole record in its last two bytes.
const HEADER_BYTES: usize = 8;

/// The side-band of one CPU.
#[derive(Debug)]
pub struct PerfRing {
    event: OwnedFd,
    memory: Memory,
    /// Where the record is put that is being read: it may lie around the end of the ring.
    record: Vec<u8>,
}

/// What one look at a ring gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The ring was emptied.
    pub emptied: bool,
    /// It held bytes that are no records; they were skipped.
    pub broken: bool,
}

impl PerfRing {
    /// Opens the side-band of a CPU. From now on the kernel writes.
    pub fn open(cpu: CpuId) -> io::Result<Self> {
        let attributes = Attributes {
            kind: PERF_TYPE_SOFTWARE,
            config: PERF_COUNT_SW_DUMMY,
            sample_type: PERF_SAMPLE_TIME,
            flags: FLAG_MMAP | FLAG_MMAP2 | FLAG_COMM | FLAG_WATERMARK | FLAG_SAMPLE_ID_ALL | FLAG_USE_CLOCK,
            wakeup: RING_BYTES as u32 / 4,
            clock: libc::CLOCK_BOOTTIME,
            ..Attributes::default()
        };
        let event = open_on_cpu(attributes, cpu)?;
        let memory = Memory::map(event.as_fd())?;
        Ok(Self { event, memory, record: Vec::new() })
    }

    /// Hands over records, at most `budget`, each with its header.
    pub fn read(&mut self, budget: usize, mut receive: impl FnMut(&[u8])) -> Read {
        let head = self.memory.head().load(Ordering::Acquire);
        let mut unread = Unread { tail: self.memory.tail().load(Ordering::Relaxed), head };
        let mut read = Read::default();
        for _ in 0..budget {
            let copy = |position, into: &mut [u8]| self.memory.copy(position, into);
            match unread.next(&mut self.record, copy) {
                Next::Record => receive(&self.record),
                Next::End => break,
                Next::Broken => read.broken = true,
            }
        }
        // Everything before it was read, so the kernel may write there.
        self.memory.tail().store(unread.tail, Ordering::Release);
        read.emptied = unread.tail == unread.head;
        read
    }
}

impl AsFd for PerfRing {
    /// Readable once when the ring has become a quarter full.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// The bytes between what was read and what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unread {
    tail: u64,
    head: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Record,
    End,
    Broken,
}

impl Unread {
    /// Takes the next record into `record`. `copy` fills a slice from a position in the ring. Sizes that
    /// the ring cannot hold end the reading at the head: nothing tells where the next record begins.
    fn next(&mut self, record: &mut Vec<u8>, copy: impl Fn(u64, &mut [u8])) -> Next {
        let left = self.head.wrapping_sub(self.tail);
        if left == 0 {
            return Next::End;
        }
        let mut header = [0; HEADER_BYTES];
        if left >= HEADER_BYTES as u64 && left <= RING_BYTES as u64 {
            copy(self.tail, &mut header);
        }
        let [.., low, high] = header;
        let size = u16::from_ne_bytes([low, high]);
        if usize::from(size) < HEADER_BYTES || u64::from(size) > left {
            self.tail = self.head;
            return Next::Broken;
        }
        record.resize(usize::from(size), 0);
        copy(self.tail, record);
        self.tail = self.tail.wrapping_add(u64::from(size));
        Next::Record
    }
}

/// Where a position lies in the ring, and how many of `length` bytes lie there before the ring's end.
fn split(position: u64, length: usize) -> (usize, usize) {
    let offset = (position % RING_BYTES as u64) as usize;
    (offset, length.min(RING_BYTES - offset))
}

/// The memory that is shared with the kernel: one page of counts, then [`RING_BYTES`] of records.
#[derive(Debug)]
struct Memory {
    /// The address of a mapping of `page` + [`RING_BYTES`] bytes that only [`Drop`] removes.
    start: NonNull<u8>,
    page: usize,
}

// SAFETY: the mapping belongs to the process, not to the thread that made it.
unsafe impl Send for Memory {}

impl Memory {
    fn map(event: BorrowedFd<'_>) -> io::Result<Self> {
        let page = rustix::param::page_size();
        // SAFETY: with no address asked for, the kernel puts the mapping where nothing else is.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                page + RING_BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                event,
                0,
            )
        }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, page })
    }

    fn head(&self) -> &AtomicU64 {
        self.count(DATA_HEAD)
    }

    fn tail(&self) -> &AtomicU64 {
        self.count(DATA_TAIL)
    }

    fn count(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset == DATA_HEAD || offset == DATA_TAIL);
        // SAFETY: both offsets are within the first page, which is mapped as long as `self` lives.
        let count = unsafe { self.start.byte_add(offset) };
        // SAFETY: the offsets are multiples of 8, and both sides use the counts as atomics only.
        unsafe { AtomicU64::from_ptr(count.as_ptr().cast()) }
    }

    /// Copies from a position in the ring. The caller has seen in `data_head` that the kernel wrote there.
    fn copy(&self, position: u64, into: &mut [u8]) {
        let (offset, before_end) = split(position, into.len());
        let (first, second) = into.split_at_mut(before_end);
        self.copy_from(offset, first);
        // No record is as long as the ring, so what is left is before the first part.
        self.copy_from(0, &mut second[..]);
    }

    fn copy_from(&self, offset: usize, into: &mut [u8]) {
        let length = into.len().min(RING_BYTES.saturating_sub(offset));
        // SAFETY: the records begin one page into the mapping, and `offset` is at most their length.
        let from = unsafe { self.start.byte_add(self.page + offset.min(RING_BYTES)) };
        // SAFETY: `length` bytes from there are mapped, the kernel does not write between tail and head, and
        // `into` is ours alone.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), length) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `map` made, and nothing borrows from it any more.
        let result = unsafe { munmap(self.start.as_ptr().cast::<c_void>(), self.page + RING_BYTES) };
        debug_assert!(result.is_ok(), "{result:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER_BYTES, Next, RING_BYTES, Unread, split};
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, proptest};

    /// A ring as the kernel would leave it.
    struct Ring(Vec<u8>);

    impl Ring {
        fn write(&mut self, position: u64, bytes: &[u8]) {
            for (position, byte) in (position..).zip(bytes) {
                self.0[(position % RING_BYTES as u64) as usize] = *byte;
            }
        }

        fn copy(&self, position: u64, into: &mut [u8]) {
            let (offset, before_end) = split(position, into.len());
            let (first, second) = into.split_at_mut(before_end);
            first.copy_from_slice(&self.0[offset..offset + first.len()]);
            second.copy_from_slice(&self.0[..second.len()]);
        }

        fn read(&self, mut unread: Unread) -> (Vec<Vec<u8>>, bool) {
            let (mut records, mut record) = (Vec::new(), Vec::new());
            loop {
                match unread.next(&mut record, |position, into| self.copy(position, into)) {
                    Next::Record => records.push(record.clone()),
                    Next::End => return (records, false),
                    Next::Broken => return (records, true),
                }
            }
        }
    }

    fn record(length: usize) -> impl Strategy<Value = Vec<u8>> {
        (Just(length), vec(any::<u8>(), length - HEADER_BYTES)).prop_map(|(length, body)| {
            let size = u16::try_from(length).unwrap().to_ne_bytes();
            [&[0; 6][..], &size, &body].concat()
        })
    }

    proptest! {
        #[test]
        fn records_are_read_as_written_wherever_the_ring_ends(
            before_end in 0..4096_u64,
            turns in 1..u64::MAX / RING_BYTES as u64,
            written in vec((1..64_usize).prop_flat_map(|words| record(8 * words)), 0..32),
        ) {
            let mut ring = Ring(vec![0xff; RING_BYTES]);
            let tail = turns * RING_BYTES as u64 - before_end;
            let mut head = tail;
            for record in &written {
                ring.write(head, record);
                head += record.len() as u64;
            }
            prop_assert_eq!(ring.read(Unread { tail, head }), (written, false));
        }

        #[test]
        fn any_bytes_and_any_counts_come_to_an_end(
            bytes in vec(any::<u8>(), 0..4096),
            tail in any::<u64>(),
            length in 0..2 * RING_BYTES as u64,
        ) {
            let mut ring = Ring(vec![0; RING_BYTES]);
            ring.write(tail, &bytes);
            let (records, _) = ring.read(Unread { tail, head: tail.wrapping_add(length) });
            let total: usize = records.iter().map(Vec::len).sum();
            prop_assert!(total as u64 <= length && total <= RING_BYTES);
        }
    }

    #[test]
    fn a_size_that_cannot_be_skips_to_the_head() {
        for (size, length, whole) in [(8, 8, true), (7, 8, false), (0, 8, false), (16, 8, false)] {
            let mut ring = Ring(vec![0; RING_BYTES]);
            ring.write(6, &u16::to_ne_bytes(size));
            let (records, broken) = ring.read(Unread { tail: 0, head: length });
            assert_eq!((records.len(), broken), (usize::from(whole), !whole), "{size} of {length}");
        }
        let ring = Ring(vec![0; RING_BYTES]);
        assert_eq!(ring.read(Unread { tail: 0, head: 7 }), (vec![], true), "shorter than a header");
        assert_eq!(ring.read(Unread { tail: 8, head: 0 }), (vec![], true), "the head before the tail");
        assert_eq!(ring.read(Unread { tail: 0, head: 1 << 20 }), (vec![], true), "more than the ring holds");
    }
}
