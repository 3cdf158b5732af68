//! An ELF file as its loader sees it, as far as unwind tables need it.

use super::machine::Machine;
use crate::object::read_at::{ReadAt, Unreadable};
use crate::object::{FileOffset, LoadSegment, ObjectAddress};
use std::ops::Range;

/// Most program headers that are looked at. Linkers write about ten.
const MAX_PROGRAM_HEADERS: u16 = 256;

/// Most section headers that are looked at. A Go program has about forty.
const MAX_SECTION_HEADERS: u16 = 4096;

/// Most bytes of section names.
const MAX_NAME_BYTES: u64 = 1 << 20;

/// Most bytes of relocations that are looked at: 2.8 million.
const MAX_RELOCATION_BYTES: u64 = 64 << 20;

/// Bytes read at a time.
const BLOCK: usize = 64 << 10;

const FILE_HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const SECTION_HEADER_BYTES: usize = 64;
const DYNAMIC_BYTES: usize = 16;
/// `Elf64_Rela`: where, what, and the value that is written there.
const RELOCATION_BYTES: usize = 24;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PF_X: u32 = 1;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const SHT_NOBITS: u32 = 8;
const SHF_COMPRESSED: u64 = 1 << 11;

/// A file that is not what its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ImageError {
    /// The file ends early.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A number of its headers cannot be.
    #[error("malformed headers")]
    Malformed,
}

/// A section that has a name.
#[derive(Clone, Debug)]
pub(super) struct Section {
    name: Box<[u8]>,
    /// Where it is in memory; 0 if it is not.
    pub(super) address: ObjectAddress,
    offset: FileOffset,
    size: u64,
    /// Its bytes are in the file, as they are.
    pub(super) is_plain: bool,
}

/// A relative relocation: the loader writes `value`, plus the load bias, to `address`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relocation {
    pub(super) address: ObjectAddress,
    pub(super) value: u64,
}

/// The headers of a file, and the file.
pub(super) struct Image<'file, F: ReadAt + ?Sized> {
    file: &'file F,
    pub(super) machine: Machine,
    pub(super) segments: Vec<LoadSegment>,
    /// Where the program starts.
    pub(super) entry: ObjectAddress,
    /// `.eh_frame_hdr`, as the loader finds it: where, and how long.
    pub(super) eh_frame_header: Option<(ObjectAddress, u64)>,
    dynamic: Option<Range<u64>>,
    sections: Vec<Section>,
}

impl<'file, F: ReadAt + ?Sized> Image<'file, F> {
    /// Nothing if it is not ELF, 64 bits, little-endian, of a known machine.
    pub(super) fn parse(file: &'file F) -> Result<Option<Self>, ImageError> {
        let mut header = [0; FILE_HEADER_BYTES];
        if file.read_at(0, &mut header).is_err() || !header.starts_with(b"\x7fELF\x02\x01") {
            return Ok(None);
        }
        let Some(machine) = Machine::of(u16_at(&header, 18)?) else { return Ok(None) };
        let entry = ObjectAddress(u64_at(&header, 24)?);
        let mut image = Self {
            file,
            machine,
            segments: Vec::new(),
            entry,
            eh_frame_header: None,
            dynamic: None,
            sections: Vec::new(),
        };
        image.read_programs(&header)?;
        image.read_sections(&header)?;
        Ok(Some(image))
    }

    fn read_programs(&mut self, header: &[u8]) -> Result<(), ImageError> {
        let (offset, size, count) = (u64_at(header, 32)?, u16_at(header, 54)?, u16_at(header, 56)?);
        if count > MAX_PROGRAM_HEADERS || usize::from(size) != PROGRAM_HEADER_BYTES && count != 0 {
            return Err(ImageError::Malformed);
        }
        let table = self.bytes(offset, usize::from(count) * PROGRAM_HEADER_BYTES)?;
        for program in table.chunks_exact(PROGRAM_HEADER_BYTES) {
            let segment = LoadSegment {
                file_offset: FileOffset(u64_at(program, 8)?),
                address: ObjectAddress(u64_at(program, 16)?),
                file_size: u64_at(program, 32)?,
                memory_size: u64_at(program, 40)?,
                executable: u32_at(program, 4)? & PF_X != 0,
            };
            let file_end =
                segment.file_offset.0.checked_add(segment.file_size).ok_or(ImageError::Malformed)?;
            segment.address.0.checked_add(segment.file_size).ok_or(ImageError::Malformed)?;
            match u32_at(program, 0)? {
                PT_LOAD => self.segments.push(segment),
                PT_DYNAMIC => self.dynamic = Some(segment.file_offset.0..file_end),
                PT_GNU_EH_FRAME => self.eh_frame_header = Some((segment.address, segment.file_size)),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_sections(&mut self, header: &[u8]) -> Result<(), ImageError> {
        let (offset, size, count) = (u64_at(header, 40)?, u16_at(header, 58)?, u16_at(header, 60)?);
        if offset == 0 || count == 0 {
            return Ok(());
        }
        if count > MAX_SECTION_HEADERS || usize::from(size) != SECTION_HEADER_BYTES {
            return Err(ImageError::Malformed);
        }
        let table = self.bytes(offset, usize::from(count) * SECTION_HEADER_BYTES)?;
        let sections = || table.chunks_exact(SECTION_HEADER_BYTES);
        let Some(strings) = sections().nth(usize::from(u16_at(header, 62)?)) else {
            return Err(ImageError::Malformed);
        };
        let (names_at, names_size) = (u64_at(strings, 24)?, u64_at(strings, 32)?.min(MAX_NAME_BYTES));
        let names = self.bytes(names_at, usize::try_from(names_size).map_err(|_| ImageError::Malformed)?)?;
        for section in sections() {
            let name = usize::try_from(u32_at(section, 0)?).ok().and_then(|at| names.get(at..));
            let name = name.and_then(|rest| rest.split(|byte| *byte == 0).next()).unwrap_or_default();
            let (address, size) = (u64_at(section, 16)?, u64_at(section, 32)?);
            if address.checked_add(size).is_some() && !name.is_empty() {
                self.sections.push(Section {
                    name: name.into(),
                    address: ObjectAddress(address),
                    offset: FileOffset(u64_at(section, 24)?),
                    size,
                    is_plain: u32_at(section, 4)? != SHT_NOBITS && u64_at(section, 8)? & SHF_COMPRESSED == 0,
                });
            }
        }
        Ok(())
    }

    /// The addresses of a section that is mapped.
    pub(super) fn section(&self, name: &[u8]) -> Option<Range<u64>> {
        let section = self.named_section(name).filter(|section| section.address.0 != 0)?;
        Some(section.address.0..section.address.0.saturating_add(section.size))
    }

    /// A section, whether it is mapped or not.
    pub(super) fn named_section(&self, name: &[u8]) -> Option<&Section> {
        self.sections.iter().find(|section| *section.name == *name)
    }

    /// The bytes of a section, if they are no more than so many.
    pub(super) fn contents(&self, section: &Section, most: u64) -> Option<Result<Vec<u8>, ImageError>> {
        let count = usize::try_from(section.size).ok().filter(|_| section.size <= most)?;
        Some(self.bytes(section.offset.0, count))
    }

    /// The file names its sections.
    pub(super) fn has_sections(&self) -> bool {
        self.sections.iter().any(|section| section.address.0 != 0)
    }

    /// The segment whose bytes in the file hold an address.
    pub(super) fn segment_of(&self, address: ObjectAddress) -> Option<&LoadSegment> {
        self.segments.iter().find(|segment| {
            address.0.checked_sub(segment.address.0).is_some_and(|offset| offset < segment.file_size)
        })
    }

    /// Addresses from this one to the end of its segment's bytes in the file.
    pub(super) fn rest_of_segment(&self, address: ObjectAddress) -> u64 {
        let end = self.segment_of(address).map(|segment| segment.address.0.saturating_add(segment.file_size));
        end.map_or(0, |end| end.saturating_sub(address.0))
    }

    /// Bytes at an address, as they are in the file.
    pub(super) fn memory(&self, address: ObjectAddress, count: usize) -> Result<Vec<u8>, ImageError> {
        let segment = self.segment_of(address).ok_or(Unreadable)?;
        if count as u64 > self.rest_of_segment(address) {
            return Err(ImageError::Malformed);
        }
        let distance = address.0.saturating_sub(segment.address.0);
        self.bytes(segment.file_offset.0.saturating_add(distance), count)
    }

    /// Nothing is allocated for bytes that the file has not.
    fn bytes(&self, offset: u64, count: usize) -> Result<Vec<u8>, ImageError> {
        let end = offset.checked_add(count as u64).ok_or(ImageError::Malformed)?;
        if end > self.file.size() {
            return Err(Unreadable.into());
        }
        let mut buffer = vec![0; count];
        self.file.read_at(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// The relative relocations, which say what a pointer of a position-independent file will be; the file
    /// itself may hold 0 there. Stops when the visitor has seen enough.
    pub(super) fn relocations(&self, mut visit: impl FnMut(Relocation) -> bool) -> Result<(), ImageError> {
        let Some(dynamic) = &self.dynamic else { return Ok(()) };
        let count = usize::try_from(dynamic.end.saturating_sub(dynamic.start)).unwrap_or(0).min(BLOCK);
        let (mut table, mut size) = (0, 0);
        for entry in self.bytes(dynamic.start, count)?.chunks_exact(DYNAMIC_BYTES) {
            match u64_at(entry, 0)? {
                DT_RELA => table = u64_at(entry, 8)?,
                DT_RELASZ => size = u64_at(entry, 8)?,
                _ => {}
            }
        }
        let relative = match self.machine {
            Machine::X86_64 => 8,
            Machine::Aarch64 => 1027,
        };
        let per_block = BLOCK - BLOCK % RELOCATION_BYTES;
        let mut address = ObjectAddress(table);
        let mut left = size.min(MAX_RELOCATION_BYTES).min(self.rest_of_segment(address));
        while left >= RELOCATION_BYTES as u64 {
            let count = usize::try_from(left).unwrap_or(per_block).min(per_block);
            for entry in self.memory(address, count)?.chunks_exact(RELOCATION_BYTES) {
                let (target, value) = (ObjectAddress(u64_at(entry, 0)?), u64_at(entry, 16)?);
                // The upper half of the word names a symbol, which a relative one has not.
                if u64_at(entry, 8)? == relative && !visit(Relocation { address: target, value }) {
                    return Ok(());
                }
            }
            address = ObjectAddress(address.0.saturating_add(count as u64));
            left = left.saturating_sub(count as u64);
        }
        Ok(())
    }

    /// Looks for something in the segments that hold no code: the visitor gets each aligned word's address
    /// and the bytes from there on, `window` of them where the segment has as many.
    pub(super) fn scan(
        &self,
        window: usize,
        mut visit: impl FnMut(ObjectAddress, &[u8]) -> bool,
    ) -> Result<(), ImageError> {
        for segment in self.segments.iter().filter(|segment| !segment.executable) {
            let Some(start) = segment.address.0.checked_next_multiple_of(WORD as u64) else { continue };
            let mut address = ObjectAddress(start);
            loop {
                let left = self.rest_of_segment(address);
                if left < WORD as u64 || self.segment_of(address) != Some(segment) {
                    break;
                }
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK + window);
                let block = self.memory(address, count)?;
                for start in (0..count.min(BLOCK)).step_by(WORD) {
                    let bytes = block.get(start..count.min(start + window)).unwrap_or_default();
                    if !visit(ObjectAddress(address.0.saturating_add(start as u64)), bytes) {
                        return Ok(());
                    }
                }
                address = ObjectAddress(address.0.saturating_add(BLOCK as u64));
            }
        }
        Ok(())
    }
}

const WORD: usize = 8;

/// A little-endian number in a slice.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ImageError> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

/// A little-endian number in a slice.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ImageError> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// A little-endian number in a slice.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Result<u64, ImageError> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ImageError> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(ImageError::Malformed)
}
