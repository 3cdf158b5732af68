//! A program that is replaced while its debug file is made.

use super::extracted::{extract, supervisor};
use parca_agent::debuginfo::reader::{PIECE, PlanReader, ReadError, StartError};
use parca_agent::debuginfo::stamp::Stamp;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// A program of some pieces, which may be written to.
fn program(folder: &Path) -> File {
    let path = folder.join("program");
    fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    // An old time: a change within one tick of the kernel's clock would not be noticed.
    let file = File::options().read(true).write(true).open(path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    file
}

#[test]
fn a_program_that_changes_before_its_bytes_are_read_has_no_debug_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, supervisor) = (program(folder.path()), supervisor());
    let stamp = Stamp::of(&file).unwrap();
    let extraction = extract(&supervisor, file.try_clone().unwrap()).unwrap();
    file.set_len(stamp.size + 1).unwrap();
    let late = PlanReader::new(&file, stamp, extraction.plan);
    assert!(matches!(late, Err(StartError::Read(ReadError::Changed))), "{late:?}");
}

#[test]
fn a_program_that_changes_while_its_bytes_are_read_has_half_a_debug_file_and_an_error() {
    type Change = fn(&File);
    let changes: [Change; 3] = [
        |file| file.set_len(1000).unwrap(),
        |file| file.set_len(1 << 30).unwrap(),
        |file| std::os::unix::fs::FileExt::write_all_at(file, b"\x7fELF", 0).unwrap(),
    ];
    for change in changes {
        let folder = tempfile::tempdir().unwrap();
        let (file, supervisor) = (program(folder.path()), supervisor());
        let stamp = Stamp::of(&file).unwrap();
        let extraction = extract(&supervisor, file.try_clone().unwrap()).unwrap();
        let size = extraction.plan.size();
        assert!(size > 2 * PIECE as u64, "a program of several pieces");
        let mut reader = PlanReader::new(&file, stamp, extraction.plan).unwrap();
        reader.read_exact(&mut [0; 1000]).unwrap();
        change(&file);
        let mut left = Vec::new();
        let error = reader.read_to_end(&mut left).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Other);
        let inside = error.get_ref().and_then(|inside| inside.downcast_ref());
        assert_eq!(inside, Some(&ReadError::Changed));
        assert!((left.len() as u64) < size - 1000, "all bytes were given out");
    }
}
