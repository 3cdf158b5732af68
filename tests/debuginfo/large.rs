//! A program of more than a gigabyte, in little memory.

use super::compiler::{self, C};
use super::extracted::{extract, supervisor};
use parca_agent::debuginfo::reader::PlanReader;
use parca_agent::debuginfo::stamp::Stamp;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::process::Command;

/// Bytes of the debug information: 1.25 GiB.
const LARGE: u64 = 5 << 28;

/// Most memory that the debug file takes, KiB: a piece, the plan, and what the allocator keeps.
const MEMORY: u64 = 8 << 10;

/// Most memory of the worker, KiB.
const WORKER_MEMORY: u64 = 64 << 10;

// Other tests take memory of the same process.
#[test]
fn a_debug_file_of_a_gigabyte_takes_no_more_memory_than_a_small_one() {
    let test = std::env::current_exe().unwrap();
    let arguments = ["--exact", "large::gigabyte", "--ignored", "--nocapture"];
    assert!(Command::new(test).args(arguments).status().unwrap().success());
}

#[test]
#[ignore = "a_debug_file_of_a_gigabyte_takes_no_more_memory_than_a_small_one runs this in a process of its own"]
fn gigabyte() {
    let supervisor = supervisor();
    let file = tempfile::tempfile().unwrap();
    let library = library();
    file.write_all_at(&library, 0).unwrap();
    // Its debug information begins behind the rest and is nothing but a hole.
    let section = section(&library, b".debug_info");
    file.write_all_at(&(1_u64 << 20).to_le_bytes(), section + 24).unwrap();
    file.write_all_at(&LARGE.to_le_bytes(), section + 32).unwrap();
    file.set_len((1 << 20) + LARGE).unwrap();
    let before = peak("self");
    assert_extracted(&supervisor, &file);
    let (after, worker) = (peak("self"), peak(&supervisor.worker().unwrap().to_string()));
    println!("{} KiB more of {before} KiB, and {worker} KiB of the worker", after - before);
    assert!(after - before < MEMORY, "{after} KiB after {before} KiB");
    assert!(worker < WORKER_MEMORY, "{worker} KiB");
}

fn assert_extracted(supervisor: &parca_agent::worker::supervisor::Supervisor, file: &File) {
    let stamp = Stamp::of(file).unwrap();
    let extraction = extract(supervisor, file.try_clone().unwrap()).unwrap();
    let size = extraction.plan.size();
    assert!(size >= LARGE);
    let mut reader = PlanReader::new(file, stamp, extraction.plan).unwrap();
    assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), size);
}

fn library() -> Vec<u8> {
    let output = compiler::folder("debuginfo").join("large");
    let mut command = C.command();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-g", "-shared", "-fPIC", "-o"]).arg(&output);
    command.arg("tests/unwind/programs/stub_library.c");
    C.run(command);
    std::fs::read(output).unwrap()
}

/// Where the header of a section is.
fn section(bytes: &[u8], name: &[u8]) -> u64 {
    use object::LittleEndian;
    use object::read::elf::{FileHeader, SectionHeader};
    let header = object::elf::FileHeader64::<LittleEndian>::parse(bytes).unwrap();
    let sections = header.sections(LittleEndian, bytes).unwrap();
    let (index, section) = sections.section_by_name(LittleEndian, name).unwrap();
    assert!(section.sh_size(LittleEndian) > 0);
    header.e_shoff(LittleEndian) + 64 * index.0 as u64
}

/// Most memory that a process has had, KiB.
fn peak(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
