//! The head of `.gopclntab`: which version of the table it is and where its parts lie. Go's
//! `src/runtime/symtab.go` calls it `pcHeader`.

use super::{GoError, MAX_FUNCTIONS};
use crate::unwind::image::{u32_at, u64_at};
use crate::unwind::machine::Machine;

/// Bytes of the longest head.
pub(super) const HEADER_BYTES: usize = 8 + 8 * WORD;

const WORD: usize = 8;

/// What the magic number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Go 1.16 and 1.17: functions have addresses.
    Go116,
    /// Go 1.18 and 1.19: functions have offsets from the start of the text.
    Go118,
    /// Since Go 1.20: a function says on which line it starts. Go 1.26 no longer writes the start of the text
    /// into the head, under the same magic.
    Go120,
}

impl Version {
    fn of(magic: u32) -> Option<Self> {
        match magic {
            0xffff_fffa => Some(Self::Go116),
            0xffff_fff0 => Some(Self::Go118),
            0xffff_fff1 => Some(Self::Go120),
            _ => None,
        }
    }

    /// Bytes of an address or an offset in the table of functions.
    pub(super) fn field(self) -> usize {
        match self {
            Self::Go116 => 8,
            Self::Go118 | Self::Go120 => 4,
        }
    }
}

/// Offsets from the start of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: Version,
    /// At least one, at most [`MAX_FUNCTIONS`].
    pub(super) functions: usize,
    /// Where the text starts, as the file has it; 0 where a relocation or other data tells it.
    pub(super) text: u64,
    /// Names of functions, each ended by 0.
    pub(super) names: u64,
    /// Ends the names: file numbers of compilation units.
    pub(super) units: u64,
    /// Tables from code to numbers.
    pub(super) numbers: u64,
    /// The table of functions, and what it points to.
    pub(super) table: u64,
}

impl Header {
    /// Where in the head [`Header::text`] is.
    pub(super) const TEXT_AT: u64 = 24;

    /// Says whether bytes begin like a table for this machine; cheap.
    pub(super) fn may_begin(bytes: &[u8], machine: Machine) -> bool {
        matches!(bytes.first_chunk(), Some([a, b, c, d, 0, 0, quantum, 8])
            if *quantum == machine.quantum() && Version::of(u32::from_le_bytes([*a, *b, *c, *d])).is_some())
    }

    /// Takes a head for one only if its parts lie in the order in which the linker writes them, within a
    /// table of `size` bytes.
    pub(super) fn parse(bytes: &[u8], machine: Machine, size: u64) -> Result<Self, GoError> {
        if !Self::may_begin(bytes, machine) {
            return Err(GoError::Malformed);
        }
        let version = Version::of(u32_at(bytes, 0)?).ok_or(GoError::Malformed)?;
        let word = |index: usize| u64_at(bytes, 8 + index * WORD);
        let (text, parts) = match version {
            Version::Go116 => (0, 2),
            Version::Go118 | Version::Go120 => (word(2)?, 3),
        };
        let functions = usize::try_from(word(0)?).map_err(|_| GoError::Malformed)?;
        let (names, units, files) = (word(parts)?, word(parts + 1)?, word(parts + 2)?);
        let (numbers, table) = (word(parts + 3)?, word(parts + 4)?);
        let header = Self { version, functions, text, names, units, numbers, table };
        let head = (8 + (parts + 5) * WORD) as u64;
        let ordered = [head, names, units, files, numbers, table].is_sorted() && names < units;
        let end = table.checked_add(header.entries_size() as u64);
        let fits = functions > 0 && functions <= MAX_FUNCTIONS && end.is_some_and(|end| end <= size);
        if ordered && numbers < table && fits { Ok(header) } else { Err(GoError::Malformed) }
    }

    /// Bytes of the entries at the start of the table of functions: an address and an offset for each, and
    /// the address at which the last one ends.
    pub(super) fn entries_size(&self) -> usize {
        self.functions.min(MAX_FUNCTIONS).saturating_mul(2).saturating_add(1) * self.version.field()
    }
}
