//! How an executable was made: linked, stripped, compiled by what. Rules may ask for it; whatever of it cannot be
//! read is not known, and the file is profiled all the same.

use super::read_at::{Headers, ReadAt};
use crate::object::making::{Compiler, FileId, Making};
use object::LittleEndian;
use object::elf::{FileHeader64, PT_INTERP, SHT_SYMTAB};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use sha2::{Digest, Sha256};

type Header = FileHeader64<LittleEndian>;

const ENDIAN: LittleEndian = LittleEndian;

/// Bytes at each end of a file that its id is made of.
const END_BYTES: u64 = 4096;
/// Longest `.comment` that is read. Linkers keep each compiler's line once.
const MAX_COMMENT: u64 = 64 << 10;

/// Looks at the headers of a file. `is_go` if the Go toolchain left its note.
pub(super) fn making<F: ReadAt + ?Sized>(
    file: &F,
    header: &Header,
    headers: &Headers<'_, F>,
    is_go: bool,
) -> Making {
    let programs = header.program_headers(ENDIAN, headers).unwrap_or_default();
    let is_static = !programs.iter().any(|program| program.p_type(ENDIAN) == PT_INTERP);
    let sections = header.sections(ENDIAN, headers).ok();
    let is_stripped = !sections.as_ref().is_some_and(|sections| {
        sections.iter().any(|section| section.sh_type(ENDIAN) == SHT_SYMTAB && section.sh_size(ENDIAN) > 0)
    });
    let comment = sections
        .as_ref()
        .and_then(|sections| sections.section_by_name(ENDIAN, b".comment"))
        .filter(|(_, section)| section.sh_size(ENDIAN) <= MAX_COMMENT)
        .and_then(|(_, section)| section.data(ENDIAN, headers).ok());
    let compiler = comment.and_then(Compiler::of_comment).or(is_go.then(Compiler::go));
    Making { file_id: file_id(file), is_static, is_stripped, compiler }
}

/// SHA-256 of the first and last bytes and the size, cut to 16 bytes: what the OpenTelemetry profiler calls
/// `htlhash`.
fn file_id<F: ReadAt + ?Sized>(file: &F) -> Option<FileId> {
    let size = file.size();
    let length = size.min(END_BYTES);
    let mut digest = Sha256::new();
    let mut end = vec![0; usize::try_from(length).ok()?];
    for position in [0, size - length] {
        file.read_at(position, &mut end).ok()?;
        digest.update(&end);
    }
    digest.update(size.to_be_bytes());
    digest.finalize().first_chunk().copied().map(FileId)
}

#[cfg(test)]
mod tests {
    use crate::worker::identify::identify;

    #[test]
    fn this_test_is_linked_dynamically_and_has_its_symbols() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let making = identify(&file[..], 1 << 30).unwrap().making;
        assert!(!making.is_static && !making.is_stripped, "{making:?}");
        let compiler = making.compiler.unwrap().to_string();
        assert!(compiler.starts_with("rustc 1."), "{compiler}");
    }

    #[test]
    fn a_program_of_the_system_is_stripped() {
        let making = identify(&std::fs::read("/bin/true").unwrap()[..], 1 << 30).unwrap().making;
        assert!(!making.is_static && making.is_stripped, "{making:?}");
        // sha256sum of head, tail and size, as the shell makes it:
        // (head -c 4096 F; tail -c 4096 F; printf %016x $(stat -c %s F) | xxd -r -p) | sha256sum
        let script = "f=/bin/true; (head -c 4096 $f; tail -c 4096 $f; python3 -c \
                      'import os,sys; sys.stdout.buffer.write(os.stat(\"/bin/true\").st_size.to_bytes(8, \"big\"))') | sha256sum";
        let output = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
        let expected = String::from_utf8(output.stdout).unwrap();
        assert_eq!(making.file_id.unwrap().to_string(), expected[..32]);
    }
}
