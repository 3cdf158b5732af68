//! Executable files made by hand: sound ones that are only large, and such as no linker would make.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where the first byte of a file is in memory.
pub(crate) const BASE: u64 = 0x40_0000;
/// Where its code is in the file.
pub(crate) const CODE_OFFSET: u64 = 0x1000;
/// Where its sections begin.
const SECTIONS_OFFSET: u64 = 0x2000;

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: u16 = 56;
const SECTION_HEADER_SIZE: u16 = 64;

const PT_LOAD: u32 = 1;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const SHT_PROGBITS: u32 = 1;
pub(crate) const SHF_ALLOC: u64 = 2;

/// Writes `h` and a line feed, then turns in a loop. Uses no stack, so that it may be called too.
const CODE: &[u8] = &[
    0xb8, 1, 0, 0, 0, // mov eax, 1 (write)
    0xbf, 1, 0, 0, 0, // mov edi, 1
    0x48, 0x8d, 0x35, 12, 0, 0, 0, // lea rsi, [the letter]
    0xba, 2, 0, 0, 0, // mov edx, 2
    0x0f, 0x05, // syscall
    0x48, 0xff, 0xc0, // inc rax
    0xeb, 0xfb, // jmp to the one before
    b'h', b'\n',
];

/// Where fields are in a file's header.
pub(crate) mod field {
    pub(crate) const PHOFF: usize = 32;
    pub(crate) const SHOFF: usize = 40;
    pub(crate) const PHNUM: usize = 56;
    pub(crate) const SHENTSIZE: usize = 58;
    pub(crate) const SHNUM: usize = 60;
    pub(crate) const SHSTRNDX: usize = 62;
}

/// One section of a file.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) data: Vec<u8>,
    /// Zeros behind the data, which take no room on disk.
    pub(crate) zeros: u64,
    pub(crate) link: u32,
    /// What the header says of its size, if not the truth.
    pub(crate) claimed_size: Option<u64>,
    pub(crate) entry_size: u64,
}

impl Section {
    /// A section of data that is mapped.
    pub(crate) fn new(name: &'static str, data: Vec<u8>) -> Self {
        let (kind, flags) = (SHT_PROGBITS, SHF_ALLOC);
        Self { name, kind, flags, data, zeros: 0, link: 0, claimed_size: None, entry_size: 0 }
    }
}

/// A file with code that runs for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elf {
    pub(crate) sections: Vec<Section>,
    /// Bytes of the header, or of the first section's header, that are replaced at last.
    pub(crate) header_lies: Vec<(usize, Vec<u8>)>,
    pub(crate) first_section_lies: Vec<(usize, Vec<u8>)>,
}

impl Elf {
    /// A file with some sections.
    pub(crate) fn new(sections: Vec<Section>) -> Self {
        Self { sections, ..Self::default() }
    }

    /// Address in memory of the section of some index, of those that were added.
    pub(crate) fn address(&self, index: usize) -> u64 {
        let before = &self.sections[..index];
        BASE + before
            .iter()
            .fold(SECTIONS_OFFSET, |at, section| align(at + section.data.len() as u64 + section.zeros))
    }

    /// Writes it, executable.
    pub(crate) fn write(&self, path: &Path) {
        let mut file = create(path);
        let mut names = b"\0.text\0".to_vec();
        let mut table = vec![
            section_header(0, 0, 0, 0, 0, 0),
            section_header(1, SHT_PROGBITS, 6, BASE + CODE_OFFSET, CODE_OFFSET, CODE.len() as u64),
        ];
        let mut at = SECTIONS_OFFSET;
        put(&mut file, CODE_OFFSET, CODE);
        let mut frame_header = None;
        for section in &self.sections {
            put(&mut file, at, &section.data);
            let size = section.data.len() as u64 + section.zeros;
            let name = u32::try_from(names.len()).unwrap();
            names.extend_from_slice(section.name.as_bytes());
            names.push(0);
            let claimed = section.claimed_size.unwrap_or(size);
            let mut header = section_header(name, section.kind, section.flags, BASE + at, at, claimed);
            header[40..44].copy_from_slice(&section.link.to_le_bytes());
            header[56..64].copy_from_slice(&section.entry_size.to_le_bytes());
            table.push(header);
            if section.name == ".eh_frame_hdr" {
                frame_header = Some((at, size));
            }
            at = align(at + size);
        }
        let end_of_sections = at;
        names.extend_from_slice(b".shstrtab\0");
        let name = u32::try_from(names.len() - ".shstrtab\0".len()).unwrap();
        table.push(section_header(name, 3, 0, 0, at, names.len() as u64));
        put(&mut file, at, &names);
        at = align(at + names.len() as u64);
        for (offset, bytes) in &self.first_section_lies {
            table[0][*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        put(&mut file, at, &table.concat());

        let mut programs = vec![program_header(PT_LOAD, 5, 0, SECTIONS_OFFSET)];
        if end_of_sections > SECTIONS_OFFSET {
            programs.push(program_header(PT_LOAD, 4, SECTIONS_OFFSET, end_of_sections - SECTIONS_OFFSET));
        }
        programs.extend(frame_header.map(|(offset, size)| program_header(PT_GNU_EH_FRAME, 4, offset, size)));
        put(&mut file, HEADER_SIZE as u64, &programs.concat());
        let counts = [programs.len(), table.len()].map(|count| u16::try_from(count).unwrap());
        let mut header = file_header(at, counts);
        for (offset, bytes) in &self.header_lies {
            header[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        put(&mut file, 0, &header);
    }
}

/// Copies an executable and puts a section of zeros at its end, before the table of sections, so that the
/// copy is as large as `size` and takes no more room on disk.
pub(crate) fn enlarge(executable: &Path, path: &Path, size: u64) {
    let mut bytes = std::fs::read(executable).unwrap();
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let table_at = usize::try_from(word(field::SHOFF)).unwrap();
    let count = u16::from_le_bytes(bytes[field::SHNUM..field::SHNUM + 2].try_into().unwrap());
    let mut table = bytes[table_at..table_at + usize::from(count * SECTION_HEADER_SIZE)].to_vec();
    let end = align(bytes.len() as u64);
    table.extend(section_header(0, SHT_PROGBITS, 0, 0, end, size - end));
    bytes[field::SHOFF..field::SHOFF + 8].copy_from_slice(&size.to_le_bytes());
    bytes[field::SHNUM..field::SHNUM + 2].copy_from_slice(&(count + 1).to_le_bytes());
    let mut file = create(path);
    put(&mut file, 0, &bytes);
    put(&mut file, size, &table);
}

fn create(path: &Path) -> File {
    OpenOptions::new().write(true).create_new(true).mode(0o755).open(path).unwrap()
}

fn put(file: &mut File, at: u64, bytes: &[u8]) {
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Sections begin at pages.
fn align(offset: u64) -> u64 {
    offset.next_multiple_of(0x1000)
}

fn section_header(name: u32, kind: u32, flags: u64, address: u64, offset: u64, size: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(usize::from(SECTION_HEADER_SIZE));
    header.extend(name.to_le_bytes());
    header.extend(kind.to_le_bytes());
    for word in [flags, address, offset, size, 0, 8, 0] {
        header.extend(word.to_le_bytes());
    }
    header
}

fn program_header(kind: u32, flags: u32, offset: u64, size: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(usize::from(PROGRAM_HEADER_SIZE));
    header.extend(kind.to_le_bytes());
    header.extend(flags.to_le_bytes());
    for word in [offset, BASE + offset, BASE + offset, size, size, 0x1000] {
        header.extend(word.to_le_bytes());
    }
    header
}

fn file_header(sections_at: u64, [programs, sections]: [u16; 2]) -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable for x86-64.
    header.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + CODE_OFFSET, HEADER_SIZE as u64, sections_at] {
        header.extend(word.to_le_bytes());
    }
    header.extend(0_u32.to_le_bytes());
    for half in
        [HEADER_SIZE as u16, PROGRAM_HEADER_SIZE, programs, SECTION_HEADER_SIZE, sections, sections - 1]
    {
        header.extend(half.to_le_bytes());
    }
    header
}
