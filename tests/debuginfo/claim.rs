//! Executables that are claimed after they were met, whatever has become of them.

use super::extracted::supervisor;
use super::separate::Separate;
use super::target::{PROGRAM, Target};
use parca_agent::collector::library::ObjectLibrary;
use parca_agent::debuginfo::find::{Finder, NotFound, Origin, Wanted};
use parca_agent::object::ObjectId;
use parca_agent::object::kept::{AGE, KeptFile, KeptFiles};
use parca_agent::object::mapped::MappedRange;
use parca_agent::process::inspect::read_mappings;
use parca_agent::process::mapping::Backing;
use parca_agent::worker::supervisor::Supervisor;
use std::fs;
use std::sync::Arc;

fn library(worker: &Arc<Supervisor>, capacity: usize) -> ObjectLibrary {
    ObjectLibrary::new(Arc::clone(worker), None, None, Some(KeptFiles::with(capacity, AGE).unwrap()))
}

/// Has a library meet the program of a target.
fn meet(library: &ObjectLibrary, target: &Target) -> ObjectId {
    let mut files = read_mappings(target.id).unwrap().into_iter().filter_map(|entry| match entry.backing {
        Backing::File { file, .. } => {
            Some((MappedRange { start: entry.range.start.0, end: entry.range.end.0 }, file))
        }
        Backing::Vdso | Backing::Anonymous => None,
    });
    let (range, file) = files.next().unwrap();
    library.object_of(target.id, range, &file)
}

fn wanted(worker: &Supervisor, claimed: KeptFile) -> Wanted {
    let build_id = super::target::build_id(worker, claimed.file.try_clone().unwrap());
    let KeptFile { file, stamp, process, mapped, .. } = claimed;
    Wanted { build_id, path: mapped.path, process, file, stamp }
}

#[test]
fn the_executable_of_a_process_that_has_ended_is_kept() {
    let program = Separate::new("kept", &[]);
    let worker = Arc::new(supervisor());
    let library = library(&worker, 10);
    let mut target = Target::on_the_host(&program.whole());
    let object = meet(&library, &target);
    fs::remove_file(target.place(PROGRAM)).unwrap();
    target.end();
    let claimed = library.claim(object).unwrap();
    assert_eq!(claimed.process, target.id);
    let found = Finder::new(Arc::clone(&worker), Vec::new()).find(&wanted(&worker, claimed));
    assert_eq!(found.map(|found| found.origin), Ok::<_, NotFound>(Origin::Executable));
}

#[test]
fn what_is_not_kept_is_opened_through_the_process_that_runs_it() {
    let program = Separate::new("running", &[]);
    let worker = Arc::new(supervisor());
    let library = library(&worker, 0);
    let mut target = Target::on_the_host(&program.whole());
    let object = meet(&library, &target);
    // Also when it was deleted: the process still maps it.
    fs::remove_file(target.place(PROGRAM)).unwrap();
    let claimed = library.claim(object).unwrap();
    let found = Finder::new(Arc::clone(&worker), Vec::new()).find(&wanted(&worker, claimed));
    assert_eq!(found.map(|found| found.origin), Ok::<_, NotFound>(Origin::Executable));
    target.end();
    assert!(library.claim(object).is_none());
}

#[test]
fn the_last_process_that_mapped_it_is_asked() {
    let program = Separate::new("last", &[]);
    let worker = Arc::new(supervisor());
    let library = library(&worker, 0);
    let mut first = Target::on_the_host(&program.whole());
    let object = meet(&library, &first);
    let second = first.again();
    assert_eq!(meet(&library, &second), object);
    first.end();
    assert_eq!(library.claim(object).unwrap().process, second.id);
}

#[test]
fn without_kept_files_nothing_can_be_claimed() {
    let program = Separate::new("disabled", &[]);
    let library = ObjectLibrary::new(Arc::new(supervisor()), None, None, None);
    let target = Target::on_the_host(&program.whole());
    let object = meet(&library, &target);
    assert!(library.claim(object).is_none());
}
