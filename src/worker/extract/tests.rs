use super::extract;
use crate::debuginfo::plan::{Content, DebugLink, Extraction, MAX_PARTS, MAX_SECTIONS, NoExtraction, Part};
use crate::worker::extraction::{decode_extraction, encode_extraction};
use crate::worker::protocol::JobKind;
use crate::worker::read_at::{ReadAt, Unreadable};

const NULL: u32 = 0;
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const DYNAMIC: u32 = 6;
const NOTE: u32 = 7;
const NOBITS: u32 = 8;
const DYNSYM: u32 = 11;

const ALLOC: u64 = 2;
const COMPRESSED: u64 = 1 << 11;

const PT_NULL: u32 = 0;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const PT_PHDR: u32 = 6;

/// A section header and the bytes behind it.
#[derive(Clone)]
struct Section {
    name: Vec<u8>,
    kind: u32,
    flags: u64,
    link: u32,
    bytes: Vec<u8>,
    /// Instead of where the bytes are.
    place: Option<(u64, u64)>,
}

fn section(name: impl AsRef<[u8]>, kind: u32, bytes: impl AsRef<[u8]>) -> Section {
    let (name, bytes) = (name.as_ref().to_vec(), bytes.as_ref().to_vec());
    Section { name, kind, flags: 0, link: 0, bytes, place: None }
}

impl Section {
    fn flags(self, flags: u64) -> Self {
        Self { flags, ..self }
    }

    fn link(self, link: u32) -> Self {
        Self { link, ..self }
    }

    fn at(self, offset: u64, size: u64) -> Self {
        Self { place: Some((offset, size)), ..self }
    }
}

/// A segment: type, offset, bytes in the file.
type Segment = (u32, u64, u64);

/// Where the first section's bytes are, behind four segments.
const FIRST: u64 = 64 + 4 * 56;

/// A file: header, segments, the sections' bytes, their names, their headers. Section 0 and the names' are added
/// before and behind.
fn elf(segments: &[Segment], sections: &[Section]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    file.resize(64, 0);
    for (kind, offset, size) in segments {
        file.extend([kind.to_le_bytes(), 4_u32.to_le_bytes()].concat());
        for number in [*offset, *offset, *offset, *size, *size, 8] {
            file.extend(number.to_le_bytes());
        }
    }
    let mut names = vec![0];
    let mut headers = vec![0; 64];
    let last = section(".shstrtab", STRTAB, []);
    for section in sections.iter().chain([&last]) {
        let name = u32::try_from(names.len()).unwrap();
        names.extend(&section.name);
        names.push(0);
        let bytes = if std::ptr::eq(section, &last) { &names } else { &section.bytes };
        let (offset, size) = section.place.unwrap_or((file.len() as u64, bytes.len() as u64));
        file.extend(bytes);
        headers.extend([name.to_le_bytes(), section.kind.to_le_bytes()].concat());
        let address = if section.flags & ALLOC != 0 { 0x40_0000 + offset } else { 0 };
        for number in [section.flags, address, offset, size] {
            headers.extend(number.to_le_bytes());
        }
        headers.extend([section.link.to_le_bytes(), 1_u32.to_le_bytes()].concat());
        headers.extend([1_u64.to_le_bytes(), 0_u64.to_le_bytes()].concat());
    }
    let table = file.len() as u64;
    file.extend(headers);
    let count = u16::try_from(sections.len() + 2).unwrap_or(0);
    put(&mut file, 32, &64_u64.to_le_bytes());
    put(&mut file, 40, &table.to_le_bytes());
    for (at, number) in
        [(52, 64), (54, 56), (56, segments.len() as u16), (58, 64), (60, count), (62, count.wrapping_sub(1))]
    {
        put(&mut file, at, &number.to_le_bytes());
    }
    file
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The debug file that a plan describes.
fn debug_file(extraction: &Extraction, file: &[u8]) -> Vec<u8> {
    extraction.plan.check(file.len() as u64).unwrap();
    let mut bytes = Vec::new();
    for part in extraction.plan.parts() {
        match part {
            Part::Bytes(own) => bytes.extend(own),
            Part::Copy { from, length } => {
                let from = from.0 as usize;
                bytes.extend(&file[from..from + *length as usize]);
            }
            Part::Zeros(length) => bytes.resize(bytes.len() + *length as usize, 0),
        }
    }
    assert_eq!(bytes.len() as u64, extraction.plan.size());
    bytes
}

fn extracted(file: &[u8]) -> (Vec<u8>, Content) {
    let extraction = extract(file).unwrap();
    let bytes = debug_file(&extraction, file);
    (bytes, extraction.content)
}

/// Type, flags, and bytes if it has any, of a section of a debug file.
fn read(file: &[u8], index: usize) -> (u32, u64, &[u8]) {
    let header = &file[word(file, 40) as usize + index * 64..][..64];
    let kind = u32::from_le_bytes(header[4..8].try_into().unwrap());
    let (offset, size) = (word(header, 24) as usize, word(header, 32) as usize);
    (kind, word(header, 8), if kind == NOBITS { &[] } else { &file[offset..offset + size] })
}

/// Type, offset and bytes in the file of a segment.
fn segment(file: &[u8], index: usize) -> Segment {
    let header = &file[64 + index * 56..][..56];
    let kind = u32::from_le_bytes(header[..4].try_into().unwrap());
    (kind, word(header, 8), word(header, 32))
}

#[test]
fn what_a_server_needs_is_kept_and_nothing_of_the_rest() {
    const SECRET: &[u8] = b"hunter2 is in memory here";
    let kept = [
        section(".note.gnu.build-id", NOTE, b"note").flags(ALLOC),
        section(".dynsym", DYNSYM, [1; 48]).flags(ALLOC).link(3),
        section(".dynstr", STRTAB, b"\0dynamic\0").flags(ALLOC),
        section(".interp", PROGBITS, b"/lib/ld.so\0").flags(ALLOC),
        section(".gopclntab", PROGBITS, [2; 100]).flags(ALLOC),
        section(".go.buildinfo", PROGBITS, [3; 32]).flags(ALLOC),
        section(".debug_info", PROGBITS, [4; 33]).flags(COMPRESSED),
        section(b".debug_whatever\xff\n", PROGBITS, [5; 7]),
        section(".zdebug_line", PROGBITS, b"ZLIB"),
        section(".comment", PROGBITS, b"GCC\0"),
        section(".gnu_debuglink", PROGBITS, b"a.debug\0\x01\0\0\0"),
        section(".gnu_debugdata", PROGBITS, b"xz"),
        section(".symtab", SYMTAB, [6; 72]).link(14),
        section(".anything", STRTAB, b"\0symbol\0"),
    ];
    let dropped = [
        section(".text", PROGBITS, SECRET).flags(ALLOC),
        section(".rodata", PROGBITS, SECRET).flags(ALLOC),
        section(".data", PROGBITS, SECRET).flags(ALLOC),
        section(".dynamic", DYNAMIC, SECRET).flags(ALLOC),
        section(".strings", STRTAB, SECRET),
        section(".config", PROGBITS, SECRET).flags(COMPRESSED),
        section("debug_info", PROGBITS, SECRET),
        section(b"\xff.debug_info", PROGBITS, SECRET),
        section("", PROGBITS, SECRET),
        section(".gopclntab2", PROGBITS, SECRET),
    ];
    let file = elf(&[], &[&kept[..], &dropped].concat());
    let (debug, content) = extracted(&file);
    for (index, section) in (1..).zip(&kept) {
        assert_eq!(read(&debug, index), (section.kind, section.flags, &section.bytes[..]), "{index}");
    }
    for (index, section) in (1 + kept.len()..).zip(&dropped) {
        assert_eq!(read(&debug, index), (NOBITS, section.flags & !COMPRESSED, &[][..]), "{index}");
    }
    assert!(!debug.windows(6).any(|window| SECRET.windows(6).any(|secret| secret == window)));
    assert_eq!(debug[..32], file[..32]);
    let expected = Content {
        has_dwarf: true,
        has_symtab: true,
        has_dynsym: true,
        has_go_tables: true,
        has_gnu_debugdata: true,
        debug_link: DebugLink::new(b"a.debug", 1),
        alternate_link: None,
    };
    assert_eq!(content, expected);
}

#[test]
fn what_has_no_bytes_is_not_there() {
    let sections = [
        section(".debug_info", NOBITS, []).at(1 << 50, 1 << 50),
        section(".gopclntab", PROGBITS, []),
        section(".symtab", SYMTAB, []),
        section(".dynsym", NOBITS, []).at(0, 1 << 50),
        section(".debug_line", NULL, []).at(1 << 50, 1 << 50),
    ];
    let (debug, content) = extracted(&elf(&[], &sections));
    assert_eq!(content, Content::default());
    for (index, section) in (1..).zip(&sections).filter(|(_, section)| section.kind == NOBITS) {
        assert_eq!(read(&debug, index), (NOBITS, section.flags, &[][..]));
    }
}

#[test]
fn segments_say_where_notes_are_now_and_where_code_was() {
    let text = section(".text", PROGBITS, [1; 1000]).flags(ALLOC);
    let note = section(".note", NOTE, [2; 24]).flags(ALLOC);
    let start = FIRST + 1000;
    let segments =
        [(PT_PHDR, 64, 224), (PT_LOAD, 0, start), (PT_NOTE, start, 24), (PT_INTERP, FIRST + 10, 20)];
    let (debug, _) = extracted(&elf(&segments, &[text, note]));
    assert_eq!(segment(&debug, 0), (PT_PHDR, 64, 224));
    assert_eq!(segment(&debug, 1), (PT_LOAD, 0, start));
    let (kind, offset, size) = segment(&debug, 2);
    assert_eq!((kind, size, offset % 64), (PT_NOTE, 24, start % 64));
    assert_eq!(debug[offset as usize..][..24], [2; 24]);
    assert_eq!(segment(&debug, 3), (PT_NULL, FIRST + 10, 20), "its bytes were in .text");
}

#[test]
fn a_file_of_another_kind_is_refused_with_its_reason() {
    let good = elf(&[], &[section(".debug_info", PROGBITS, [1; 9])]);
    assert!(extract(&good[..]).is_ok());
    let names = good.len() - 64;
    let patched = |at: usize, new: &[u8]| {
        let mut file = good.clone();
        put(&mut file, at, new);
        extract(&file[..]).map(|_| ())
    };
    let cases: [(&str, usize, &[u8], NoExtraction); 16] = [
        ("magic", 0, b"MZ", NoExtraction::Malformed),
        ("32 bits", 4, &[1], NoExtraction::Elf32),
        ("32 bits, big-endian", 4, &[1, 2], NoExtraction::Elf32),
        ("big-endian", 5, &[2], NoExtraction::BigEndian),
        ("no class", 4, &[7], NoExtraction::Malformed),
        ("no byte order", 5, &[7], NoExtraction::Malformed),
        ("relocatable", 16, &[1], NoExtraction::NotLinked),
        ("core", 16, &[4], NoExtraction::NotLinked),
        ("no sections", 40, &[0; 8], NoExtraction::NoSections),
        ("table behind the end", 40, &[255; 8], NoExtraction::Truncated),
        ("more sections than there is file", 60, &[0, 255], NoExtraction::Truncated),
        ("section headers of another size", 58, &[65], NoExtraction::Malformed),
        ("names outside the table", 62, &[3], NoExtraction::Malformed),
        ("names in no string table", 62, &[1], NoExtraction::Malformed),
        ("names behind the end", names + 24, &[255; 8], NoExtraction::Truncated),
        ("more names than are read", names + 32, &[0, 0, 64, 0, 1], NoExtraction::TooLarge),
    ];
    for (name, at, new, reason) in cases {
        assert_eq!(patched(at, new), Err(reason), "{name}");
    }
    for length in 0..good.len() {
        assert!(extract(&good[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn more_sections_than_any_program_has_are_refused() {
    let mut file = elf(&[], &[]);
    put(&mut file, 60, &[0, 0]);
    let first = file.len() - 128 + 32;
    for (count, reason) in [
        (0_u64, NoExtraction::NoSections),
        (MAX_SECTIONS as u64, NoExtraction::Truncated),
        (MAX_SECTIONS as u64 + 1, NoExtraction::TooManySections),
        (1 << 32, NoExtraction::TooManySections),
        (u64::MAX, NoExtraction::TooManySections),
    ] {
        put(&mut file, first, &count.to_le_bytes());
        assert_eq!(extract(&file[..]), Err(reason), "{count}");
    }
}

#[test]
fn a_section_behind_the_end_of_the_file_is_refused_if_it_is_wanted() {
    for (offset, size) in [(0, 1 << 40), (1 << 40, 1), (u64::MAX, 2), (u64::MAX, u64::MAX), (1 << 40, 0)] {
        let with = |name| extract(&elf(&[], &[section(name, PROGBITS, []).at(offset, size)])[..]);
        assert_eq!(with(".debug_info").unwrap_err(), NoExtraction::Truncated, "{offset:#x} {size:#x}");
        assert!(with(".text").is_ok(), "{offset:#x} {size:#x}");
    }
}

#[test]
fn links_that_lead_nowhere_or_in_a_circle_are_followed_once() {
    for link in [0, 1, 2, 3, 4, 5, u32::MAX] {
        let sections = [
            section(".symtab", SYMTAB, [1; 24]).link(link),
            section(".dynsym", DYNSYM, [2; 24]).link(1),
            section(".strtab", STRTAB, [3; 8]).link(3),
            section(".text", PROGBITS, [4; 8]),
        ];
        let (debug, _) = extracted(&elf(&[], &sections));
        assert_eq!(read(&debug, 1), (SYMTAB, 0, &[1; 24][..]));
        assert_eq!(read(&debug, 3).0, if link == 3 { STRTAB } else { NOBITS }, "{link}");
        assert_eq!(read(&debug, 4).0, NOBITS);
    }
}

#[test]
fn sections_that_overlap_are_copied_once() {
    let most = 10_000;
    let whole = |index: usize| section(format!(".debug_{index}"), PROGBITS, []).at(0, 60_000);
    let file = elf(&[], &(0..most).map(whole).collect::<Vec<_>>());
    let extraction = extract(&file[..]).unwrap();
    assert!(extraction.plan.copied() <= file.len() as u64);
    let debug = debug_file(&extraction, &file);
    for index in [1, most] {
        assert_eq!(read(&debug, index).2, &file[..60_000]);
    }
}

#[test]
fn names_that_are_none_are_names_of_nothing() {
    let mut file = elf(&[], &[section(".debug_info", PROGBITS, [1; 9]), section(".symtab", SYMTAB, [2; 24])]);
    let headers = word(&file, 40) as usize;
    for name in [u32::MAX, 1000, 1 + 12 + 8 + 10] {
        put(&mut file, headers + 64, &name.to_le_bytes());
        let (debug, content) = extracted(&file);
        assert!(!content.has_dwarf && content.has_symtab, "{name}");
        assert_eq!(read(&debug, 1).0, NOBITS);
    }
    // No table of names at all.
    put(&mut file, 62, &[0, 0]);
    assert!(extracted(&file).1.has_symtab);
}

/// A file of another, and holes up to its size.
struct Sparse<'a>(&'a [u8], u64);

impl ReadAt for Sparse<'_> {
    fn size(&self) -> u64 {
        self.1
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        buffer.fill(0);
        let start = (offset as usize).min(self.0.len());
        let end = (start + buffer.len()).min(self.0.len());
        buffer[..end - start].copy_from_slice(&self.0[start..end]);
        Ok(())
    }
}

#[test]
fn a_file_of_a_terabyte_is_planned_by_its_headers() {
    let large = 1 << 40;
    let sections =
        [section(".debug_info", PROGBITS, []).at(1 << 20, large), section(".text", PROGBITS, [1; 9])];
    let file = elf(&[], &sections);
    let extraction = extract(&Sparse(&file, (1 << 20) + large)).unwrap();
    assert!((large..large + 4096).contains(&extraction.plan.size()));
    assert_eq!(extract(&Sparse(&file, large)), Err(NoExtraction::Truncated));
}

#[test]
fn the_most_sections_and_segments_make_a_plan_that_fits_into_a_reply() {
    // A byte that is wanted in every 64, and one of them all over.
    let sections: Vec<_> =
        (0..MAX_SECTIONS as u64 - 2).map(|index| section([], NOTE, []).at(FIRST + 100 * index, 1)).collect();
    let segments = vec![(PT_NOTE, FIRST, 1); 0xfffe];
    let mut file = elf(&segments, &sections);
    let headers = word(&file, 40) as usize;
    put(&mut file, headers + 32, &(MAX_SECTIONS as u64).to_le_bytes());
    put(&mut file, headers + 40, &(MAX_SECTIONS as u32 - 1).to_le_bytes());
    put(&mut file, 56, &[0xfe, 0xff]);
    put(&mut file, 62, &[0xff, 0xff]);
    let result = extract(&file[..]);
    let parts = result.as_ref().unwrap().plan.parts().len();
    assert!((MAX_SECTIONS..=MAX_PARTS).contains(&parts), "{parts}");
    let reply = encode_extraction(&result);
    assert!(reply.len() <= JobKind::Extract.limits().reply as usize, "{}", reply.len());
    assert_eq!(decode_extraction(&reply), Ok(result));
}

#[test]
fn the_debug_file_of_a_debug_file_is_itself() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let sections = [
        section(".text", PROGBITS, [1; 77]).flags(ALLOC),
        section(".note", NOTE, [1; 77]).flags(ALLOC),
        section(".debug_info", PROGBITS, [1; 77]),
    ];
    let small =
        elf(&[(PT_NOTE, FIRST + 77, 77), (PT_LOAD, 0, 100), (PT_NOTE, 0, 64), (PT_PHDR, 1, 1)], &sections);
    for file in [own, std::fs::read("/bin/true").unwrap(), small] {
        let (debug, content) = extracted(&file);
        let (again, content_again) = extracted(&debug);
        assert!(again == debug && content_again == content);
    }
}

#[test]
fn real_files_have_what_they_have() {
    let of = |path: &std::path::Path| extract(&std::fs::read(path).unwrap()[..]).unwrap();
    let own = of(&std::env::current_exe().unwrap()).content;
    assert!(own.has_dwarf && own.has_symtab && own.has_dynsym && !own.has_go_tables, "{own:?}");
    let stripped = of("/bin/true".as_ref()).content;
    assert!(!stripped.has_dwarf && !stripped.has_symtab && stripped.has_dynsym, "{stripped:?}");
}
