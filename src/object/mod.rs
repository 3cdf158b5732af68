//! Object files: the executables and libraries that processes map, told apart by what they are and not
//! by their path.

pub mod build_id;
pub mod file_system;
pub mod kept;
pub mod making;
pub mod mapped;
pub mod open;
pub mod read_at;
pub mod resolve;
pub mod table;

use crate::text;
use build_id::BuildId;
use making::Making;
use std::fmt;
use std::sync::OnceLock;

/// One object file for as long as the agent runs; ids are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u32);

/// A position in an object file, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileOffset(pub u64);

/// An address as the object file itself states it: a `p_vaddr` plus something, load bias 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectAddress(pub u64);

/// One `PT_LOAD` program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadSegment {
    /// `p_offset`.
    pub file_offset: FileOffset,
    /// `p_vaddr`.
    pub address: ObjectAddress,
    /// `p_filesz`, bytes.
    pub file_size: u64,
    /// `p_memsz`, bytes.
    pub memory_size: u64,
    /// `PF_X` is set.
    pub executable: bool,
}

/// What identification of an object file found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// By what the file is known to a store.
    pub build_id: BuildId,
    /// `e_type`: 2 `ET_EXEC`, 3 `ET_DYN`.
    pub elf_type: u16,
    /// `e_machine`: 62 x86_64, 183 aarch64.
    pub machine: u16,
    /// Every `PT_LOAD`, in the file's order.
    pub segments: Vec<LoadSegment>,
    /// How it was made.
    pub making: Making,
}

/// Why an object file could not be identified. The addresses of its samples are then file offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unidentified {
    /// Neither `map_files` nor the process's root gave the file: it, or the process, was gone.
    Gone,
    /// Not a regular file, or the path leads to another inode than the mapping.
    Refused,
    /// On a file system that may never answer: FUSE or a network's.
    UnsafeFileSystem,
    /// Larger than the agent reads.
    TooLarge,
    /// Not ELF, or not well formed.
    Malformed,
    /// The worker died or hung on it; it is never tried again.
    KilledWorker,
    /// The queue of files to identify was full.
    QueueFull,
    /// No worker could be started.
    NoWorker,
}

impl ObjectInfo {
    /// The address, at load bias 0, of a byte of the file that an executable segment maps.
    pub fn address_of(&self, offset: FileOffset) -> Option<ObjectAddress> {
        self.segment_of(offset)
            // The offset may lie before the segment, on the page it starts on.
            .map(|segment| {
                ObjectAddress(offset.0.wrapping_sub(segment.file_offset.0).wrapping_add(segment.address.0))
            })
    }

    /// The executable segment whose file pages hold a byte. A mapping is whole pages, so a segment owns
    /// the pages on which it starts and ends.
    pub fn segment_of(&self, offset: FileOffset) -> Option<&LoadSegment> {
        self.segments.iter().filter(|segment| segment.executable).find(|segment| {
            let start = segment.file_offset.0 & !(PAGE - 1);
            let end =
                segment.file_offset.0.saturating_add(segment.file_size).div_ceil(PAGE).saturating_mul(PAGE);
            (start..end).contains(&offset.0)
        })
    }
}

/// Smallest page of the supported CPUs, bytes.
pub const PAGE: u64 = 4096;

/// One object file and what is known of it. Identification is slow, so it is joined late.
#[derive(Debug)]
pub struct Object {
    /// The agent's own name for it.
    pub id: ObjectId,
    /// Path as a process mapped it, bytes as the kernel gave them.
    pub path: Box<[u8]>,
    /// Empty until identified, or given up.
    pub info: OnceLock<Result<ObjectInfo, Unidentified>>,
}

impl Object {
    /// The identification, if there is one by now.
    pub fn identified(&self) -> Option<&ObjectInfo> {
        self.info.get().and_then(|info| info.as_ref().ok())
    }

    /// The last component of the path, for people.
    pub fn name(&self) -> String {
        let name = self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        text::display(name).to_string()
    }
}

impl fmt::Display for Unidentified {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Unidentified {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Gone,
        Self::Refused,
        Self::UnsafeFileSystem,
        Self::TooLarge,
        Self::Malformed,
        Self::KilledWorker,
        Self::QueueFull,
        Self::NoWorker,
    ];

    /// Says whether the reason lies in the file, so that another try would end the same. The others lie
    /// in the process or in the agent's load, and another process that maps the file may do better.
    pub fn is_final(self) -> bool {
        match self {
            Self::Refused
            | Self::UnsafeFileSystem
            | Self::TooLarge
            | Self::Malformed
            | Self::KilledWorker => true,
            Self::Gone | Self::QueueFull | Self::NoWorker => false,
        }
    }

    /// As a metric's label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::UnsafeFileSystem => "unsafe_file_system",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::KilledWorker => "killed_worker",
            Self::QueueFull => "queue_full",
            Self::NoWorker => "no_worker",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::build_id::{BuildId, BuildIdKind};
    use super::{FileOffset, LoadSegment, ObjectAddress, ObjectInfo};

    fn with_segment(file_offset: u64, address: u64) -> ObjectInfo {
        ObjectInfo {
            build_id: BuildId { kind: BuildIdKind::Gnu, bytes: b"abcd".as_slice().into() },
            elf_type: 3,
            machine: 62,
            segments: vec![LoadSegment {
                file_offset: FileOffset(file_offset),
                address: ObjectAddress(address),
                file_size: 0x100,
                memory_size: 0x100,
                executable: true,
            }],
            making: Default::default(),
        }
    }

    #[test]
    fn addresses_before_the_segment_on_its_first_page_are_its_own() {
        let info = with_segment(0x1234, 0x40_1234);
        for (offset, address) in [
            (0x1234, Some(0x40_1234)),
            (0x1000, Some(0x40_1000)),
            (0x1fff, Some(0x40_1fff)),
            (0xfff, None),
            (0x2000, None),
        ] {
            assert_eq!(info.address_of(FileOffset(offset)), address.map(ObjectAddress), "{offset:#x}");
        }
    }

    #[test]
    fn hostile_addresses_wrap_and_do_not_panic() {
        let info = with_segment(u64::MAX - 0x100, u64::MAX - 0x100);
        assert!(info.address_of(FileOffset(u64::MAX - 0xff0)).is_some());
        assert!(with_segment(0, u64::MAX).address_of(FileOffset(5)).is_some());
    }
}
