//! Unwind tables on disk: what one agent made, the next one has.

use super::agent::Agent;
use super::process::eventually;
use super::program::{Program, unique};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A file that was changed less long ago is not kept.
const SETTLED: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(20);

const HIT: &str = "unwind_cache_reads_total{result=\"hit\"}";
const DAMAGED: &str = "unwind_cache_reads_total{result=\"damaged\"}";

/// An agent with a cache, which has met a program.
fn start(cache: &Path, program: &Program, comm: &str) -> Agent {
    let agent = Agent::start(&[
        "--force-object=modern",
        "--profiling-duration=2s",
        &format!("--unwind-table-cache={}", cache.display()),
    ]);
    agent.identified(comm, &program.path, SystemTime::now());
    agent
}

fn files(cache: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(cache).unwrap().map(|file| file.unwrap().path()).collect()
}

#[test]
fn tables_are_kept_from_one_run_to_the_next_and_damaged_ones_are_made_again() {
    let comm = unique("cache");
    let program = Program::start("chain", &comm, &[]);
    std::thread::sleep(SETTLED);
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("made/by/the/agent");

    let agent = start(&cache, &program, &comm);
    eventually("tables are written", LIMIT, || files(&cache).len() > 1);
    assert_eq!(agent.metrics().sum(HIT), 0.0);
    agent.stop();

    let agent = start(&cache, &program, &comm);
    eventually("tables are read", LIMIT, || agent.metrics().sum(HIT) > 1.0);
    agent.stop();

    for file in files(&cache) {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    let agent = start(&cache, &program, &comm);
    eventually("damage is noticed", LIMIT, || agent.metrics().sum(DAMAGED) > 1.0);
    eventually("tables are there all the same", LIMIT, || agent.metrics().sum("unwind_tables") > 1.0);
    agent.stop();
}

#[test]
fn a_directory_that_others_can_write_to_is_not_used_and_said_so() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let agent =
        Agent::start(&["--force-object=modern", &format!("--unwind-table-cache={}", root.path().display())]);
    let complaint = agent.log().into_iter().find(|line| line.contains("are not kept"));
    let complaint = complaint.unwrap_or_default();
    assert!(complaint.contains(&root.path().display().to_string()), "{complaint}");
    agent.stop();
    assert!(files(root.path()).is_empty());
}
