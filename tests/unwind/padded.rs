//! An executable made as large as wanted, without the disk space.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Fields of an ELF header.
const SECTION_TABLE: usize = 0x28;
const SECTION_ENTRY: usize = 0x3a;
const SECTION_COUNT: usize = 0x3c;

/// Copies an executable to a file with one more section, of `size` bytes, before the table of sections.
pub(crate) fn pad(executable: &Path, size: u64) -> PathBuf {
    let path = executable.with_extension("padded");
    // It may still run: then it cannot be written to, but go.
    let _ = std::fs::remove_file(&path);
    let mut bytes = std::fs::read(executable).unwrap();
    let half = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (entry, count) = (half(SECTION_ENTRY), half(SECTION_COUNT));
    let table = usize::try_from(word(&bytes, SECTION_TABLE)).unwrap();
    let mut sections = bytes[table..table + entry * count].to_vec();
    let begin = u64::try_from(bytes.len()).unwrap();
    let end = (begin + size).next_multiple_of(8);
    // Name none, SHT_PROGBITS, no flags, no address, aligned to a byte.
    let fields: [u64; 8] = [1 << 32, 0, 0, begin, end - begin, 0, 1, 0];
    sections.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    bytes[SECTION_TABLE..SECTION_TABLE + 8].copy_from_slice(&end.to_le_bytes());
    let new_count = u16::try_from(count + 1).unwrap();
    bytes[SECTION_COUNT..SECTION_COUNT + 2].copy_from_slice(&new_count.to_le_bytes());

    let mut file = File::create(&path).unwrap();
    file.set_permissions(std::fs::metadata(executable).unwrap().permissions()).unwrap();
    file.write_all(&bytes).unwrap();
    file.seek(SeekFrom::Start(end)).unwrap();
    file.write_all(&sections).unwrap();
    path
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
