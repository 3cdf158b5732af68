//! What is not wanted is dropped in the kernel, and comes back when it is wanted again.

use crate::cgroup::{Cgroup, Hierarchy, container_id};
use crate::common::agent::Agent;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const DROPPED: &str = "samples_dropped_total{reason=\"not_selected\"}";

fn write_rule(file: &Path, rule: &str) {
    std::fs::write(file, format!("profiling-duration = \"1s\"\n\n{rule}")).unwrap();
}

/// Samples that the kernel dropped in about one second.
fn dropped_in_a_second(agent: &Agent) -> f64 {
    let before = agent.metrics().value(DROPPED);
    agent.next_window();
    agent.metrics().value(DROPPED) - before
}

#[test]
fn a_rule_drops_a_target_in_the_kernel_until_it_is_changed() {
    for (hierarchy, of) in [(Hierarchy::Unified, "cgroup"), (Hierarchy::Legacy, "process")] {
        let id = container_id();
        let Some(cgroup) = Cgroup::make(hierarchy, &format!("docker/{id}")) else { continue };
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("agent.toml");
        let drop = format!(
            "[[relabel-configs]]\nsource_labels = [\"containerid\"]\nregex = \"docker://{id}\"\naction = \"drop\"\n"
        );
        write_rule(&file, &drop);
        let agent = Agent::start(&["--config-path", file.to_str().unwrap()]);
        let program = cgroup.start("chain", &unique("unwanted"), &[]);
        let decided = format!("selection_decisions{{of=\"{of}\"}}");
        eventually("the kernel was told", PATIENCE, || agent.metrics().value(&decided) >= 1.0);
        assert!(dropped_in_a_second(&agent) > 20.0, "a busy loop has 100 samples a second");
        assert_eq!(agent.next_window().total_of_thread(program.id()), 0);
        let targets = agent.targets();
        let is_it = |target: &&serde_json::Value| {
            target["discovered_labels"]["__meta_docker_container_id"] == id.as_str()
        };
        let target = targets["discovered"].as_array().unwrap().iter().find(is_it).unwrap().clone();
        assert_eq!((&target["state"], &target["rule"]["index"]), (&"rule".into(), &0.into()), "{target}");
        let page = agent.get("/targets").expect_ok().text().to_owned();
        assert!(page.contains("dropped by rule 1: drop"), "{page}");

        write_rule(&file, "");
        agent.signal(Signal::HUP);
        eventually("the target is back", PATIENCE, || agent.next_window().total_of_thread(program.id()) > 0);
        assert_eq!(agent.metrics().value(&decided), 0.0);
        agent.metrics().assert_books_balance();
        agent.stop();
    }
}

#[test]
fn children_of_an_unwanted_process_are_not_sampled_either() {
    let id = container_id();
    // Without a cgroup of version 2 each process has a decision of its own.
    let Some(cgroup) = Cgroup::make(Hierarchy::Legacy, &format!("docker/{id}")) else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    write_rule(
        &file,
        "[[relabel-configs]]\nsource_labels = [\"containerid\"]\nregex = \".+\"\naction = \"drop\"\n",
    );
    let agent = Agent::start(&["--config-path", file.to_str().unwrap()]);
    let _program = cgroup.start("churn", &unique("parent"), &["60", "50", "/bin/true"]);
    let decided = "selection_decisions{of=\"process\"}";
    eventually("the kernel was told", PATIENCE, || agent.metrics().value(decided) >= 1.0);
    agent.next_window();
    let read = || agent.metrics().value("process_inspections_total{result=\"read\"}");
    let before = read();
    agent.next_window();
    agent.next_window();
    // It starts children all the time, and none of them has to be read.
    assert!(read() - before < 20.0, "{} processes were read", read() - before);
    agent.metrics().assert_books_balance();
    agent.stop();
}

/// Who has to be sampled again, to be decided on again, is sampled for a moment and not for a whole window.
#[test]
fn who_is_not_wanted_is_dropped_in_the_kernel_before_the_window_ends() {
    let agent = Agent::start(&["--profiling-duration=60s", "--host=off"]);
    let program = Program::start("chain", unique("unwanted"), &[]);
    let began = std::time::Instant::now();
    eventually("the kernel drops its samples", PATIENCE, || agent.metrics().value(DROPPED) >= 100.0);
    assert!(began.elapsed() < Duration::from_secs(20));
    drop(program);
    agent.metrics().assert_books_balance();
    agent.stop();
}

/// What starts containers is of no interest itself, and each container's first process is a child of it.
#[test]
fn a_container_is_profiled_though_what_started_it_is_not() {
    for hierarchy in [Hierarchy::Unified, Hierarchy::Legacy] {
        let id = container_id();
        let Some(cgroup) = Cgroup::make(hierarchy, &format!("docker/{id}")) else { continue };
        let agent = Agent::start(&["--profiling-duration=1s", "--host=off"]);
        // This process is busy until it is known to be unwanted, and forks then.
        eventually("this process is not wanted", PATIENCE, || {
            let begun = std::time::Instant::now();
            while begun.elapsed() < Duration::from_millis(300) {
                std::hint::spin_loop();
            }
            agent.metrics().sum("selection_decisions") >= 1.0
        });
        let before = agent.metrics().value(DROPPED);
        eventually("its samples are dropped in the kernel", PATIENCE, || {
            std::hint::spin_loop();
            agent.metrics().value(DROPPED) > before + 5.0
        });
        let program = cgroup.start("chain", &unique("started"), &[]);
        eventually("the container is profiled", PATIENCE, || {
            agent.next_window().total_of_thread(program.id()) > 0
        });
        agent.metrics().assert_books_balance();
        agent.stop();
    }
}

#[test]
fn a_sampling_ratio_keeps_the_same_targets_after_a_restart() {
    let containers: Vec<_> = (0..12)
        .filter_map(|_| {
            let id = container_id();
            let cgroup = Cgroup::make(Hierarchy::Unified, &format!("docker/{id}"))?;
            let program = cgroup.start("chain", &unique("sampled"), &[]);
            Some((id, cgroup, program))
        })
        .collect();
    let all: BTreeSet<String> = containers.iter().map(|(id, ..)| format!("docker://{id}")).collect();
    let states = |agent: &Agent| -> (BTreeSet<String>, BTreeSet<String>) {
        let targets = agent.targets();
        let discovered = targets["discovered"].as_array().unwrap().iter();
        let of = |wanted: &str| {
            let chosen = discovered.clone().filter(|target| target["state"] == wanted);
            let id = chosen.filter_map(|target| target["discovered_labels"]["containerid"].as_str());
            id.filter(|id| all.contains(*id)).map(str::to_owned).collect()
        };
        (of("profiled"), of("sampling_ratio"))
    };
    let run = || {
        let agent = Agent::start(&["--profiling-duration=1s", "--sampling-ratio=0.5"]);
        eventually("all targets were decided on", PATIENCE, || {
            let (profiled, left_out) = states(&agent);
            profiled.len() + left_out.len() == all.len()
        });
        agent.next_window();
        let profiled = states(&agent).0;
        agent.metrics().assert_books_balance();
        agent.stop();
        profiled
    };
    let first = run();
    assert_eq!(first, run());
    // One of 4096 runs of this test has all or none of twelve.
    assert!(all.is_empty() || !first.is_empty() && first.len() < all.len(), "{first:?} of {all:?}");
}
