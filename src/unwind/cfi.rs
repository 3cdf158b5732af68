//! Call frame information, of `.eh_frame` or `.debug_frame`: which functions it describes, and their rows.
//!
//! A file's author may write anything here. So entries are walked by their lengths alone, a bad one costs its
//! own function and no other, and all work is counted.

use super::frame::Frame;
use super::machine::Machine;
use super::stretch::{Content, Stretch};
use super::{Limits, NoTable};
use gimli::{
    BaseAddresses, CommonInformationEntry, DebugFrame, EhFrame, EhFrameHdr, EndianSlice, LittleEndian,
    Pointer, UnwindContext, UnwindOffset, UnwindSection, Vendor,
};
use parca_agent_common::unwind::rule::Rule;
use std::collections::HashMap;

/// Most CIEs that are remembered. Linkers merge equal ones; of separate object files there may be thousands.
const MAX_CIES: usize = 4096;

/// Bytes of instructions that count as much as one row, for what they cost at least.
const HEADER: u64 = 16;

type Bytes<'section> = EndianSlice<'section, LittleEndian>;
type Cie<'section> = CommonInformationEntry<Bytes<'section>>;

/// Where the section is and how it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Its address and that of the code, to which pointers may be relative.
    pub(super) bases: BaseAddresses,
    /// Its length is not known: it ends with an entry of length 0. In a section that is known by name, such
    /// an entry is what a linker left between two parts.
    pub(super) ends_with_zero: bool,
}

/// What both kinds of section can do.
pub(super) trait CallFrames {
    /// Adds the functions. `is_signal` marks those that the file says a signal handler returns to.
    fn functions(&mut self, add: &mut dyn FnMut(Stretch, IsSignal)) -> Result<(), NoTable>;

    /// The rows of one function, by the offset of its FDE, ascending.
    fn rows(
        &mut self,
        fde: u32,
        row: &mut dyn FnMut(u64, Rule) -> Result<(), NoTable>,
    ) -> Result<(), NoTable>;
}

/// The file says that the kernel calls handlers so that they return to this function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IsSignal(pub(super) bool);

/// One section.
struct Section<'section, S> {
    section: S,
    bytes: &'section [u8],
    place: Place,
    /// In the place of the pointer to a CIE: it is one.
    cie_mark: u32,
    machine: Machine,
    context: UnwindContext<usize>,
    cies: HashMap<usize, Option<Cie<'section>>>,
    /// What may still be done.
    work: u64,
}

/// `.eh_frame`.
pub(super) fn eh_frame<'section>(
    bytes: &'section [u8],
    place: Place,
    machine: Machine,
    limits: &Limits,
) -> Box<dyn CallFrames + 'section> {
    let mut section = EhFrame::new(bytes, LittleEndian);
    section.set_vendor(vendor(machine));
    Box::new(Section::new(section, bytes, place, 0, machine, limits))
}

/// `.debug_frame`.
pub(super) fn debug_frame<'section>(
    bytes: &'section [u8],
    machine: Machine,
    limits: &Limits,
) -> Box<dyn CallFrames + 'section> {
    let mut section = DebugFrame::new(bytes, LittleEndian);
    section.set_address_size(8);
    section.set_vendor(vendor(machine));
    Box::new(Section::new(section, bytes, Place::default(), u32::MAX, machine, limits))
}

/// The address of `.eh_frame` that `.eh_frame_hdr`, which lies at an address, holds.
pub(super) fn eh_frame_address(header: &[u8], address: u64) -> Option<u64> {
    let bases = BaseAddresses::default().set_eh_frame_hdr(address);
    let parsed = EhFrameHdr::new(header, LittleEndian).parse(&bases, 8).ok()?;
    match parsed.eh_frame_ptr() {
        Pointer::Direct(address) => Some(address),
        Pointer::Indirect(_) => None,
    }
}

fn vendor(machine: Machine) -> Vendor {
    match machine {
        Machine::X86_64 => Vendor::Default,
        Machine::Aarch64 => Vendor::AArch64,
    }
}

impl<'section, S: UnwindSection<Bytes<'section>>> Section<'section, S> {
    fn new(
        section: S,
        bytes: &'section [u8],
        place: Place,
        cie_mark: u32,
        machine: Machine,
        limits: &Limits,
    ) -> Self {
        Self {
            section,
            bytes,
            place,
            cie_mark,
            machine,
            context: UnwindContext::new(),
            cies: HashMap::new(),
            work: limits.work,
        }
    }

    /// The next entry: its offset, that of the one behind it, and whether it is an FDE.
    fn entry(&self, offset: usize) -> Option<(usize, usize, bool)> {
        let mut at = offset;
        let mut length = self.u32(at)?;
        while length == 0 {
            if self.place.ends_with_zero {
                return None;
            }
            at = at.checked_add(4)?;
            length = self.u32(at)?;
        }
        let (body, length) = match length {
            u32::MAX => {
                let bytes = self.bytes.get(at.checked_add(4)?..)?.first_chunk()?;
                (at.checked_add(12)?, usize::try_from(u64::from_le_bytes(*bytes)).ok()?)
            }
            length => (at.checked_add(4)?, usize::try_from(length).ok()?),
        };
        let end = body.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let is_fde = self.u32(body).is_some_and(|pointer| pointer != self.cie_mark);
        Some((at, end, is_fde))
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn fde(&mut self, offset: usize) -> Option<gimli::FrameDescriptionEntry<Bytes<'section>>> {
        let cies = &mut self.cies;
        let cie = |section: &S, bases: &BaseAddresses, offset: S::Offset| {
            let key = UnwindOffset::into(offset);
            if cies.len() >= MAX_CIES && !cies.contains_key(&key) {
                cies.clear();
            }
            let known = cies.entry(key).or_insert_with(|| section.cie_from_offset(bases, offset).ok());
            known.clone().ok_or(gimli::Error::NotCieId(key as u64))
        };
        self.section.fde_from_offset(&self.place.bases, S::Offset::from(offset), cie).ok()
    }

    fn spend(&mut self, work: u64) -> Result<(), NoTable> {
        self.work = self.work.checked_sub(work).ok_or(NoTable::TooLarge)?;
        Ok(())
    }
}

impl<'section, S: UnwindSection<Bytes<'section>>> CallFrames for Section<'section, S> {
    fn functions(&mut self, add: &mut dyn FnMut(Stretch, IsSignal)) -> Result<(), NoTable> {
        let mut offset = 0;
        while let Some((at, next, is_fde)) = self.entry(offset) {
            offset = next;
            let (true, Ok(number)) = (is_fde, u32::try_from(at)) else { continue };
            self.spend(HEADER)?;
            if let Some(fde) = self.fde(at) {
                let start = fde.initial_address();
                let end = start.saturating_add(fde.len());
                add(
                    Stretch { start, end, content: Content::Fde(number) },
                    IsSignal(fde.is_signal_trampoline()),
                );
            }
        }
        Ok(())
    }

    fn rows(
        &mut self,
        fde: u32,
        row: &mut dyn FnMut(u64, Rule) -> Result<(), NoTable>,
    ) -> Result<(), NoTable> {
        let Some(fde) = usize::try_from(fde).ok().and_then(|offset| self.fde(offset)) else { return Ok(()) };
        // All of the entry is instructions, or nearly.
        self.spend((fde.entry_len() as u64).saturating_add(fde.cie().entry_len() as u64))?;
        let (fp, return_address) = self.machine.registers();
        let mut next = fde.initial_address();
        let Ok(mut table) = fde.rows(&self.section, &self.place.bases, &mut self.context) else {
            return row(next, Rule::UNSUPPORTED);
        };
        loop {
            match table.next_row() {
                Ok(Some(found)) => {
                    let (start, end) = (found.start_address(), found.end_address());
                    if start < end {
                        row(start, self.machine.rule(&Frame::of(found, self.bytes, fp, return_address)))?;
                        next = end;
                    }
                }
                Ok(None) => return Ok(()),
                // What was said up to here stands.
                Err(_) => return row(next, Rule::UNSUPPORTED),
            }
        }
    }
}
