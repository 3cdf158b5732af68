//! A file as the kernel's list of a process's mappings names it.

use std::fmt;

/// The addresses of one mapping, from the first to the one after the last. Written as the entry of
/// `/proc/PID/map_files` is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MappedRange {
    /// Its first address.
    pub start: u64,
    /// The address after its last.
    pub end: u64,
}

impl fmt::Display for MappedRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}-{:x}", self.start, self.end)
    }
}

/// What `/proc/PID/maps` says of a mapping's file. Two mappings for which it says the same map the same
/// file, unless it was written to, or removed and its inode used again. The device is the kernel's own: on
/// btrfs and some overlay file systems it is not what `stat` says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MappedFile {
    /// Major and minor number of the device.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
    /// Path in the process's own mount namespace, a line feed written as `\012`.
    pub path: Box<[u8]>,
}
