//! An agent that is not in the host's pid namespace: it profiles what its own `/proc` shows.

use super::agent::{Agent, refused_by, selector};
use super::process::eventually;
use super::profile::Profile;
use super::program::{Program, compile, copy, unique};
use super::symbols::Symbols;
use super::{http, workload};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Runs a program as the first of a new pid namespace, with a `/proc` that shows this one.
const NEW_NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
const LIMIT: Duration = Duration::from_secs(60);

const OUTSIDE: &str = "samples_dropped_total{reason=\"outside_pid_namespace\"}";
const NOTICE: &str = "profiling the processes of this pid namespace only";

/// Starts a program in the agent's namespaces, through another program if one is given.
fn start_inside(agent: &Agent, launcher: &[&str], executable: &Path, name: &str, work: &[&str]) -> Program {
    let target = agent.id().to_string();
    let launcher = [&["nsenter", "--target", &target, "--pid", "--mount"][..], launcher].concat();
    Program::start_placed(&launcher, name.as_ref(), work, |path| copy(executable, path))
}

/// The agent's own `/proc`.
fn inner_proc(agent: &Agent) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root/proc", agent.id()))
}

/// The numbers in a directory of processes or threads.
fn ids(directory: &Path) -> BTreeSet<u32> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).collect()
}

/// The id under which the agent's own `/proc` shows the process of a command name.
fn inner_id(agent: &Agent, comm: &str) -> u32 {
    let proc = inner_proc(agent);
    let is_it = |id: &u32| {
        std::fs::read_to_string(proc.join(id.to_string()).join("comm")).is_ok_and(|it| it.trim_end() == comm)
    };
    ids(&proc).into_iter().find(is_it).unwrap_or_else(|| panic!("{comm} is not in {}", proc.display()))
}

/// Waits for a profile of a program that was just started, in which some stack is in the program's file: the agent has
/// found it in `/proc`.
fn profile_with_file(agent: &Agent, comm: &str, program: &Path) -> Profile {
    let mut found = None;
    eventually("the program's file is known", LIMIT, || {
        let profile = agent.profile_since(comm, SystemTime::UNIX_EPOCH);
        let own = profile.count(|stack| stack.iter().any(|frame| Path::new(frame.mapping) == program));
        found = Some(profile);
        own > 0
    });
    found.unwrap()
}

/// Samples with a stack in which a function of the program is.
fn count_with(profile: &Profile, program: &Path, function: &str) -> i64 {
    let symbols = Symbols::of(program);
    profile.count(|stack| {
        let mut own = stack.iter().filter(|frame| Path::new(frame.mapping) == program);
        own.any(|frame| symbols.name(frame.address) == function)
    })
}

#[test]
fn in_a_pid_namespace_of_its_own_it_profiles_this_one_and_those_below() {
    for object in ["modern", "modern-in-steps"] {
        let force = format!("--force-object={object}");
        let agent = Agent::start_by(&NEW_NAMESPACE, &["--profiling-duration=2s", &force]);
        let notices: Vec<_> = agent.log().into_iter().filter(|line| line.contains(NOTICE)).collect();
        assert!(notices.len() == 1 && notices[0].contains("hostPID: true"), "{object}: {notices:?}");

        let [inner, nested, outer] = ["inner", "nested", "outer"].map(unique);
        let _outer = Program::start("chain", &outer, &[]);
        let outside = agent.metrics().value(OUTSIDE);
        let inner_program = start_inside(&agent, &[], &workload::build("chain"), &inner, &[]);
        let nested_program =
            start_inside(&agent, &NEW_NAMESPACE, &workload::build("threads"), &nested, &["3600", "2"]);

        for (comm, program, function) in
            [(&inner, &inner_program, "main"), (&nested, &nested_program, "spinner")]
        {
            let id = inner_id(&agent, comm);
            assert!(id < program.id(), "{object}: {comm} has the id {id} inside, as outside perhaps");
            let profile = agent.identified(comm, &program.path, SystemTime::now());
            let shown = inner_proc(&agent).join(id.to_string());
            let threads = ids(&shown.join("task"));
            let of_threads: i64 = threads.iter().map(|thread| profile.total_of_thread(*thread)).sum();
            assert!(profile.total() > 0);
            assert_eq!(of_threads, profile.total(), "{object}: {comm} has the threads {threads:?}");
            let maps = std::fs::read_to_string(shown.join("maps")).unwrap();
            assert!(maps.contains(program.path.to_str().unwrap()), "{object}: {maps}");
            let found = count_with(&profile, &program.path, function);
            assert!(found > 0, "{object}: no stack of {comm} is in {function}");
        }

        eventually("samples of outside are counted", LIMIT, || {
            agent.metrics().value(OUTSIDE) > outside + 50.0
        });
        let latest = agent.get(&format!("/query?latest=true&query={}", http::encode(&selector(&outer))));
        assert_eq!(latest.status, 404, "{object}: a process of outside is profiled");
        let metrics = agent.metrics();
        metrics.assert_books_balance();
        assert_eq!(metrics.sum("samples_dropped_total"), metrics.value(OUTSIDE), "{object}: {metrics:?}");
        assert!(metrics.value("samples_written_total") > 0.0);
        agent.stop();
    }
}

/// A child that does not execute another program has its parent's mappings, by the event of its fork: it is gone
/// before it could be read.
#[test]
fn in_a_pid_namespace_of_its_own_it_knows_children_by_their_forks() {
    let forks = compile("forks.c", "forks", &[]);
    let agent = Agent::start_by(&NEW_NAMESPACE, &["--profiling-duration=2s", "--force-object=modern"]);
    let name = unique("forks");
    let _program = start_inside(&agent, &[], &forks, &name, &[]);
    let parent = i64::from(inner_id(&agent, &name));

    let (mut known, mut unknown) = (0, 0);
    eventually("children are profiled", LIMIT, || {
        let profile = agent.profile_since(&name, SystemTime::now());
        for sample in &profile.message.sample {
            if profile.number(sample, "thread_id") != Some(parent) {
                let stack = profile.stack(sample);
                known += sample.value[0] * i64::from(stack.iter().any(|frame| frame.mapping == "[vdso]"));
                unknown += sample.value[0] * i64::from(stack.iter().any(|frame| frame.mapping.is_empty()));
            }
        }
        known > 50
    });
    assert!(unknown * 10 < known, "{unknown} of {known} children have addresses without a mapping");
    assert_eq!(agent.metrics().value("process_events_lost_total"), 0.0);
    agent.stop();
}

#[test]
fn in_a_pid_namespace_of_its_own_the_baseline_object_is_refused() {
    let refused = refused_by(&NEW_NAMESPACE, &["--force-object=baseline"]);
    assert_eq!(refused.code, Some(77), "{}", refused.error);
    for word in ["baseline", "pid namespace", "hostPID: true"] {
        assert!(refused.error.contains(word), "no {word} in {}", refused.error);
    }
}

/// What counts is whose ids `/proc` shows.
#[test]
fn with_the_hosts_proc_it_profiles_the_host() {
    let launcher = ["unshare", "--pid", "--fork", "--kill-child"];
    for object in ["modern", "baseline"] {
        let force = format!("--force-object={object}");
        let agent = Agent::start_by(&launcher, &["--profiling-duration=1s", &force]);
        assert!(!agent.log().iter().any(|line| line.contains(NOTICE)), "{:#?}", agent.log());
        let name = unique("host");
        let chain = Program::start("chain", &name, &[]);
        let profile = profile_with_file(&agent, &name, &chain.path);
        assert_eq!(profile.total_of_thread(chain.id()), profile.total(), "{object}");
        assert_eq!(agent.metrics().value(OUTSIDE), 0.0);
        agent.stop();
    }
}

/// Start times in `/proc` are off there, and with them the name of a process.
#[test]
fn in_a_time_namespace_of_its_own_it_knows_processes_by_their_start() {
    let launcher = ["unshare", "--time", "--boottime", "1000000", "--fork", "--kill-child"];
    for object in ["modern", "baseline"] {
        let force = format!("--force-object={object}");
        let agent = Agent::start_by(&launcher, &["--profiling-duration=1s", &force]);
        let said = agent.log().into_iter().find(|line| line.contains("boot clock")).unwrap_or_default();
        assert!(said.contains("offset_nanos=1000000000000000"), "{said:?}");
        let name = unique("time");
        let chain = Program::start("chain", &name, &[]);
        profile_with_file(&agent, &name, &chain.path);
        agent.stop();
    }
}
