//! The names of sections, which may be any bytes.

use super::{ENDIAN, Header, Section, malformed};
use crate::debuginfo::plan::NoExtraction;
use crate::worker::read_at::{Headers, ReadAt};
use object::elf::{SHN_UNDEF, SHT_STRTAB};
use object::read::ReadRef;
use object::read::elf::{FileHeader, SectionHeader};

/// Most bytes of names. Linkers write a few hundred.
const MAX_BYTES: u64 = 4 << 20;

/// The string table of sections.
pub(super) struct Names<'headers> {
    bytes: &'headers [u8],
    /// The section that has it; 0 if none does.
    pub(super) section: usize,
}

impl<'headers> Names<'headers> {
    pub(super) fn read<F: ReadAt + ?Sized>(
        file: &F,
        header: &Header,
        sections: &[Section],
        headers: &'headers Headers<'_, F>,
    ) -> Result<Self, NoExtraction> {
        if header.e_shstrndx(ENDIAN) == SHN_UNDEF {
            return Ok(Self { bytes: &[], section: 0 });
        }
        let index = header.shstrndx(ENDIAN, headers).map_err(malformed)?;
        let index = usize::try_from(index).map_err(|_| NoExtraction::Malformed)?;
        let section =
            sections.get(index).filter(|section| index > 0 && section.sh_type(ENDIAN) == SHT_STRTAB);
        let section = section.ok_or(NoExtraction::Malformed)?;
        let (offset, size) = (section.sh_offset(ENDIAN), section.sh_size(ENDIAN));
        if size > MAX_BYTES {
            return Err(NoExtraction::TooLarge);
        }
        if offset.checked_add(size).is_none_or(|end| end > file.size()) {
            return Err(NoExtraction::Truncated);
        }
        let bytes = headers.read_bytes_at(offset, size).map_err(|()| NoExtraction::TooLarge)?;
        Ok(Self { bytes, section: index })
    }

    /// Empty where it lies outside the table or has no end.
    pub(super) fn of(&self, section: &Section) -> &'headers [u8] {
        let rest = usize::try_from(section.sh_name(ENDIAN)).ok().and_then(|start| self.bytes.get(start..));
        let name = rest.and_then(|rest| rest.get(..rest.iter().position(|byte| *byte == 0)?));
        name.unwrap_or_default()
    }
}
