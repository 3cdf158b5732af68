//! Whoever runs a hostile file, or maps memory in a hostile way, gets no more than a bad profile of their
//! own: the agent lives, in bounded memory, and an innocent program is profiled as if it were alone.

use super::build::c;
use super::cases::WITH_FRAME_POINTERS;
use super::common::agent::Agent;
use super::common::process::{self, children};
use super::common::program::{Program, bytes, copy, unique};
use super::hostile::{FILES, HostileFile};
use super::names::Names;
use super::target::{Target, latest};
use super::verdict::Verdict;
use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Behind the innocent, who would else get too few samples to judge by.
const BEHIND: [&str; 6] = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "15"];

/// Memory of the agent and of its worker, each, in KiB. What the files claim to hold is a thousand times that.
const MEMORY_LIMIT: u64 = 256 << 10;

/// Windows in which the innocent is judged while the others run.
const WINDOWS: usize = 3;
/// Windows that may pass before it is known well.
const WARM_UP: usize = 8;

/// As many as a process may have, but for what every process maps.
const MAPPINGS: &str = "65000";

#[test]
fn hostile_files_harm_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let carrier = c(&["carrier.c"], &[]).executable("carrier");
    let start = |number: usize, file: &HostileFile| {
        let (name, path) = (unique(&format!("h{number:02}")), folder.path().join(file.name));
        file.write(&path);
        let place = |to: &Path| match file.executes {
            true => std::fs::hard_link(&path, to).unwrap(),
            false => copy(&carrier, to),
        };
        Program::start_placed(&BEHIND, name.as_ref(), &[path.to_str().unwrap()], place)
    };
    assert_nobody_is_harmed(|| FILES.iter().enumerate().map(|(number, file)| start(number, file)).collect());
}

#[test]
fn hostile_processes_harm_nobody_else() {
    let mappings = c(&["mappings.c"], &[]).executable("mappings");
    let start = |name: &OsStr, arguments: &[&str]| {
        Program::start_placed(&BEHIND, name, arguments, |to| copy(&mappings, to))
    };
    assert_nobody_is_harmed(|| {
        vec![
            start(unique("maps").as_ref(), &[MAPPINGS]),
            start(unique("churn").as_ref(), &["1000", "churn"]),
            start(unique("burst").as_ref(), &[MAPPINGS, "churn"]),
            start(bytes(b"\n[vdso]\xff (deleted)"), &["10"]),
            start(bytes(b"7f00-7f01 r-xp 00000000 00:00 0\n 1"), &["10"]),
        ]
    });
}

/// Profiles an innocent program while hostile ones run.
fn assert_nobody_is_harmed(hostile: impl FnOnce() -> Vec<Program>) {
    let case = &WITH_FRAME_POINTERS[0];
    let agent = Agent::start(&["--profiling-duration=2s", "--profiling-cpu-sampling-frequency=997"]);
    let innocent = Target::start(case, &case.build.executable(case.name), 0);
    let mut names = Names::default();
    let known = (0..WARM_UP).any(|_| {
        agent.profile("{}");
        let profile = latest(&agent, &innocent.comm);
        profile.is_some_and(|profile| Verdict::of(&profile, &innocent, &mut names).holds(&innocent))
    });
    assert!(known, "the innocent program is not profiled even when it is alone");

    let programs = hostile();
    let mut since = SystemTime::now();
    let meter = innocent.program.meter();
    for _ in 0..WINDOWS {
        let profile = agent.profile_since(&innocent.comm, since);
        since = profile.end() - Duration::from_millis(1);
        let verdict = Verdict::of(&profile, &innocent, &mut names);
        assert!(verdict.holds(&innocent), "{verdict}");
        let expected = meter.used(profile.start(), profile.end()).as_secs_f64() * 997.0;
        let found = profile.total() as f64;
        assert!(found > expected * 0.7, "{found} samples of {expected}");
    }
    assert!(programs.iter().all(|program| !process::has_ended(program.id())), "a hostile program has ended");
    let all = agent.profile("{}");
    for program in &programs {
        assert!(all.total_of_thread(program.id()) > 0, "{} has no sample", program.path.display());
    }
    assert_memory_is_bounded("the agent", agent.id());
    for worker in children(agent.id(), "worker") {
        assert_memory_is_bounded("its worker", worker);
    }
    agent.metrics().assert_books_balance();
    for line in agent.stop() {
        assert!(!line.contains("panicked") && !line.contains("level=error"), "{line}");
    }
}

fn assert_memory_is_bounded(who: &str, id: u32) {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) else { return };
    let kibibytes: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    println!("{who} took {kibibytes} KiB at most");
    assert!(kibibytes < MEMORY_LIMIT, "{who} took {kibibytes} KiB");
}
