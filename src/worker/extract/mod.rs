//! Which bytes of an object file are its debug information, and the headers of the file that has only them.
//!
//! The debug file has all sections of the original, under the same numbers, names and addresses. Those that a server
//! has no use for, such as `.text`, keep their headers and lose their bytes (`SHT_NOBITS`), as they do with
//! `objcopy --only-keep-debug`. Segments keep their offsets in the original: by these a mapping is known. Only what
//! readers follow without looking at sections, notes and the interpreter, is said to be where it is now, or not at all.
//!
//! Of the file nothing but headers, section names and links is read here. A lying header costs its own file a debug
//! file that nobody can read.

mod content;
mod kept;
mod layout;
mod names;

use super::read_at::{Headers, ReadAt};
use crate::debuginfo::plan::{Extraction, MAX_SECTIONS, NoExtraction, Part, Plan};
use crate::object::FileOffset;
use content::content;
use kept::kept;
use layout::Layout;
use names::Names;
use object::elf::{
    ELFCLASS32, ELFDATA2MSB, ET_DYN, ET_EXEC, FileHeader64, PT_GNU_PROPERTY, PT_INTERP, PT_NOTE, PT_NULL,
    PT_PHDR, ProgramHeader64, SHF_COMPRESSED, SHT_NOBITS, SHT_NULL, SectionHeader64,
};
use object::pod::{bytes_of, bytes_of_slice};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, U16, U64};

type Header = FileHeader64<LittleEndian>;
type Program = ProgramHeader64<LittleEndian>;
type Section = SectionHeader64<LittleEndian>;

const ENDIAN: LittleEndian = LittleEndian;

/// What the table of sections is aligned to, bytes.
const TABLE_ALIGNMENT: u64 = 8;

/// Plans the debug file of an ELF file of 64 bits, little-endian.
pub fn extract<F: ReadAt + ?Sized>(file: &F) -> Result<Extraction, NoExtraction> {
    let headers = Headers::new(file);
    let header = file_header(file, &headers)?;
    let programs = header.program_headers(ENDIAN, &headers).map_err(malformed)?;
    let sections = section_headers(file, header, &headers)?;
    let names = Names::read(file, header, sections, &headers)?;
    let kept = kept(sections, &names);
    for (section, _) in sections.iter().zip(&kept).filter(|(_, kept)| **kept) {
        let end = section.sh_offset(ENDIAN).checked_add(section.sh_size(ENDIAN));
        if end.is_none_or(|end| end > file.size()) {
            return Err(NoExtraction::Truncated);
        }
    }
    let first = size_of::<Header>() + size_of_val(programs);
    let wanted = sections.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(section, _)| {
        let offset = section.sh_offset(ENDIAN);
        offset..offset.saturating_add(section.sh_size(ENDIAN))
    });
    let layout = Layout::new(first as u64, wanted.collect());
    let table = layout.end().next_multiple_of(TABLE_ALIGNMENT);
    let new_header = new_header(header, programs, table);
    let new_programs: Vec<_> = programs.iter().map(|program| new_program(program, &layout)).collect();
    let new_sections: Vec<_> = (0..)
        .zip(sections.iter().zip(&kept))
        // The first has no bytes, but numbers that are too large for the file header.
        .map(
            |(index, (section, kept))| {
                if index == 0 { *section } else { new_section(section, *kept, &layout) }
            },
        )
        .collect();
    let head = [bytes_of(&new_header), bytes_of_slice(&new_programs)].concat();
    let plan = plan(head, &layout, table, bytes_of_slice(&new_sections).to_vec())?;
    Ok(Extraction { plan, content: content(sections, &kept, &names, &headers) })
}

fn malformed(_: object::read::Error) -> NoExtraction {
    NoExtraction::Malformed
}

fn file_header<'headers, F: ReadAt + ?Sized>(
    file: &F,
    headers: &'headers Headers<'_, F>,
) -> Result<&'headers Header, NoExtraction> {
    let mut identification = [0; 6];
    file.read_at(0, &mut identification).map_err(|_| NoExtraction::Malformed)?;
    match identification {
        [0x7f, b'E', b'L', b'F', class, _] if class == ELFCLASS32.0 => return Err(NoExtraction::Elf32),
        [0x7f, b'E', b'L', b'F', _, data] if data == ELFDATA2MSB.0 => return Err(NoExtraction::BigEndian),
        _ => (),
    }
    let header = Header::parse(headers).map_err(malformed)?;
    match header.e_type(ENDIAN) {
        ET_EXEC | ET_DYN => Ok(header),
        _ => Err(NoExtraction::NotLinked),
    }
}

fn section_headers<'headers, F: ReadAt + ?Sized>(
    file: &F,
    header: &Header,
    headers: &'headers Headers<'_, F>,
) -> Result<&'headers [Section], NoExtraction> {
    let offset = header.e_shoff(ENDIAN);
    if offset == 0 {
        return Err(NoExtraction::NoSections);
    }
    if offset > file.size().saturating_sub(size_of::<Section>() as u64) {
        return Err(NoExtraction::Truncated);
    }
    let count = match header.e_shnum(ENDIAN) {
        // Then the header of section 0 has it, in 64 bits.
        0 => header.section_0(ENDIAN, headers).map_err(malformed)?.map_or(0, |first| first.sh_size(ENDIAN)),
        count => u64::from(count),
    };
    if count == 0 {
        return Err(NoExtraction::NoSections);
    }
    if count > MAX_SECTIONS as u64 {
        return Err(NoExtraction::TooManySections);
    }
    if offset.saturating_add(count * size_of::<Section>() as u64) > file.size() {
        return Err(NoExtraction::Truncated);
    }
    header.section_headers(ENDIAN, headers).map_err(malformed)
}

fn new_header(header: &Header, programs: &[Program], table: u64) -> Header {
    let mut new = *header;
    new.e_shoff = U64::new(ENDIAN, table);
    // Program headers follow this one, if there are any.
    let first = if programs.is_empty() { 0 } else { size_of::<Header>() as u64 };
    new.e_phoff = U64::new(ENDIAN, first);
    if programs.is_empty() {
        new.e_phnum = U16::new(ENDIAN, 0);
    }
    new
}

fn new_program(program: &Program, layout: &Layout) -> Program {
    let mut new = *program;
    match program.p_type(ENDIAN) {
        PT_PHDR => new.p_offset = U64::new(ENDIAN, size_of::<Header>() as u64),
        PT_INTERP | PT_NOTE | PT_GNU_PROPERTY => {
            let (offset, size) = (program.p_offset(ENDIAN), program.p_filesz(ENDIAN));
            match layout.moved(offset..offset.saturating_add(size)) {
                Some(offset) => new.p_offset = U64::new(ENDIAN, offset),
                // What was there is not in a section that is kept, and readers complain of an empty one.
                None => new.p_type.set(ENDIAN, PT_NULL),
            }
        }
        _ => (),
    }
    new
}

fn new_section(section: &Section, kept: bool, layout: &Layout) -> Section {
    let mut new = *section;
    new.sh_offset = U64::new(ENDIAN, layout.place(section.sh_offset(ENDIAN)));
    if !kept && section.sh_type(ENDIAN) != SHT_NULL {
        new.sh_type.set(ENDIAN, SHT_NOBITS);
        // There is no header of compressed bytes to look for.
        new.sh_flags.set(ENDIAN, section.sh_flags(ENDIAN).without(SHF_COMPRESSED));
    }
    new
}

fn plan(head: Vec<u8>, layout: &Layout, table: u64, sections: Vec<u8>) -> Result<Plan, NoExtraction> {
    let mut position = head.len() as u64;
    let mut parts = vec![Part::Bytes(head)];
    for span in layout.spans() {
        parts.push(Part::Zeros(span.new - position));
        let length = span.old.end - span.old.start;
        parts.push(Part::Copy { from: FileOffset(span.old.start), length });
        position = span.new + length;
    }
    parts.push(Part::Zeros(table - position));
    parts.push(Part::Bytes(sections));
    parts.retain(|part| part.length() > 0);
    Plan::new(parts).map_err(|_| NoExtraction::Malformed)
}

#[cfg(test)]
mod tests;
