//! The functions of Go's table, and how far each has moved the stack pointer at each of its instructions.

use super::find::Place;
use super::header::{Header, Version};
use super::{GoError, MAX_TABLE_BYTES};
use crate::object::ObjectAddress;
use crate::object::read_at::ReadAt;
use crate::unwind::image::{Image, u32_at, u64_at};

/// Bytes of what is read of a `runtime._func`.
const FUNCTION_BYTES: usize = 44;

/// In `_func.flag`: nothing called it.
pub(super) const TOP_FRAME: u8 = 1;
/// In `_func.flag`: it writes to SP what no table can tell.
pub(super) const SP_WRITE: u8 = 2;

/// The parts of the table that are used, in memory.
pub(super) struct Functions {
    header: Header,
    names: Vec<u8>,
    numbers: Vec<u8>,
    table: Vec<u8>,
}

/// One function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function<'table> {
    /// From the start of the text.
    pub(super) entry: u64,
    /// Where the next one starts.
    pub(super) end: u64,
    pub(super) name: &'table [u8],
    pub(super) flags: u8,
    /// What is left of its table of stack depths; `None` where it has none.
    depths: Option<&'table [u8]>,
}

impl Functions {
    /// Reads the parts that are used.
    pub(super) fn read<F: ReadAt + ?Sized>(image: &Image<'_, F>, place: &Place) -> Result<Self, GoError> {
        let header = place.header;
        let part = |from: u64, to: u64| {
            let size = to.checked_sub(from).ok_or(GoError::Malformed)?;
            let size = usize::try_from(size).ok().filter(|size| *size <= MAX_TABLE_BYTES);
            let address = ObjectAddress(place.address.0.wrapping_add(from));
            Ok::<_, GoError>(image.memory(address, size.ok_or(GoError::TooLarge)?)?)
        };
        let entries = part(header.table, header.table.saturating_add(header.entries_size() as u64))?;
        let mut functions = Self { header, names: Vec::new(), numbers: Vec::new(), table: entries };
        let mut last = 0;
        for index in 0..header.functions {
            last = last.max(functions.field(2 * index + 1)?);
        }
        // Behind the functions may lie other things.
        let end = last.saturating_add(FUNCTION_BYTES as u64).min(place.size.saturating_sub(header.table));
        functions.table = part(header.table, header.table.saturating_add(end))?;
        functions.names = part(header.names, header.units)?;
        functions.numbers = part(header.numbers, header.table)?;
        Ok(functions)
    }

    pub(super) fn count(&self) -> usize {
        self.header.functions
    }

    /// Where the first function starts.
    pub(super) fn first(&self) -> Result<u64, GoError> {
        self.field(0)
    }

    /// Where the last one ends.
    pub(super) fn end(&self) -> Result<u64, GoError> {
        self.field(2 * self.header.functions)
    }

    /// An address or an offset of the table of functions.
    fn field(&self, index: usize) -> Result<u64, GoError> {
        Ok(match self.header.version {
            Version::Go116 => u64_at(&self.table, index.saturating_mul(8))?,
            Version::Go118 | Version::Go120 => u64::from(u32_at(&self.table, index.saturating_mul(4))?),
        })
    }

    /// A function by its number.
    pub(super) fn get(&self, index: usize) -> Result<Function<'_>, GoError> {
        let (entry, end) = (self.field(2 * index)?, self.field(2 * index + 2)?);
        if end < entry {
            return Err(GoError::Malformed);
        }
        let offset = usize::try_from(self.field(2 * index + 1)?).map_err(|_| GoError::Malformed)?;
        let bytes = self.table.get(offset..).ok_or(GoError::Malformed)?;
        let (name_at, depths_at, flags_at) = match self.header.version {
            Version::Go116 => (8, 20, 41),
            Version::Go118 => (4, 16, 37),
            Version::Go120 => (4, 16, 41),
        };
        let name = slice_at(&self.names, u32_at(bytes, name_at)?)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let flags = *bytes.get(flags_at).ok_or(GoError::Malformed)?;
        let depths = match u32_at(bytes, depths_at)? {
            0 => None,
            at => Some(slice_at(&self.numbers, at)?),
        };
        Ok(Function { entry, end, name, flags, depths })
    }
}

fn slice_at(bytes: &[u8], at: u32) -> Result<&[u8], GoError> {
    usize::try_from(at).ok().and_then(|at| bytes.get(at..)).ok_or(GoError::Malformed)
}

impl<'table> Function<'table> {
    /// Says whether the table tells where the stack pointer is.
    pub(super) fn has_depths(&self) -> bool {
        self.depths.is_some()
    }

    /// The runs of instructions at which the stack pointer is equally deep.
    pub(super) fn depths(&self, quantum: u8) -> Depths<'table> {
        Depths {
            bytes: self.depths.unwrap_or_default(),
            quantum: u64::from(quantum),
            position: 0,
            size: self.end.saturating_sub(self.entry),
            // The table starts from there (Go's `src/runtime/symtab.go`, `pcvalue`).
            depth: -1,
        }
    }
}

/// A run of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    /// Where it starts, from the function's entry, bytes.
    pub(super) start: u64,
    /// Where it ends.
    pub(super) end: u64,
    /// How far below its place at the entry the stack pointer is, bytes.
    pub(super) depth: i64,
}

/// Decodes pairs of numbers: the change of the depth, and the length of the run. Each run is at least one
/// instruction long and within the function, so there are no more of them than the function has bytes.
pub(super) struct Depths<'table> {
    bytes: &'table [u8],
    quantum: u64,
    position: u64,
    size: u64,
    depth: i64,
}

impl Depths<'_> {
    /// The next run; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Depth>, GoError> {
        if self.position >= self.size {
            return Ok(None);
        }
        let change = self.number()?;
        if change == 0 && self.position != 0 {
            return Ok(None);
        }
        // Zigzag: the sign is in the lowest bit.
        let magnitude = i64::from(change >> 1);
        let change = if change & 1 == 0 { magnitude } else { -magnitude - 1 };
        self.depth = self.depth.saturating_add(change);
        let start = self.position;
        let length = u64::from(self.number()?) * self.quantum;
        if length == 0 {
            return Err(GoError::Malformed);
        }
        self.position = start.saturating_add(length).min(self.size);
        Ok(Some(Depth { start, end: self.position, depth: self.depth }))
    }

    /// A number in groups of 7 bits, the lowest first.
    fn number(&mut self) -> Result<u32, GoError> {
        let mut value = 0;
        for shift in (0..u32::BITS).step_by(7) {
            let (byte, rest) = self.bytes.split_first().ok_or(GoError::Malformed)?;
            self.bytes = rest;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(GoError::Malformed)
    }
}
