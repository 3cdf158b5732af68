//! What an object file is: its build id, its type and the segments that a loader maps.

use super::making::making;
use super::protocol::{GNU_BUILD_ID_LENGTH, GO_BUILD_ID_LENGTH, MAX_SEGMENTS};
use super::read_at::{Headers, ReadAt};
use crate::object::build_id::{BuildId, BuildIdKind};
use crate::object::{FileOffset, LoadSegment, ObjectAddress, ObjectInfo, Unidentified};
use object::LittleEndian;
use object::elf::{
    ELF_NOTE_GNU, ELF_NOTE_GO, FileHeader64, NT_GNU_BUILD_ID, NT_GO_BUILD_ID, PF_X, PT_LOAD, ProgramHeader64,
};
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader, SectionHeader};
use sha2::{Digest, Sha256};

type Header = FileHeader64<LittleEndian>;

const ENDIAN: LittleEndian = LittleEndian;

/// Bytes hashed at a time.
const HASH_BLOCK: usize = 64 << 10;

/// Identifies an ELF file of 64 bits, little-endian; any other is malformed. At most `most_bytes` of its
/// code are hashed, if it comes to that.
pub fn identify<F: ReadAt + ?Sized>(file: &F, most_bytes: u64) -> Result<ObjectInfo, Unidentified> {
    let headers = Headers::new(file);
    let header = Header::parse(&headers).map_err(malformed)?;
    if !header.is_little_endian() {
        return Err(Unidentified::Malformed);
    }
    let programs = header.program_headers(ENDIAN, &headers).map_err(malformed)?;
    let segments = load_segments(programs)?;
    let build_id = match note(header, programs, &headers)? {
        Some(build_id) => build_id,
        None => hash(file, &segments, most_bytes)?,
    };
    let is_go = build_id.kind == BuildIdKind::Go;
    Ok(ObjectInfo {
        making: making(file, header, &headers, is_go),
        build_id,
        elf_type: header.e_type(ENDIAN).0,
        machine: header.e_machine(ENDIAN).0,
        segments,
    })
}

fn malformed(_: object::read::Error) -> Unidentified {
    Unidentified::Malformed
}

fn load_segments(programs: &[ProgramHeader64<LittleEndian>]) -> Result<Vec<LoadSegment>, Unidentified> {
    let mut segments = Vec::new();
    for program in programs.iter().filter(|program| program.p_type(ENDIAN) == PT_LOAD) {
        if segments.len() == MAX_SEGMENTS {
            return Err(Unidentified::Malformed);
        }
        segments.push(load_segment(program).ok_or(Unidentified::Malformed)?);
    }
    Ok(segments)
}

/// A segment as it stands, or nothing if its numbers wrap around or it holds more than it maps; no loader
/// takes such a file.
fn load_segment(program: &ProgramHeader64<LittleEndian>) -> Option<LoadSegment> {
    let segment = LoadSegment {
        file_offset: FileOffset(program.p_offset(ENDIAN)),
        address: ObjectAddress(program.p_vaddr(ENDIAN)),
        file_size: program.p_filesz(ENDIAN),
        memory_size: program.p_memsz(ENDIAN),
        executable: program.p_flags(ENDIAN).contains(PF_X),
    };
    segment.file_offset.0.checked_add(segment.file_size)?;
    segment.address.0.checked_add(segment.memory_size)?;
    (segment.file_size <= segment.memory_size).then_some(segment)
}

/// The build id that a linker wrote. Program headers are asked first: they are what a loader reads, and
/// sections may have been stripped. The GNU note wins over Go's, wherever it stands.
fn note<'headers, F: ReadAt + ?Sized>(
    header: &'headers Header,
    programs: &'headers [ProgramHeader64<LittleEndian>],
    headers: &'headers Headers<'_, F>,
) -> Result<Option<BuildId>, Unidentified> {
    let mut found = None;
    for program in programs {
        // Notes that cannot be read are no notes: other tools write what they like into them.
        if let Ok(Some(notes)) = program.notes(ENDIAN, headers) {
            found = better(found, build_id_of(notes));
        }
    }
    if matches!(&found, Some(id) if id.kind == BuildIdKind::Gnu) {
        return Ok(found);
    }
    for section in header.section_headers(ENDIAN, headers).map_err(malformed)? {
        if let Ok(Some(notes)) = section.notes(ENDIAN, headers) {
            found = better(found, build_id_of(notes));
        }
    }
    Ok(found)
}

fn better(left: Option<BuildId>, right: Option<BuildId>) -> Option<BuildId> {
    match (&left, &right) {
        (Some(left), Some(right)) if right.kind < left.kind => {}
        (Some(_), _) => return left,
        (None, _) => {}
    }
    right
}

fn build_id_of(notes: NoteIterator<'_, Header>) -> Option<BuildId> {
    let mut found = None;
    // The notes end at the first that is not well formed.
    for note in notes.map_while(Result::ok) {
        let bytes = note.desc();
        let kind = match (note.name(), note.n_type(ENDIAN)) {
            (ELF_NOTE_GNU, NT_GNU_BUILD_ID) if GNU_BUILD_ID_LENGTH.contains(&bytes.len()) => BuildIdKind::Gnu,
            (ELF_NOTE_GO, NT_GO_BUILD_ID) if GO_BUILD_ID_LENGTH.contains(&bytes.len()) => BuildIdKind::Go,
            _ => continue,
        };
        found = better(found, Some(BuildId { kind, bytes: bytes.into() }));
    }
    found
}

/// SHA-256 of the executable segments' bytes, in the order of the program headers. A file without such
/// bytes has no hash: it would share it with every other such file.
fn hash<F: ReadAt + ?Sized>(
    file: &F,
    segments: &[LoadSegment],
    most_bytes: u64,
) -> Result<BuildId, Unidentified> {
    let executable = || segments.iter().filter(|segment| segment.executable);
    let total = executable().fold(0_u64, |sum, segment| sum.saturating_add(segment.file_size));
    if executable().any(|segment| segment.file_offset.0.saturating_add(segment.file_size) > file.size())
        || total == 0
    {
        return Err(Unidentified::Malformed);
    }
    if total > most_bytes {
        return Err(Unidentified::TooLarge);
    }
    let mut digest = Sha256::new();
    let mut buffer = vec![0; HASH_BLOCK];
    for segment in executable() {
        let mut position = segment.file_offset.0;
        let end = position.saturating_add(segment.file_size);
        while position < end {
            let count = usize::try_from(end - position).unwrap_or(HASH_BLOCK).min(HASH_BLOCK);
            let block = buffer.get_mut(..count).ok_or(Unidentified::Malformed)?;
            file.read_at(position, block).map_err(|_| Unidentified::Malformed)?;
            digest.update(block);
            position += count as u64;
        }
    }
    Ok(BuildId { kind: BuildIdKind::Hash, bytes: digest.finalize().as_slice().into() })
}

#[cfg(test)]
mod tests {
    use super::identify;
    use crate::object::build_id::BuildIdKind;
    use crate::object::{ObjectInfo, Unidentified};
    use crate::worker::protocol::MAX_SEGMENTS;
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    const MOST: u64 = 1 << 20;

    /// One program header.
    #[derive(Clone, Copy)]
    struct Program {
        kind: u32,
        flags: u32,
        offset: u64,
        size: u64,
        memory: u64,
        address: u64,
    }

    const LOAD: Program = Program { kind: 1, flags: 5, offset: 0, size: 64, memory: 64, address: 0x40_0000 };

    /// An ELF file of program headers and what follows them.
    fn elf(programs: &[Program], rest: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend([3, 0, 62, 0, 1, 0, 0, 0]);
        for number in [0_u64, 64, 0] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([0, 0, 0, 0, 64, 0, 56, 0]);
        bytes.extend((programs.len() as u16).to_le_bytes());
        bytes.extend([64, 0, 0, 0, 0, 0]);
        for program in programs {
            bytes.extend(program.kind.to_le_bytes());
            bytes.extend(program.flags.to_le_bytes());
            let numbers = [program.offset, program.address, 0, program.size, program.memory, 4];
            bytes.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
        }
        bytes.extend(rest);
        bytes
    }

    fn note(name: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [name.len() as u32 + 1, description.len() as u32, kind] {
            bytes.extend(number.to_le_bytes());
        }
        for part in [&[name, b"\0"].concat()[..], description] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    /// A file with one executable segment and these notes.
    fn with_notes(notes: &[u8]) -> Vec<u8> {
        let start = 64 + 2 * 56;
        let size = notes.len() as u64;
        elf(&[LOAD, Program { kind: 4, flags: 4, offset: start, size, memory: size, address: start }], notes)
    }

    fn build_id(file: &[u8]) -> Result<(BuildIdKind, String), Unidentified> {
        identify(file, MOST).map(|info| (info.build_id.kind, info.build_id.to_string()))
    }

    /// What this test itself is made of: a real file with sections.
    fn real() -> Vec<u8> {
        std::fs::read("/bin/true").unwrap()
    }

    #[test]
    fn the_gnu_note_wins_over_go_and_both_over_a_hash() {
        let gnu = note(b"GNU", 3, b"\xab\xcd\xef\x01");
        let go = note(b"Go", 4, b"text/of/go");
        let other = note(b"stapsdt", 3, b"1234");
        let expected = |kind, text: &str| Ok((kind, text.to_owned()));
        assert_eq!(build_id(&with_notes(&gnu)), expected(BuildIdKind::Gnu, "abcdef01"));
        let both = [other.clone(), go.clone(), gnu].concat();
        assert_eq!(build_id(&with_notes(&both)), expected(BuildIdKind::Gnu, "abcdef01"));
        let only_go = [other.clone(), go].concat();
        assert_eq!(build_id(&with_notes(&only_go)), expected(BuildIdKind::Go, "746578742f6f662f676f"));
        assert_eq!(build_id(&with_notes(&other)).unwrap().0, BuildIdKind::Hash);
    }

    #[test]
    fn notes_of_unfit_length_are_no_build_ids() {
        let long_name = u32::MAX.to_le_bytes().repeat(3);
        for notes in [
            note(b"GNU", 3, b""),
            note(b"GNU", 3, b"x"),
            note(b"GNU", 3, &[0; 65]),
            note(b"Go", 4, &[0; 257]),
            long_name,
        ] {
            assert_eq!(build_id(&with_notes(&notes)).unwrap().0, BuildIdKind::Hash);
        }
    }

    #[test]
    fn the_hash_is_of_executable_bytes_only() {
        let data = Program { flags: 6, offset: 176, size: 4, memory: 4, ..LOAD };
        let code = Program { offset: 180, size: 3, memory: 3, ..LOAD };
        let file = elf(&[data, code], b"dataabc");
        // sha256sum of "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(build_id(&file), Ok((BuildIdKind::Hash, expected.to_owned())));
        assert_eq!(identify(&file[..], 2), Err(Unidentified::TooLarge));
        assert_eq!(build_id(&elf(&[data], b"data")), Err(Unidentified::Malformed), "no code");
    }

    #[test]
    fn hostile_headers_are_malformed() {
        let cases: [(&str, Vec<u8>); 9] = [
            ("empty", Vec::new()),
            ("text", b"#!/bin/sh\n".to_vec()),
            ("32 bits", changed(&real(), 4, &[1])),
            ("big-endian", changed(&real(), 5, &[2])),
            ("program headers past the end", changed(&real(), 32, &u64::MAX.to_le_bytes())),
            ("program headers of size 0", changed(&real(), 54, &[0, 0])),
            ("code past the end", elf(&[Program { size: 1 << 40, memory: 1 << 40, ..LOAD }], b"")),
            ("addresses wrap", elf(&[Program { address: u64::MAX, ..LOAD }], b"")),
            ("more in the file than in memory", elf(&[Program { memory: 1, ..LOAD }], b"")),
        ];
        for (name, file) in cases {
            assert_eq!(build_id(&file), Err(Unidentified::Malformed), "{name}");
        }
    }

    #[test]
    fn section_headers_past_the_end_are_malformed_only_if_needed() {
        let sections = u64::MAX.to_le_bytes();
        assert_eq!(build_id(&changed(&real(), 40, &sections)), build_id(&real()));
        let bare = changed(&elf(&[LOAD], b""), 40, &sections);
        assert_eq!(build_id(&bare), Err(Unidentified::Malformed));
    }

    #[test]
    fn counts_in_section_zero_are_bounded_before_allocation() {
        // e_phnum 0xffff: the count, here 2^32 - 1, is sh_info of section 0.
        let mut file = elf(&[LOAD], &[0; 64]);
        file = changed(&file, 40, &120_u64.to_le_bytes());
        file = changed(&file, 56, &[0xff, 0xff, 64, 0, 1, 0]);
        file = changed(&file, 120 + 44, &u32::MAX.to_le_bytes());
        assert_eq!(build_id(&file), Err(Unidentified::Malformed));
    }

    #[test]
    fn segments_are_bounded() {
        let segments =
            |count| identify(&elf(&vec![LOAD; count], b"")[..], MOST).map(|info| info.segments.len());
        assert_eq!(segments(MAX_SEGMENTS), Ok(MAX_SEGMENTS));
        assert_eq!(segments(MAX_SEGMENTS + 1), Err(Unidentified::Malformed));
    }

    #[test]
    fn no_truncation_of_a_real_file_panics() {
        let file = real();
        let mut identified = 0;
        for length in (0..4096.min(file.len())).chain((4096..file.len()).step_by(509)) {
            identified += usize::from(identify(&file[..length], MOST).is_ok());
        }
        assert!(identified > 0, "the note is within the first pages");
    }

    fn changed(file: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    }

    /// What every result must hold, whatever the file.
    fn check(info: &ObjectInfo) {
        assert!(info.segments.len() <= MAX_SEGMENTS);
        for segment in &info.segments {
            assert!(segment.file_size <= segment.memory_size);
        }
    }

    proptest! {
        #[test]
        fn no_damage_to_a_real_file_panics(damage in vec((any::<u16>(), any::<u8>()), 1..24)) {
            let mut file = real();
            for (position, value) in damage {
                // Headers and notes are within the first 2 KiB, the section table within the last.
                let length = file.len();
                let at = if position & 1 == 0 { usize::from(position) % 2048 } else { length - 1 - usize::from(position) % 2048 };
                file[at] = value;
            }
            if let Ok(info) = identify(&file[..], MOST) {
                check(&info);
            }
        }

        #[test]
        fn no_header_panics(bytes in vec(any::<u8>(), 0..512)) {
            let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
            file.extend(bytes);
            if let Ok(info) = identify(&file[..], MOST) {
                check(&info);
            }
        }
    }
}
