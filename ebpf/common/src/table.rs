//! The tables through which the kernel finds the rule of an address.
//!
//! ```text
//! process --> ProcessEntry --> MappingEntry[] --> ObjectEntry --> PageEntry --> Row[] --> Rule
//!             a hash           binary search      an array       an array      binary    an array
//!                              in one block                                    search in
//!                                                                              one block
//! ```
//! Mappings and rows have no fixed number each, so both live in *blocks* of 64 KiB, the values of an array:
//! a process has one run of mappings in one block, a page of code one run of rows in one block.

use crate::unwind::rule::Row;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 64 * 1024;
/// Rows in a block. No page of code has more.
pub const ROWS_PER_BLOCK: usize = BLOCK_BYTES / size_of::<Row>();
/// Mappings in a block. No process has more.
pub const MAPPINGS_PER_BLOCK: usize = BLOCK_BYTES / size_of::<MappingEntry>();
/// Steps of a binary search over a block of rows.
pub const ROW_SEARCH_STEPS: u32 = ROWS_PER_BLOCK.ilog2() + 1;
/// Steps of a binary search over a block of mappings.
pub const MAPPING_SEARCH_STEPS: u32 = MAPPINGS_PER_BLOCK.ilog2() + 1;

/// The kernel's page, on every machine we support: the unit of mappings.
pub const MEMORY_PAGE_SHIFT: u32 = 12;

/// A run of entries in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Run {
    /// Which block.
    pub block: u16,
    /// Its first entry there.
    pub first: u16,
    /// How many.
    pub count: u16,
    /// Zero.
    pub reserved: u16,
}

const _: () = assert!(size_of::<Run>() == 8);

/// What is known of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ProcessEntry {
    /// When it started, as [`SampleHeader::process_start`](crate::record::SampleHeader::process_start): the
    /// entry of an earlier process of the same id is not this one's.
    pub start: u64,
    /// Its mappings; the first is the run's owner mark.
    pub mappings: Run,
    /// [`MappingEntry::pages`] of the owner mark. A run that was given away holds another.
    pub owner: u64,
    /// How many mappings of the process had been replaced before it was read. When more are, the entry
    /// is out of date.
    pub replaced: u64,
}

const _: () = assert!(size_of::<ProcessEntry>() == 32);

/// One executable mapping. The entries of a process are in the order of `pages`, for the start is in its
/// upper bits; an owner mark, less than any mapping, comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MappingEntry {
    /// Number of its first memory page in bits 28 to 63, number of its pages in bits 0 to 27.
    pub pages: u64,
    /// Slot of its object, or [`NO_OBJECT`].
    pub slot: u32,
    /// Number of the memory page of the file at which it begins.
    pub file_page: u32,
}

const _: () = assert!(size_of::<MappingEntry>() == 16);

/// Code without a file.
pub const NO_OBJECT: u32 = u32::MAX;

/// Bits of the number of pages in [`MappingEntry::pages`].
pub const PAGE_COUNT_BITS: u32 = 28;

impl MappingEntry {
    /// Addresses are page numbers; `None` if they do not fit.
    pub fn new(first_page: u64, page_count: u64, slot: u32, file_page: u32) -> Option<Self> {
        let fits =
            first_page < 1 << (64 - PAGE_COUNT_BITS) && page_count < 1 << PAGE_COUNT_BITS && first_page > 0;
        fits.then_some(Self { pages: (first_page << PAGE_COUNT_BITS) | page_count, slot, file_page })
    }

    /// The mark before the mappings of one owner, by a number that is not used again: less than any mapping,
    /// for no mapping begins at page 0.
    pub fn owner_mark(number: u64) -> Self {
        Self { pages: number & ((1 << PAGE_COUNT_BITS) - 1), slot: NO_OBJECT, file_page: 0 }
    }
}

/// A file, as the kernel tells it from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FileKey {
    /// `inode.i_ino`.
    pub inode: u64,
    /// `inode.i_size`: another content mostly has another.
    pub size: u64,
    /// `super_block.s_dev`: the major number above 20 bits of the minor.
    pub device: u64,
}

const _: () = assert!(size_of::<FileKey>() == 24);

/// What is known of an object file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ObjectEntry {
    /// Index of its first [`PageEntry`].
    pub first_entry: u32,
    /// Number of the page of the file, of [`PAGE_BYTES`](crate::unwind::rule::PAGE_BYTES), that it is for.
    pub first_page: u32,
    /// How many entries. 0: there is no table, and frame pointers are followed.
    pub page_count: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<ObjectEntry>() == 16);

/// The rows of one page of a file: a [`Run`]. The first begins at or before every address that has code; an
/// empty run means that no table covers the page.
pub type PageEntry = Run;
