//! All that a file says of its code, brought into the order of the file.

use super::cfi::{self, CallFrames, IsSignal, Place};
use super::image::Image;
use super::landmark;
use super::machine::Machine;
use super::pages::Pages;
use super::ramp::Compactor;
use super::row::RowAt;
use super::stretch::{Content, MAX_PADDING, Stretch, arrange};
use super::{Limits, NoTable, Ramps, Source, Statistics, Table, go};
use crate::object::read_at::ReadAt;
use crate::object::{FileOffset, LoadSegment, ObjectAddress};
use gimli::BaseAddresses;
use parca_agent_common::unwind::rule::{Cfa, Rule};

/// What a table is made of.
pub(super) struct Sources {
    machine: Machine,
    source: Source,
    /// Executable, by their place in the file.
    segments: Vec<LoadSegment>,
    stretches: Vec<Stretch>,
    section: Section,
    /// Of the stretch [`Content::Go`].
    go: Vec<RowAt>,
    limits: Limits,
    statistics: Statistics,
}

/// The CFI of a file.
#[derive(Default)]
enum Section {
    #[default]
    None,
    EhFrame(Vec<u8>, Place),
    DebugFrame(Vec<u8>),
}

impl Sources {
    /// Reads what the file says, all but rows.
    pub(super) fn read<F: ReadAt + ?Sized>(image: &Image<'_, F>, limits: &Limits) -> Result<Self, NoTable> {
        // What cannot be read of Go's is not there: CFI may be.
        let go = go::rows_of(image).ok().flatten().unwrap_or_default();
        let mut sources = Self::of_rows(go, &image.segments, image.machine, limits);
        sources.source = if sources.go.is_empty() { Source::EhFrame } else { Source::GoPclntab };
        if let Some((bytes, place)) = eh_frame(image, limits)? {
            sources.section = Section::EhFrame(bytes, place);
            sources.add_functions(image)?;
        }
        if sources.stretches.is_empty()
            && let Some(bytes) = debug_frame(image, limits)?
        {
            sources.section = Section::DebugFrame(bytes);
            sources.source = Source::DebugFrame;
            sources.add_functions(image)?;
        }
        if sources.stretches.is_empty() {
            return Err(NoTable::NoUnwindInformation);
        }
        arrange(&mut sources.stretches);
        let missing = landmark::missing(image, &sources.stretches);
        if !missing.is_empty() {
            sources.stretches.extend(missing);
            arrange(&mut sources.stretches);
        }
        Ok(sources)
    }

    /// Nothing but rows.
    pub(super) fn of_rows(
        rows: Vec<RowAt>,
        segments: &[LoadSegment],
        machine: Machine,
        limits: &Limits,
    ) -> Self {
        let mut executable: Vec<_> = segments.iter().copied().filter(|segment| segment.executable).collect();
        executable.sort_by_key(|segment| segment.file_offset);
        let stretch = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) => {
                Some(Stretch { start: first.address.0, end: last.address.0, content: Content::Go })
            }
            _ => None,
        };
        Self {
            machine,
            source: Source::GoPclntab,
            segments: executable,
            stretches: stretch.into_iter().collect(),
            section: Section::None,
            go: rows,
            limits: *limits,
            statistics: Statistics::default(),
        }
    }

    fn add_functions<F: ReadAt + ?Sized>(&mut self, image: &Image<'_, F>) -> Result<(), NoTable> {
        let Some(mut frames) = frames(&self.section, self.machine, &self.limits) else { return Ok(()) };
        let (stretches, most) = (&mut self.stretches, self.limits.functions);
        let mut functions = 0;
        frames.functions(&mut |stretch, IsSignal(is_signal)| {
            functions += 1;
            // A linker that leaves a function out leaves its FDE behind, with the address 0.
            let is_code =
                image.segment_of(ObjectAddress(stretch.start)).is_some_and(|segment| segment.executable);
            if is_code && stretches.len() < most {
                let signal = if is_signal { landmark::signal_return(image, stretch) } else { None };
                stretches.push(signal.unwrap_or(stretch));
            }
        })?;
        self.statistics.functions = functions;
        if functions > most as u64 { Err(NoTable::TooLarge) } else { Ok(()) }
    }

    /// The table.
    pub(super) fn table(&self, ramps: Ramps) -> Result<Table, NoTable> {
        let has_ramps = self.machine == Machine::X86_64 && ramps == Ramps::Made;
        let mut writer = Writer {
            compactor: Compactor::new(has_ramps),
            pages: Pages::new(&self.limits),
            statistics: self.statistics,
            most_rows: self.limits.raw_rows,
            segment: None,
            written: FileOffset(0),
        };
        let mut frames = frames(&self.section, self.machine, &self.limits);
        for segment in &self.segments {
            if writer.enter(segment)? {
                self.write(segment, frames.as_deref_mut(), &mut writer)?;
            }
        }
        let Writer { pages, mut statistics, .. } = writer;
        statistics.full_pages = pages.full as u64;
        let (rules, pages, rows) = pages.finish()?;
        statistics.rows = rows as u64;
        if pages.is_empty() {
            return Err(NoTable::NoUnwindInformation);
        }
        Ok(Table { machine: self.machine, source: self.source, rules, pages, statistics })
    }

    /// Writes the rows of one segment.
    fn write(
        &self,
        segment: &LoadSegment,
        mut frames: Option<&mut (dyn CallFrames + '_)>,
        writer: &mut Writer,
    ) -> Result<(), NoTable> {
        let first = segment.address.0;
        let last = first.saturating_add(segment.file_size);
        let from = self.stretches.partition_point(|stretch| stretch.end <= first);
        let mut covered = None;
        for stretch in self.stretches.get(from..).unwrap_or_default() {
            let (start, end) = (stretch.start.max(first), stretch.end.min(last));
            if start >= end {
                break;
            }
            match covered {
                None => writer.uncovered(first, start)?,
                Some(covered) if start - covered > MAX_PADDING => writer.uncovered(covered, start)?,
                Some(_) => {}
            }
            match stretch.content {
                Content::Signal => writer.push(start, Rule::SIGNAL)?,
                Content::Outermost => writer.push(start, Rule::OUTERMOST)?,
                Content::Fde(fde) => {
                    if let Some(frames) = &mut frames {
                        frames.rows(fde, &mut |address, rule| writer.clipped(address, rule, start, end))?;
                    }
                }
                Content::Go => {
                    for row in &self.go {
                        writer.clipped(row.address.0, row.rule, start, end)?;
                    }
                }
            }
            covered = Some(end);
        }
        writer.uncovered(covered.unwrap_or(first), last)?;
        writer.leave()
    }
}

/// Takes rows by address and passes fewer on, by file offset.
struct Writer {
    compactor: Compactor,
    pages: Pages,
    statistics: Statistics,
    most_rows: u64,
    segment: Option<LoadSegment>,
    /// Up to where the file was written of.
    written: FileOffset,
}

impl Writer {
    /// Begins a segment; false if it has no bytes of its own in the file.
    fn enter(&mut self, segment: &LoadSegment) -> Result<bool, NoTable> {
        let end = segment.file_offset.0.checked_add(segment.file_size).ok_or(NoTable::Malformed)?;
        segment.address.0.checked_add(segment.file_size).ok_or(NoTable::Malformed)?;
        if segment.file_size == 0 || segment.file_offset < self.written {
            return Ok(false);
        }
        self.written = FileOffset(end);
        self.segment = Some(*segment);
        Ok(true)
    }

    /// Ends it, and with it what its last row covers.
    fn leave(&mut self) -> Result<(), NoTable> {
        if let Some(row) = self.compactor.finish() {
            self.write(row)?;
        }
        self.pages.push(self.written, Rule::UNCOVERED)
    }

    /// Takes a row of a stretch, which may lie partly outside.
    fn clipped(&mut self, address: u64, rule: Rule, start: u64, end: u64) -> Result<(), NoTable> {
        self.statistics.raw_rows += 1;
        if self.statistics.raw_rows > self.most_rows {
            return Err(NoTable::TooManyRows);
        }
        if rule.cfa_kind() == Cfa::Unsupported {
            self.statistics.unsupported_rows += 1;
        }
        // Of several rows before the start the last counts, which takes the place of the others.
        if address < end { self.push(address.max(start), rule) } else { Ok(()) }
    }

    fn uncovered(&mut self, start: u64, end: u64) -> Result<(), NoTable> {
        if start < end { self.push(start, Rule::UNCOVERED) } else { Ok(()) }
    }

    fn push(&mut self, address: u64, rule: Rule) -> Result<(), NoTable> {
        let row = self.compactor.push(RowAt { address: ObjectAddress(address), rule });
        row.map_or(Ok(()), |row| self.write(row))
    }

    fn write(&mut self, row: RowAt) -> Result<(), NoTable> {
        let segment = self.segment.ok_or(NoTable::Malformed)?;
        let distance = row.address.0.checked_sub(segment.address.0).ok_or(NoTable::Malformed)?;
        self.pages.push(FileOffset(segment.file_offset.0.saturating_add(distance)), row.rule)
    }
}

fn frames<'section>(
    section: &'section Section,
    machine: Machine,
    limits: &Limits,
) -> Option<Box<dyn CallFrames + 'section>> {
    match section {
        Section::None => None,
        Section::EhFrame(bytes, place) => Some(cfi::eh_frame(bytes, place.clone(), machine, limits)),
        Section::DebugFrame(bytes) => Some(cfi::debug_frame(bytes, machine, limits)),
    }
}

/// `.eh_frame`, by its name, or as the loader finds it.
fn eh_frame<F: ReadAt + ?Sized>(
    image: &Image<'_, F>,
    limits: &Limits,
) -> Result<Option<(Vec<u8>, Place)>, NoTable> {
    let bases = BaseAddresses::default();
    let bases = image.section(b".text").map_or(bases.clone(), |text| bases.set_text(text.start));
    let section =
        image.named_section(b".eh_frame").filter(|section| section.is_plain && section.address.0 != 0);
    if let Some(section) = section {
        let bytes = image.contents(section, limits.section).ok_or(NoTable::TooLarge)??;
        let bases = bases.set_eh_frame(section.address.0);
        return Ok(Some((bytes, Place { bases, ends_with_zero: false })));
    }
    let Some((header, size)) = image.eh_frame_header else { return Ok(None) };
    // The pointer is at its start; a table that may follow is of no use here.
    let size = usize::try_from(size.min(MAX_HEADER)).unwrap_or_default();
    let head = image.memory(header, size)?;
    let Some(address) = cfi::eh_frame_address(&head, header.0).map(ObjectAddress) else { return Ok(None) };
    let size = image.rest_of_segment(address).min(limits.section);
    let bytes = image.memory(address, usize::try_from(size).map_err(|_| NoTable::TooLarge)?)?;
    Ok(Some((bytes, Place { bases: bases.set_eh_frame(address.0), ends_with_zero: true })))
}

/// Bytes of `.eh_frame_hdr` that may belong to its head.
const MAX_HEADER: u64 = 32;

/// `.debug_frame`, if it is not compressed.
fn debug_frame<F: ReadAt + ?Sized>(
    image: &Image<'_, F>,
    limits: &Limits,
) -> Result<Option<Vec<u8>>, NoTable> {
    let section = image.named_section(b".debug_frame").filter(|section| section.is_plain);
    let Some(section) = section else { return Ok(None) };
    Ok(Some(image.contents(section, limits.section).ok_or(NoTable::TooLarge)??))
}
