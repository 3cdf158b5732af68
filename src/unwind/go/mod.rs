//! Unwind rows of Go programs, from the table that Go's own runtime walks stacks with.
//!
//! The linker writes it into every program, stripped or not: `.gopclntab`. Among other things it says for each
//! function how far the stack pointer has moved at each instruction, which is all that a rule needs, for
//! compiled Go saves the frame pointer always at the same place of a frame (`rule.rs`). Formats since Go 1.16
//! are read.
//!
//! ```text
//! image: ELF -> find: head, text -> function: name, flags, depths -> rule -> rows
//! ```
//! Where Go switches stacks, the frame pointer leads across, with two exceptions. `runtime.mcall` and
//! `runtime.morestack` leave the goroutine for good, and clear it. `runtime.asmcgocall` on aarch64 replaces it,
//! so frames of C have no callers there.

mod find;
mod function;
mod header;
mod rule;

use super::image::{Image, ImageError};
use super::machine::Machine;
use super::row::RowAt;
use crate::object::ObjectAddress;
use crate::object::read_at::{ReadAt, Unreadable};
use function::{Function, Functions};

use parca_agent_common::unwind::rule::Rule;
use rule::Manner;

/// Most functions of a file. `go tool compile`, 33 MB, has 20 thousand.
pub const MAX_FUNCTIONS: usize = 2_000_000;

/// Most rows of a file. There are five to nine for a function.
pub const MAX_ROWS: usize = 16_000_000;

/// Most bytes of each of the three parts of the table that are read into memory.
const MAX_TABLE_BYTES: usize = 256 << 20;

/// Most runs of instructions of all functions. Runs can be many without a row for each.
const MAX_RUNS: usize = 2 * MAX_ROWS;

/// Why a Go program has no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoError {
    /// The file ends early.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A number of the table, or of the file's headers, cannot be.
    #[error("malformed table of Go functions")]
    Malformed,
    /// More functions, rows or bytes than are taken.
    #[error("table of Go functions is too large")]
    TooLarge,
    /// The table is there, but not to which code it belongs.
    #[error("no code found for the table of Go functions")]
    NoText,
}

/// The rows of a Go program, sorted by address, no two neighbours with the same rule. `None` when the file
/// is not ELF, is for another machine than x86_64 and aarch64, or has no Go table of a known version.
pub fn rows<F: ReadAt + ?Sized>(file: &F) -> Result<Option<Vec<RowAt>>, GoError> {
    Image::parse(file)?.map_or(Ok(None), |image| rows_of(&image))
}

/// The same, of a file whose headers were read.
pub(super) fn rows_of<F: ReadAt + ?Sized>(image: &Image<'_, F>) -> Result<Option<Vec<RowAt>>, GoError> {
    let Some(place) = find::table(image)? else { return Ok(None) };
    let functions = Functions::read(image, &place)?;
    let text = find::text(image, &place, functions.first()?, functions.end()?)?;
    let mut rows = Rows { text, rows: Vec::new(), runs: 0 };
    for index in 0..functions.count() {
        rows.function(&functions.get(index)?, image.machine)?;
    }
    rows.push(functions.end()?, Rule::UNCOVERED)?;
    Ok(Some(rows.rows))
}

impl From<ImageError> for GoError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Unreadable(error) => Self::Unreadable(error),
            ImageError::Malformed => Self::Malformed,
        }
    }
}

struct Rows {
    text: ObjectAddress,
    rows: Vec<RowAt>,
    runs: usize,
}

impl Rows {
    fn function(&mut self, function: &Function<'_>, machine: Machine) -> Result<(), GoError> {
        let manner = Manner::of(function, machine);
        if manner == Manner::SignalReturn {
            // The handler returns to its first instruction, and what is looked up is the one before.
            return self.push(function.entry.saturating_sub(1), Rule::SIGNAL);
        }
        if !function.has_depths() {
            let empty = function.entry == function.end;
            return if empty { Ok(()) } else { self.push(function.entry, Rule::UNCOVERED) };
        }
        let mut depths = function.depths(machine.quantum());
        let mut is_prologue = manner == Manner::ByFramePointer;
        while let Some(run) = depths.next()? {
            self.runs += 1;
            if self.runs > MAX_RUNS {
                return Err(GoError::TooLarge);
            }
            let mut start = run.start;
            if is_prologue && run.depth > 0 {
                self.push(function.entry.saturating_add(start), rule::by_depth(machine, run.depth))?;
                start += rule::prologue_rest(machine);
                is_prologue = false;
            }
            if start < run.end {
                self.push(function.entry.saturating_add(start), manner.rule(machine, run.depth))?;
            }
        }
        Ok(())
    }

    /// Adds a row, by its distance from the start of the text, unless the rule is in force already.
    fn push(&mut self, distance: u64, rule: Rule) -> Result<(), GoError> {
        let address = ObjectAddress(self.text.0.checked_add(distance).ok_or(GoError::Malformed)?);
        if self.rows.last().is_some_and(|last| last.address >= address) {
            self.rows.pop();
        }
        match self.rows.last() {
            Some(last) if last.address >= address => Err(GoError::Malformed),
            Some(last) if last.rule == rule => Ok(()),
            _ if self.rows.len() >= MAX_ROWS => Err(GoError::TooLarge),
            _ => {
                self.rows.push(RowAt { address, rule });
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
