//! How a debug file is put together, and what is in it.

use crate::object::FileOffset;
use std::fmt;

/// Most sections of a file that is extracted. Programs have about forty.
pub const MAX_SECTIONS: usize = 65_536;

/// Most parts of a plan: a copy and its padding for each section, and the headers.
pub const MAX_PARTS: usize = 2 * MAX_SECTIONS + 8;

/// Most zeros between two parts, bytes.
pub const MAX_ZEROS: u64 = 63;

/// Longest name or path in a link to another file, bytes.
pub const MAX_LINK_NAME: usize = 4095;

/// Longest build id in a link to another file, bytes.
pub const MAX_LINK_BUILD_ID: usize = 64;

/// A piece of the debug file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes that are in no file: headers.
    Bytes(Vec<u8>),
    /// Bytes of the original file.
    Copy {
        /// Where they begin.
        from: FileOffset,
        /// How many.
        length: u64,
    },
    /// Padding.
    Zeros(u64),
}

impl Part {
    /// Bytes that it becomes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Copy { length, .. } | Self::Zeros(length) => *length,
        }
    }
}

/// The parts of a debug file, in their order.
///
/// Copies ascend and do not overlap, so whoever makes a plan cannot make a file grow by more than its headers and
/// padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    parts: Vec<Part>,
    size: u64,
}

/// Parts that make no plan, or none of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// More than [`MAX_PARTS`].
    #[error("{0} parts")]
    TooManyParts(usize),
    /// A part of a length that none has.
    #[error("a part of {0} bytes")]
    Length(u64),
    /// A copy begins before the end of the last one, or ends nowhere.
    #[error("a copy from {0:#x} is out of order")]
    Disorder(u64),
    /// A copy of bytes that the file does not have.
    #[error("a copy up to {end:#x} of a file of {size:#x} bytes")]
    OutsideFile {
        /// Where the copy ends.
        end: u64,
        /// Bytes of the file.
        size: u64,
    },
}

impl Plan {
    /// Takes parts that hold together.
    pub fn new(parts: Vec<Part>) -> Result<Self, PlanError> {
        if parts.len() > MAX_PARTS {
            return Err(PlanError::TooManyParts(parts.len()));
        }
        let (mut size, mut copied) = (0_u64, 0);
        for part in &parts {
            let length = part.length();
            if length == 0 || matches!(part, Part::Zeros(length) if *length > MAX_ZEROS) {
                return Err(PlanError::Length(length));
            }
            if let Part::Copy { from, length } = part {
                let end = from.0.checked_add(*length).filter(|_| from.0 >= copied);
                copied = end.ok_or(PlanError::Disorder(from.0))?;
            }
            size = size.checked_add(length).ok_or(PlanError::Length(length))?;
        }
        Ok(Self { parts, size })
    }

    /// Whether a file of this size has all that is copied.
    pub fn check(&self, file_size: u64) -> Result<(), PlanError> {
        let mut ends = self.parts.iter().filter_map(|part| match part {
            Part::Copy { from, length } => Some(from.0.saturating_add(*length)),
            Part::Bytes(_) | Part::Zeros(_) => None,
        });
        match ends.next_back() {
            Some(end) if end > file_size => Err(PlanError::OutsideFile { end, size: file_size }),
            _ => Ok(()),
        }
    }

    /// Bytes of the debug file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of the debug file that come from the original.
    pub fn copied(&self) -> u64 {
        let copies = self.parts.iter().filter(|part| matches!(part, Part::Copy { .. }));
        copies.map(Part::length).sum()
    }

    /// The parts, in their order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The parts, in their order.
    pub fn into_parts(self) -> Vec<Part> {
        self.parts
    }
}

/// What an object file says of its functions, and where more is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// `.debug_info`: functions, inlined ones, and lines.
    pub has_dwarf: bool,
    /// `.symtab`: all functions.
    pub has_symtab: bool,
    /// `.dynsym`: functions that other files call.
    pub has_dynsym: bool,
    /// `.gopclntab`: functions and lines of a Go program.
    pub has_go_tables: bool,
    /// `.gnu_debugdata`: a compressed ELF file with a symbol table.
    pub has_gnu_debugdata: bool,
    /// `.gnu_debuglink`: the file that has the debug information.
    pub debug_link: Option<DebugLink>,
    /// `.gnu_debugaltlink`: a file with what several debug files share.
    pub alternate_link: Option<AlternateLink>,
}

/// Names a separate debug file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugLink {
    /// Name without directory, any bytes but `/` and NUL; not empty, `.` or `..`.
    pub name: Box<[u8]>,
    /// CRC-32 of the debug file, as zlib computes it.
    pub crc: u32,
}

/// Names a file of debug information that several share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternateLink {
    /// Absolute path, or one from the folder of the file; any bytes but NUL, and not empty.
    pub path: Box<[u8]>,
    /// Its build id.
    pub build_id: Box<[u8]>,
}

impl DebugLink {
    /// A link to a name that can be a file's.
    pub fn new(name: &[u8], crc: u32) -> Option<Self> {
        let is_name = (1..=MAX_LINK_NAME).contains(&name.len())
            && !name.iter().any(|byte| matches!(byte, b'/' | 0))
            && name != b"."
            && name != b"..";
        is_name.then(|| Self { name: name.into(), crc })
    }
}

impl AlternateLink {
    /// A link to a path that can be a file's.
    pub fn new(path: &[u8], build_id: &[u8]) -> Option<Self> {
        let holds = (1..=MAX_LINK_NAME).contains(&path.len())
            && !path.contains(&0)
            && (1..=MAX_LINK_BUILD_ID).contains(&build_id.len());
        holds.then(|| Self { path: path.into(), build_id: build_id.into() })
    }
}

/// What the worker found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    /// How to make the debug file.
    pub plan: Plan,
    /// What the debug file will have, and which files have more.
    pub content: Content,
}

/// Why a file has no [`Extraction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoExtraction {
    /// Not ELF, or not well formed.
    Malformed,
    /// ELF of 32 bits, which the agent does not profile.
    Elf32,
    /// Big-endian, which no supported CPU is.
    BigEndian,
    /// Neither a program nor a library: an object to be linked, a kernel module, a core.
    NotLinked,
    /// It has no sections, by which alone debug information is found.
    NoSections,
    /// More than [`MAX_SECTIONS`].
    TooManySections,
    /// Its headers or section names are larger than the agent reads.
    TooLarge,
    /// It ends before a section that is wanted, or before its table of sections.
    Truncated,
    /// The worker died or hung on it; it is never tried again.
    KilledWorker,
    /// The queue of files was full.
    QueueFull,
    /// No worker could be started.
    NoWorker,
}

impl NoExtraction {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Elf32,
        Self::BigEndian,
        Self::NotLinked,
        Self::NoSections,
        Self::TooManySections,
        Self::TooLarge,
        Self::Truncated,
        Self::KilledWorker,
        Self::QueueFull,
        Self::NoWorker,
    ];

    /// Says whether the reason lies in the file, so that another try would end the same.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::QueueFull | Self::NoWorker)
    }

    /// As a metric's label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Elf32 => "elf32",
            Self::BigEndian => "big_endian",
            Self::NotLinked => "not_linked",
            Self::NoSections => "no_sections",
            Self::TooManySections => "too_many_sections",
            Self::TooLarge => "too_large",
            Self::Truncated => "truncated",
            Self::KilledWorker => "killed_worker",
            Self::QueueFull => "queue_full",
            Self::NoWorker => "no_worker",
        }
    }
}

impl fmt::Display for NoExtraction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{AlternateLink, DebugLink, MAX_PARTS, MAX_ZEROS, Part, Plan, PlanError};
    use crate::object::FileOffset;

    fn copy(from: u64, length: u64) -> Part {
        Part::Copy { from: FileOffset(from), length }
    }

    #[test]
    fn a_plan_is_as_long_as_its_parts() {
        let parts = vec![Part::Bytes(vec![1; 64]), Part::Zeros(3), copy(10, 5), copy(15, 1)];
        let plan = Plan::new(parts.clone()).unwrap();
        assert_eq!((plan.size(), plan.copied()), (73, 6));
        assert_eq!(plan.parts(), parts);
        assert_eq!(plan.check(16), Ok(()));
        assert_eq!(plan.check(15), Err(PlanError::OutsideFile { end: 16, size: 15 }));
    }

    #[test]
    fn parts_that_lie_make_no_plan() {
        let cases = [
            (vec![copy(10, 5), copy(14, 5)], PlanError::Disorder(14)),
            (vec![copy(10, 5), Part::Zeros(1), copy(0, 5)], PlanError::Disorder(0)),
            (vec![copy(u64::MAX, 2)], PlanError::Disorder(u64::MAX)),
            (vec![copy(0, u64::MAX), Part::Zeros(1)], PlanError::Length(1)),
            (vec![Part::Zeros(MAX_ZEROS + 1)], PlanError::Length(MAX_ZEROS + 1)),
            (vec![Part::Bytes(vec![])], PlanError::Length(0)),
            (vec![copy(7, 0)], PlanError::Length(0)),
            (vec![Part::Zeros(1); MAX_PARTS + 1], PlanError::TooManyParts(MAX_PARTS + 1)),
        ];
        for (parts, expected) in cases {
            assert_eq!(Plan::new(parts).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_link_leads_to_a_name_and_nowhere_else() {
        for (name, expected) in [
            (&b"true.debug"[..], true),
            (b"\xff \n", true),
            (b"", false),
            (b".", false),
            (b"..", false),
            (b"../etc/shadow", false),
            (b"/etc/shadow", false),
            (b"a\0b", false),
            (&[b'x'; 4096], false),
        ] {
            assert_eq!(DebugLink::new(name, 1).is_some(), expected, "{name:?}");
        }
        assert!(AlternateLink::new(b"/usr/lib/debug/.dwz/x", &[1; 20]).is_some());
        assert!(AlternateLink::new(b"", &[1; 20]).is_none());
        assert!(AlternateLink::new(b"x", &[]).is_none());
        assert!(AlternateLink::new(b"x", &[1; 65]).is_none());
    }
}
