//! Which target a process becomes.

use crate::cgroup::{Cgroup, Hierarchy, container_id};
use crate::common::agent::Agent;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// The labels of a target with samples that has this label.
fn labels(agent: &Agent, name: &str, value: &str) -> Option<serde_json::Value> {
    let targets = agent.targets();
    let has_samples = |target: &&serde_json::Value| {
        target["labels"][name] == value && target["samples"].as_u64().is_some_and(|samples| samples > 0)
    };
    targets["targets"].as_array().unwrap().iter().find(has_samples).cloned()
}

#[test]
fn a_process_in_a_containers_cgroup_is_a_target_by_its_id() {
    let agent = Agent::start(&["--profiling-duration=1s", "--node=n1"]);
    for (hierarchy, path) in [
        (Hierarchy::Unified, "docker/ID"),
        (Hierarchy::Unified, "system.slice/docker-ID.scope"),
        (Hierarchy::Legacy, "docker/ID"),
    ] {
        let id = container_id();
        let Some(cgroup) = Cgroup::make(hierarchy, &path.replace("ID", &id)) else { continue };
        let program = cgroup.start("chain", &unique("contained"), &[]);
        let expected = format!("docker://{id}");
        eventually("the container is a target", PATIENCE, || {
            labels(&agent, "containerid", &expected).is_some()
        });
        let target = labels(&agent, "containerid", &expected).unwrap();
        assert_eq!(target["source"], "container", "{target}");
        let names: Vec<_> = target["labels"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["__name__", "containerid", "node"], "{target}");
        let profile = agent.profile(&format!("{{containerid=\"{expected}\"}}"));
        assert!(profile.total_of_thread(program.id()) > 0);
    }
    agent.metrics().assert_books_balance();
    agent.stop();
}

#[test]
fn a_process_that_is_moved_becomes_another_target() {
    let id = container_id();
    let Some(cgroup) = Cgroup::make(Hierarchy::Unified, &format!("docker/{id}")) else { return };
    let agent = Agent::start(&["--profiling-duration=1s"]);
    let name = unique("moved");
    let program = Program::start("chain", &name, &[]);
    eventually("it is a target of the host", PATIENCE, || labels(&agent, "comm", &name).is_some());
    cgroup.take(program.id());
    let expected = format!("docker://{id}");
    eventually("it is a container", PATIENCE, || labels(&agent, "containerid", &expected).is_some());
    agent.stop();
}

#[test]
fn a_process_is_named_by_its_unit_if_that_was_asked_for() {
    let name = unique("web");
    let unit = format!("{name}@a\\x2db.service");
    let Some(cgroup) = Cgroup::make(Hierarchy::Unified, &format!("system.slice/{unit}")) else { return };
    let agent = Agent::start(&["--profiling-duration=1s", &format!("--systemd-units={name}@*")]);
    let (inside, outside) = (unique("inside"), unique("outside"));
    let inside = cgroup.start("chain", &inside, &[]);
    let outside_program = Program::start("chain", &outside, &[]);
    eventually("the unit is a target", PATIENCE, || labels(&agent, "systemd_unit", &unit).is_some());
    assert_eq!(labels(&agent, "systemd_unit", &unit).unwrap()["source"], "systemd");
    // A list of units is in force: what is in none of them is not profiled.
    let profile = agent.profile("{}");
    assert_eq!(profile.total_of_thread(outside_program.id()), 0);
    assert!(profile.total_of_thread(inside.id()) > 0);
    agent.metrics().assert_books_balance();
    agent.stop();
}
