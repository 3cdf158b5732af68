//! From an object file to the tables with which its stacks are unwound: bytes in, rows and rules out. Nothing
//! here opens a file, asks a clock or knows a process.
//!
//! ```text
//! ELF -> image -> stretches of code -> rows of each: cfi (gimli) -> frame -> x86_64, aarch64: Rule
//!                                                    go
//!              -> ramp: fewer rows  -> pages: cut and numbered -> Table
//! ```
//! Most code is described by `.eh_frame`, which compilers write for C++ exceptions and, on these
//! architectures, for all else too. Where a file has none, `.debug_frame` says the same to debuggers, and Go's
//! programs have a table of their own ([`go`]). Some code has none of these and is known by its bytes:
//! what a signal handler returns to, and where the process and its threads begin.
//!
//! # What is not unwound by tables
//! | code | because | what happens |
//! |---|---|---|
//! | made at run time (JIT) | it has no file | frame pointers are followed, the stack counts as guessed |
//! | of a file without any of the above, as musl without CFI | nothing describes it | the same |
//! | in a gap between functions | nothing describes it | the same |
//! | of which a row says what no [`Rule`] can | expressions other than of linkage stubs and realigned stacks, 1 row in 10 000 | the stack ends, `unsupported_rule` |
//! | with a frame of more than 1.8 MB | the offset of the CFA has no room in a rule | the same |
//! | whose rule names a register that only the innermost frame has | its value is gone | the stack ends, `register_lost` |
//! | of 32 bits | other registers, other rules | there are no frames, `compat_32_bit` |
//!
//! A file is a stranger's. Every length is checked against the file before anything is allocated, and the
//! number of functions, rows, rules and steps is bounded ([`Limits`]).

pub mod go;
pub mod machine;
pub mod report;
pub mod row;

mod aarch64;
mod cfi;
mod expression;
mod frame;
mod image;
mod landmark;
mod pages;
mod ramp;
mod sources;
mod stretch;
mod x86_64;

pub use pages::{MAX_PAGES, MAX_ROWS_PER_PAGE, MAX_RULES};

use crate::object::LoadSegment;
use crate::object::read_at::ReadAt;
use image::{Image, ImageError};
use machine::Machine;
use parca_agent_common::unwind::rule::{Row, Rule};
use row::RowAt;
use sha2::{Digest, Sha256};
use sources::Sources;
use std::fmt;

/// How to unwind from every address of one object file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The architecture.
    pub machine: Machine,
    /// Where most of it came from.
    pub source: Source,
    /// The different rules, at most [`MAX_RULES`].
    pub rules: Vec<Rule>,
    /// The pages that have covered code, by ascending number, at most [`MAX_PAGES`].
    pub pages: Vec<Page>,
    /// What went into it.
    pub statistics: Statistics,
}

/// The rows of one page of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its offset in the file, in units of [`PAGE_BYTES`](parca_agent_common::unwind::rule::PAGE_BYTES). Not
    /// an address.
    pub number: u32,
    /// Ascending; the first is at 0, at most [`MAX_ROWS_PER_PAGE`]. A row's rule is an index of [`Table::rules`].
    pub rows: Vec<Row>,
}

/// Which part of a file describes its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// `.eh_frame`.
    EhFrame,
    /// `.debug_frame`.
    DebugFrame,
    /// Go's `.gopclntab`; what is not of Go, `.eh_frame` describes.
    GoPclntab,
}

impl Source {
    /// As the field calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EhFrame => ".eh_frame",
            Self::DebugFrame => ".debug_frame",
            Self::GoPclntab => ".gopclntab",
        }
    }
}

/// What went into a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Functions that the CFI describes; those of Go's table do not count.
    pub functions: u64,
    /// Rows as the file has them.
    pub raw_rows: u64,
    /// Rows of the table.
    pub rows: u64,
    /// Rows of the file that say what no rule can express.
    pub unsupported_rows: u64,
    /// Pages left out because they had more rows than [`MAX_ROWS_PER_PAGE`].
    pub full_pages: u64,
}

/// Bounds of one table. The largest files that are known need a fifth of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a section that are read into memory.
    pub section: u64,
    /// Most functions.
    pub functions: usize,
    /// Most rows of the file.
    pub raw_rows: u64,
    /// Most rows of the table, of 4 bytes each.
    pub rows: usize,
    /// Most bytes of CFI that are interpreted, those of a CIE once for each of its functions.
    pub work: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { section: 96 << 20, functions: 2 << 20, raw_rows: 32 << 20, rows: 6 << 20, work: 512 << 20 }
    }
}

/// Why an object file has no table. Its stacks are then unwound by frame pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoTable {
    /// Not ELF, or not well formed.
    Malformed,
    /// A part of it is larger than the agent reads, or would take too long.
    TooLarge,
    /// It says nothing of how its code is unwound.
    NoUnwindInformation,
    /// For an architecture without rules.
    UnsupportedMachine,
    /// More rows than one table may have.
    TooManyRows,
    /// More different rules than one table may have.
    TooManyRules,
    /// The worker died or hung on it; it is never tried again.
    KilledWorker,
    /// The queue of files was full.
    QueueFull,
    /// No worker could be started.
    NoWorker,
}

impl NoTable {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::TooLarge,
        Self::NoUnwindInformation,
        Self::UnsupportedMachine,
        Self::TooManyRows,
        Self::TooManyRules,
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
            Self::TooLarge => "too_large",
            Self::NoUnwindInformation => "no_unwind_information",
            Self::UnsupportedMachine => "unsupported_machine",
            Self::TooManyRows => "too_many_rows",
            Self::TooManyRules => "too_many_rules",
            Self::KilledWorker => "killed_worker",
            Self::QueueFull => "queue_full",
            Self::NoWorker => "no_worker",
        }
    }
}

impl fmt::Display for NoTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl From<ImageError> for NoTable {
    fn from(_: ImageError) -> Self {
        Self::Malformed
    }
}

/// Whether runs of pushes and pops become one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ramps {
    /// Where the architecture has them.
    Made,
    /// Nowhere: more rows, fewer rules.
    Split,
}

/// The table of an ELF file of 64 bits, little-endian.
pub fn build<F: ReadAt + ?Sized>(file: &F, limits: &Limits) -> Result<Table, NoTable> {
    match build_with(file, limits, Ramps::Made) {
        // Ramps multiply rules.
        Err(NoTable::TooManyRules) => build_with(file, limits, Ramps::Split),
        result => result,
    }
}

/// The same, with a choice.
pub fn build_with<F: ReadAt + ?Sized>(file: &F, limits: &Limits, ramps: Ramps) -> Result<Table, NoTable> {
    let Some(image) = Image::parse(file)? else { return Err(unreadable(file)) };
    Sources::read(&image, limits)?.table(ramps)
}

/// The table of rows that are sorted by address, whatever they were made of.
pub fn table_of(
    rows: Vec<RowAt>,
    segments: &[LoadSegment],
    machine: Machine,
    limits: &Limits,
) -> Result<Table, NoTable> {
    Sources::of_rows(rows, segments, machine, limits).table(Ramps::Made)
}

/// Why a file is no image.
fn unreadable<F: ReadAt + ?Sized>(file: &F) -> NoTable {
    let mut head = [0; 20];
    let is_elf = file.read_at(0, &mut head).is_ok() && head.starts_with(b"\x7fELF");
    if is_elf { NoTable::UnsupportedMachine } else { NoTable::Malformed }
}

impl Table {
    /// SHA-256 of rules and pages: two files with the same digest share one table.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.machine.number().to_le_bytes());
        digest.update((self.rules.len() as u64).to_le_bytes());
        for rule in &self.rules {
            digest.update([rule.kind, rule.saved]);
            digest.update(rule.cfa.to_le_bytes());
            digest.update(rule.fp.to_le_bytes());
            digest.update(rule.extra.to_le_bytes());
        }
        for page in &self.pages {
            digest.update(page.number.to_le_bytes());
            digest.update((page.rows.len() as u64).to_le_bytes());
            page.rows.iter().for_each(|row| digest.update(row.0.to_le_bytes()));
        }
        digest.finalize().into()
    }
}
