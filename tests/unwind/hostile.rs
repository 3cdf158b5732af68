//! Files whose unwind tables, sections and headers try to break whoever reads them.

use super::elf::{BASE, CODE_OFFSET, Elf, SHF_ALLOC, Section, field};
use std::path::Path;

const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHF_COMPRESSED: u64 = 1 << 11;
const ELFCOMPRESS_ZLIB: u32 = 1;
const ELFCOMPRESS_ZSTD: u32 = 2;

const DW_CFA_ADVANCE_LOC: u8 = 0x40;
const DW_CFA_REMEMBER_STATE: u8 = 0x0a;
const DW_CFA_DEF_CFA_OFFSET: u8 = 0x0e;
const DW_CFA_DEF_CFA_EXPRESSION: u8 = 0x0f;
const DW_CFA_VAL_EXPRESSION: u8 = 0x16;
const DW_OP_DUP: u8 = 0x12;
const DW_OP_SKIP: u8 = 0x2f;

/// `DW_CFA_def_cfa` rsp 8; `DW_CFA_offset` of the return address, 1.
const INITIAL: &[u8] = &[0x0c, 7, 8, 0x90, 1];
/// Relative to where it stands, 4 bytes with a sign.
const PCREL_SDATA4: u8 = 0x1b;

/// Where the code is in memory.
const CODE: u64 = BASE + CODE_OFFSET;
/// What a compressed section grows to.
const BOMB: u64 = 200 << 20;

/// One hostile file.
pub(crate) struct HostileFile {
    pub(crate) name: &'static str,
    make: fn() -> Elf,
    /// Whether the kernel executes it. What it does not, another program maps and calls.
    pub(crate) executes: bool,
}

impl HostileFile {
    /// Writes it.
    pub(crate) fn write(&self, path: &Path) {
        (self.make)().write(path);
    }
}

const fn executed(name: &'static str, make: fn() -> Elf) -> HostileFile {
    HostileFile { name, make, executes: true }
}

const fn mapped(name: &'static str, make: fn() -> Elf) -> HostileFile {
    HostileFile { name, make, executes: false }
}

/// All of them.
pub(crate) const FILES: &[HostileFile] = &[
    executed("sound", || frames(|table| table.fde(CODE, 32, &[]))),
    executed("sections-past-end", || {
        lying(&[(field::SHOFF, &(1_u64 << 63).to_le_bytes()), (field::SHNUM, &0xfeff_u16.to_le_bytes())])
    }),
    executed("sections-of-no-size", || lying(&[(field::SHENTSIZE, &[0, 0])])),
    executed("names-past-end", || lying(&[(field::SHSTRNDX, &0xfeff_u16.to_le_bytes())])),
    mapped("programs-past-end", || lying(&[(field::PHOFF, &(u64::MAX - 8).to_le_bytes())])),
    executed("extended-sections", extended_sections),
    mapped("extended-programs", extended_programs),
    executed("cyclic-links", cyclic_links),
    executed("names-without-end", names_without_end),
    executed("size-past-end", size_past_end),
    executed("size-of-everything", size_of_everything),
    executed("gigabyte-of-frames", gigabyte_of_frames),
    executed("frames-without-end", frames_without_end),
    executed("cie-is-itself", cie_is_itself),
    executed("bad-augmentations", bad_augmentations),
    executed("tiny-frames", tiny_frames),
    executed("overlapping-frames", overlapping_frames),
    executed("remembers-a-million", || {
        frames(|table| table.fde(CODE, 32, &[DW_CFA_REMEMBER_STATE; 1_000_000]))
    }),
    executed("expressions-for-ever", expressions_for_ever),
    executed("rows-for-every-byte", rows_for_every_byte),
    executed("endless-numbers", || frames(|table| table.fde(CODE, 32, &endless_number()))),
    executed("header-counts-too-many", || {
        frame_header(&[1, PCREL_SDATA4, 3, 0x3b], &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
    }),
    executed("header-points-outside", || frame_header(&[1, PCREL_SDATA4, 3, 0x3b], &header_outside())),
    executed("header-of-no-version", || frame_header(&[9, 0xff, 0xff, 0xff], &[0xff; 64])),
    executed("zlib-bomb", || compressed(ELFCOMPRESS_ZLIB, 64, &zlib_bomb())),
    executed("zlib-bomb-that-says-so", || compressed(ELFCOMPRESS_ZLIB, BOMB, &zlib_bomb())),
    executed("zstd-bomb", || compressed(ELFCOMPRESS_ZSTD, BOMB, &zstd_bomb())),
    executed("compressed-exbibytes", || compressed(ELFCOMPRESS_ZLIB, u64::MAX, &zlib_bomb())),
    executed("compressed-by-no-one", || compressed(77, 64, &[0xff; 64])),
    executed("debug-data", debug_data),
];

/// Writes an `.eh_frame` section at a known place.
struct Frames {
    bytes: Vec<u8>,
    address: u64,
    cie: usize,
}

impl Frames {
    fn new(address: u64) -> Self {
        let mut frames = Self { bytes: Vec::new(), address, cie: 0 };
        frames.cie(b"zR\0", &[PCREL_SDATA4], INITIAL);
        frames
    }

    fn entry(&mut self, body: &[u8]) {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = u32::try_from(body.len() + padding).unwrap();
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(body);
        self.bytes.extend(std::iter::repeat_n(0, padding));
    }

    fn cie(&mut self, augmentation: &[u8], data: &[u8], instructions: &[u8]) {
        self.cie = self.bytes.len();
        let mut body = vec![0, 0, 0, 0, 1];
        body.extend(augmentation);
        // Factors 1 and -8; the return address is in column 16.
        body.extend([1, 0x78, 16, u8::try_from(data.len()).unwrap()]);
        body.extend(data);
        body.extend(instructions);
        self.entry(&body);
    }

    fn fde(&mut self, code: u64, length: u32, instructions: &[u8]) {
        let cie = u32::try_from(self.bytes.len() + 4 - self.cie).unwrap();
        self.fde_of(cie, code, length, instructions);
    }

    fn fde_of(&mut self, cie: u32, code: u64, length: u32, instructions: &[u8]) {
        let field = self.address + self.bytes.len() as u64 + 8;
        let mut body = cie.to_le_bytes().to_vec();
        body.extend((code.wrapping_sub(field) as u32).to_le_bytes());
        body.extend(length.to_le_bytes());
        body.push(0);
        body.extend(instructions);
        self.entry(&body);
    }
}

/// A file with one table of frames.
fn frames(fill: impl FnOnce(&mut Frames)) -> Elf {
    let mut table = Frames::new(Elf::default().address(0));
    fill(&mut table);
    table.bytes.extend([0; 4]);
    Elf::new(vec![Section::new(".eh_frame", table.bytes)])
}

fn lying(lies: &[(usize, &[u8])]) -> Elf {
    let header_lies = lies.iter().map(|(at, bytes)| (*at, bytes.to_vec())).collect();
    Elf { header_lies, ..frames(|table| table.fde(CODE, 32, &[])) }
}

/// The number of sections is in the first one's size, and is more than there can be.
fn extended_sections() -> Elf {
    Elf {
        first_section_lies: vec![(32, (1_u64 << 60).to_le_bytes().to_vec())],
        ..lying(&[(field::SHNUM, &[0, 0])])
    }
}

/// The number of program headers is in the first section's `sh_info`.
fn extended_programs() -> Elf {
    Elf { first_section_lies: vec![(44, vec![0xff; 4])], ..lying(&[(field::PHNUM, &[0xff, 0xff])]) }
}

/// Tables of symbols whose names are in themselves and in one another.
fn cyclic_links() -> Elf {
    let mut elf = frames(|table| table.fde(CODE, 32, &[]));
    for link in [3, 5, 4] {
        let mut section = Section::new(".symtab", vec![0xff; 24 * 100]);
        (section.kind, section.flags, section.link, section.entry_size) = (SHT_SYMTAB, 0, link, 24);
        elf.sections.push(section);
    }
    elf
}

fn names_without_end() -> Elf {
    let mut elf = frames(|table| table.fde(CODE, 32, &[]));
    let mut names = Section::new(".strtab", vec![b'x'; 100_000]);
    (names.kind, names.flags) = (SHT_STRTAB, 0);
    // A function whose name begins at 1, one that begins past the end, and so on.
    let symbol =
        |name: u32| [&name.to_le_bytes()[..], &[0x12, 0, 1, 0], &CODE.to_le_bytes(), &[32; 8]].concat();
    let mut symbols =
        Section::new(".symtab", [0, 1, 99_999, 100_000, u32::MAX].map(symbol).concat().repeat(1000));
    (symbols.kind, symbols.flags, symbols.link, symbols.entry_size) = (SHT_SYMTAB, 0, 3, 24);
    elf.sections.extend([names, symbols]);
    elf
}

fn size_past_end() -> Elf {
    let mut elf = frames(|table| table.fde(CODE, 32, &[]));
    elf.sections[0].claimed_size = Some(1 << 40);
    elf
}

fn size_of_everything() -> Elf {
    let mut elf = frames(|table| table.fde(CODE, 32, &[]));
    elf.sections[0].claimed_size = Some(u64::MAX - 0x1000);
    elf
}

/// One entry of the 64-bit form as long as the section, which is a gigabyte.
fn gigabyte_of_frames() -> Elf {
    let mut data = vec![0xff; 4];
    data.extend(((1_u64 << 30) - 12).to_le_bytes());
    let mut section = Section::new(".eh_frame", data);
    section.zeros = (1 << 30) - 12;
    Elf::new(vec![section])
}

/// No entry ends the table, and the last is longer than the file.
fn frames_without_end() -> Elf {
    let mut elf = frames(|table| (0..1000).for_each(|_| table.fde(CODE, 32, &[])));
    let bytes = &mut elf.sections[0].data;
    bytes.truncate(bytes.len() - 4);
    bytes.extend([0xf0, 0xff, 0xff, 0x7f, 0, 0, 0]);
    elf
}

/// Entries whose CIE is themselves, one that follows, the middle of another, and nowhere.
fn cie_is_itself() -> Elf {
    frames(|table| {
        for cie in [4, 4_u32.wrapping_neg(), 0x8000_0000, 1, 13, u32::MAX] {
            table.fde_of(cie, CODE, 32, &[]);
        }
    })
}

fn bad_augmentations() -> Elf {
    frames(|table| {
        for encodings in [[0xff, 0xff, 0xff], [0x7f, 0x50, 0x0f], [0x80, 0x9b, 0x9b], [0x08, 0x01, 0x09]] {
            let [personality, language, pointer] = encodings;
            table.cie(b"zPLR\0", &[personality, 0xff, 0xff, 0xff, 0xff, language, pointer], INITIAL);
            table.fde(CODE, 32, &[]);
        }
        // Letters without meaning, data that is longer than all, and a text without end.
        table.cie(b"zqqqqB\0", &[], INITIAL);
        table.fde(CODE, 32, &[]);
        let mut body = b"\0\0\0\0\x01zR\0\x01\x78\x10".to_vec();
        body.extend(endless_number());
        table.entry(&body);
        table.entry(&[&[0, 0, 0, 0, 1][..], &[b'z'; 5000]].concat());
    })
}

/// Five million functions of a byte each.
fn tiny_frames() -> Elf {
    frames(|table| {
        for number in 0..5_000_000_u64 {
            table.fde(CODE + number, 1, &[]);
        }
    })
}

fn overlapping_frames() -> Elf {
    frames(|table| {
        for number in (0..20_000_u64).rev() {
            table.fde(
                CODE + number,
                0x7fff_ffff,
                &[DW_CFA_DEF_CFA_OFFSET, 16, DW_CFA_ADVANCE_LOC | 1, DW_CFA_DEF_CFA_OFFSET, 8],
            );
        }
    })
}

fn expressions_for_ever() -> Elf {
    // Back to its own beginning, which is 3 bytes before its end.
    let backwards = [DW_OP_SKIP, 0xfd, 0xff];
    let long = vec![DW_OP_DUP; 1_000_000];
    let number = |mut value: usize| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    frames(|table| {
        table.fde(CODE, 32, &[&[DW_CFA_DEF_CFA_EXPRESSION, 3][..], &backwards].concat());
        table.fde(CODE, 32, &[&[DW_CFA_VAL_EXPRESSION, 16, 3][..], &backwards].concat());
        table.fde(CODE, 32, &[&[DW_CFA_DEF_CFA_EXPRESSION][..], &number(long.len()), &long].concat());
        table.fde(CODE, 32, &[&[DW_CFA_DEF_CFA_EXPRESSION][..], &endless_number(), &backwards].concat());
    })
}

/// A million rows in one function.
fn rows_for_every_byte() -> Elf {
    let mut instructions = Vec::new();
    for row in 0..1_000_000_u32 {
        instructions.extend([DW_CFA_ADVANCE_LOC | 1, DW_CFA_DEF_CFA_OFFSET, 8 + (row % 15) as u8 * 8]);
    }
    frames(|table| table.fde(CODE, 1_000_001, &instructions))
}

/// A ULEB128 number of a thousand bytes.
fn endless_number() -> Vec<u8> {
    [&[DW_CFA_DEF_CFA_OFFSET][..], &[0xff; 1000], &[0x7f]].concat()
}

fn frame_header(head: &[u8], rest: &[u8]) -> Elf {
    let mut elf = frames(|table| table.fde(CODE, 32, &[]));
    elf.sections.push(Section::new(".eh_frame_hdr", [head, rest].concat()));
    elf
}

/// A table that sorts nothing and points out of the file.
fn header_outside() -> Vec<u8> {
    let mut rest = vec![0, 0, 0, 0x80];
    rest.extend(1000_u32.to_le_bytes());
    for number in 0..1000_u32 {
        rest.extend((number.wrapping_mul(0x9e37_79b9)).to_le_bytes());
        rest.extend((number.wrapping_mul(0x85eb_ca6b)).to_le_bytes());
    }
    rest
}

/// Every section that somebody may want is compressed.
fn compressed(kind: u32, size: u64, data: &[u8]) -> Elf {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.extend(size.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(data);
    let section = |name, kind, flags| {
        let mut section = Section::new(name, bytes.clone());
        (section.kind, section.flags, section.link) = (kind, flags | SHF_COMPRESSED, 3);
        section
    };
    let mut old = b"ZLIB".to_vec();
    old.extend(size.to_be_bytes());
    old.extend(data);
    let mut old = Section::new(".zdebug_frame", old);
    old.flags = 0;
    Elf::new(vec![
        section(".eh_frame", 1, SHF_ALLOC),
        section(".strtab", SHT_STRTAB, 0),
        section(".symtab", SHT_SYMTAB, 0),
        section(".debug_frame", 1, 0),
        section(".debug_info", 1, 0),
        section(".gopclntab", 1, SHF_ALLOC),
        old,
    ])
}

/// A zlib stream that grows to [`BOMB`] zeros: a zero, and then copies of the 258 bytes before, one byte
/// back, each of 13 bits (RFC 1951, 3.2.5 and 3.2.6).
fn zlib_bomb() -> Vec<u8> {
    let mut bytes = vec![0x78, 0x9c];
    let (mut buffer, mut filled) = (0_u32, 0);
    let mut push = |code: u32, length: u32| {
        buffer |= code << filled;
        filled += length;
        while filled >= 8 {
            bytes.push(buffer as u8);
            buffer >>= 8;
            filled -= 8;
        }
    };
    // The last block, of fixed codes; the byte 0. Codes stand with their first bit first.
    push(0b011, 3);
    push(0b0000_1100, 8);
    for _ in 0..BOMB / 258 {
        // Length 258 is code 285, 11000101; distance 1 is code 0.
        push(0b1010_0011, 8);
        push(0, 5);
    }
    // The end, and room for what is left.
    push(0, 7);
    push(0, 8);
    bytes.extend([0; 4]);
    bytes
}

/// A zstd frame that grows to [`BOMB`] zeros, in blocks that repeat one byte (RFC 8878, 3.1.1).
fn zstd_bomb() -> Vec<u8> {
    const BLOCK: u64 = 128 << 10;
    // Magic; no checksum, one segment, size in 8 bytes.
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    bytes.extend(BOMB.to_le_bytes());
    let blocks = BOMB / BLOCK;
    for block in 1..=blocks {
        let header = BLOCK << 3 | 1 << 1 | u64::from(block == blocks);
        bytes.extend(&header.to_le_bytes()[..3]);
        bytes.push(0);
    }
    bytes
}

/// What claims to be an xz stream, in a section that is compressed too.
fn debug_data() -> Elf {
    let stream = [b"\xfd7zXZ\0\0\x04", &[0xff; 4096][..], b"\0\0\0\0\x04YZ"].concat();
    let mut elf = frames(|table| table.fde(CODE, 32, &[]));
    let mut plain = Section::new(".gnu_debugdata", stream);
    plain.flags = 0;
    let mut nested = compressed(ELFCOMPRESS_ZLIB, BOMB, &zlib_bomb()).sections.swap_remove(0);
    (nested.name, nested.flags) = (".gnu_debugdata", SHF_COMPRESSED);
    elf.sections.extend([plain, nested]);
    elf
}
