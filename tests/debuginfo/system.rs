//! Files of the system, whole and damaged.

use super::extracted::{Extracted, extract, supervisor};
use super::linters::assert_nothing_new;
use parca_agent::debuginfo::plan::NoExtraction;
use parca_agent::debuginfo::reader::PlanReader;
use parca_agent::debuginfo::stamp::Stamp;
use parca_agent::worker::metrics::Restart;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

#[test]
fn debug_files_of_what_a_distribution_ships_are_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = supervisor();
    let mut seen = 0;
    for place in ["/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/sbin"] {
        let Ok(entries) = fs::read_dir(place) else { continue };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let linked = |path: &PathBuf| {
            let head = path.is_file().then(|| fs::read(path).ok()).flatten().unwrap_or_default();
            head.starts_with(b"\x7fELF\x02\x01") && matches!(head.get(16), Some(2 | 3))
        };
        for path in paths.into_iter().filter(linked).take(12) {
            let extracted = Extracted::new(&supervisor, &path, folder.path());
            assert_nothing_new(&extracted);
            seen += 1;
        }
    }
    assert!(seen >= 24, "only {seen} files");
    assert_eq!(Restart::ALL.map(|reason| supervisor.metrics().restarts(reason)), [0; 3]);
}

#[test]
fn files_that_are_none_are_refused() {
    let supervisor = supervisor();
    let (pipe, _writer) = io::pipe().unwrap();
    assert_eq!(extract(&supervisor, File::open("/etc/hostname").unwrap()), Err(NoExtraction::Malformed));
    assert_eq!(extract(&supervisor, File::open("/").unwrap()), Err(NoExtraction::Malformed));
    assert_eq!(extract(&supervisor, pipe), Err(NoExtraction::Malformed));
    assert_eq!(supervisor.metrics().without_extraction(NoExtraction::Malformed), 3);
    let changed = |at: usize, value: u8| {
        let mut bytes = fs::read("/bin/true").unwrap();
        bytes[at] = value;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        extract(&supervisor, file).unwrap_err()
    };
    assert_eq!(changed(4, 1), NoExtraction::Elf32);
    assert_eq!(changed(5, 2), NoExtraction::BigEndian);
    assert_eq!(changed(16, 1), NoExtraction::NotLinked);
}

#[test]
fn damaged_files_cost_themselves_a_debug_file_and_nobody_else() {
    let supervisor = supervisor();
    let real = fs::read("/bin/true").unwrap();
    let table = usize::try_from(u64::from_le_bytes(*real[40..].first_chunk().unwrap())).unwrap();
    extract(&supervisor, File::open("/bin/true").unwrap()).unwrap();
    let first = supervisor.worker();
    for at in (0..64).chain((64..1024).step_by(5)).chain((table..real.len()).step_by(3)) {
        for flip in [0xff, 0x01, 0x80] {
            let mut bytes = real.clone();
            bytes[at] ^= flip;
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let stamp = Stamp::of(&file).unwrap();
            match extract(&supervisor, file.try_clone().unwrap()) {
                Ok(extraction) => {
                    let size = extraction.plan.size();
                    assert!(size <= 2 * real.len() as u64, "byte {at}: {size}");
                    let mut reader = PlanReader::new(&file, stamp, extraction.plan).unwrap();
                    assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), size, "byte {at}");
                }
                Err(reason) => {
                    let of_the_worker = [NoExtraction::KilledWorker, NoExtraction::NoWorker];
                    assert!(!of_the_worker.contains(&reason), "byte {at}: {reason}");
                }
            }
        }
    }
    assert_eq!(supervisor.worker(), first);
}
