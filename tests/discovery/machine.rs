//! One machine with Docker, Podman, a container runtime of Kubernetes and systemd, each with a busy loop.

use crate::common::agent::Agent;
use crate::common::daemons::containerd::{Containerd, PodNames};
use crate::common::daemons::docker::Docker;
use crate::common::daemons::podman::Podman;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use crate::common::systemd::Systemd;
use crate::common::workload;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);
const WORKLOAD: &str = "chain";

/// What runs, each thing with one process that is always busy.
struct Machine {
    docker: Docker,
    podman: Podman,
    containerd: Containerd,
    systemd: Systemd,
    /// Process, source, and all labels but those that every target has.
    expected: Vec<(u32, &'static str, Value)>,
    _program: Program,
}

impl Machine {
    /// `name` is that of a program of the host; no other test may have it.
    fn start(name: &str) -> Self {
        let (docker, podman, mut containerd) = (Docker::start(), Podman::start(), Containerd::start());
        let systemd = Systemd::start();
        let mut expected = Vec::new();
        let in_docker = docker.run(WORKLOAD, "web", &[("com.example/team", "shop")]);
        let labels = json!({
            "container": "web",
            "containerid": format!("docker://{}", in_docker.id),
            "image": "localhost/chain:1",
        });
        expected.push((in_docker.process, "container", labels));
        let in_podman = podman.run(WORKLOAD, "db", &[], None);
        let labels = json!({
            "container": "db",
            "containerid": format!("podman://{}", in_podman.id),
            "image": "localhost/chain:1",
        });
        expected.push((in_podman.process, "container", labels));
        let pod = containerd.run(
            WORKLOAD,
            PodNames {
                namespace: "shop",
                pod: "cart-0",
                uid: "7f3c1c52-9d0a-4b7e-8f57-0a1b2c3d4e5f",
                container: "main",
                labels: &[("app", "cart")],
                annotations: &[],
            },
        );
        let labels = json!({
            "namespace": "shop",
            "pod": "cart-0",
            "container": "main",
            "containerid": format!("containerd://{}", pod.container.id),
        });
        expected.push((pod.container.process, "kubernetes", labels));
        let program = workload::build(WORKLOAD);
        let main = systemd.start_service("busy.service", &[program.to_str().unwrap()]);
        expected.push((main, "systemd", json!({ "systemd_unit": "busy.service" })));
        let name = unique(name);
        let program = Program::start(WORKLOAD, &name, &[]);
        expected.push((program.id(), "host", json!({ "comm": name })));
        Self { docker, podman, containerd, systemd, expected, _program: program }
    }

    /// Starts an agent for which the sockets of the daemons are where such sockets are, and the bus is the system's.
    fn agent(&self, arguments: &[&str]) -> Agent {
        let sockets = [
            (self.docker.socket(), "/run/docker.sock"),
            (self.podman.socket(), "/run/podman/podman.sock"),
            (self.containerd.socket(), "/run/containerd/containerd.sock"),
        ];
        // A /run of its own, in which they are links. /var/run is a link to it.
        let mut script = "mount -t tmpfs none /run && mkdir -p /run/podman /run/containerd".to_owned();
        for (socket, place) in sockets {
            script.push_str(&format!(" && ln -s '{}' {place}", socket.display()));
        }
        script.push_str(" && exec \"$0\" \"$@\"");
        let bus = format!("DBUS_SYSTEM_BUS_ADDRESS={}", self.systemd.address());
        let launcher = ["unshare", "--mount", "sh", "-c", &script, "env", &bus];
        let mut all = vec!["--profiling-duration=1s", "--node=n1", "--systemd-units=busy", "--host=on"];
        all.extend(arguments);
        Agent::start_by(&launcher, &all)
    }

    /// Waits until every busy loop has samples under its labels, and then looks whether its samples are there alone.
    fn assert_labels(&self, agent: &Agent, when: &str) {
        for (process, source, labels) in &self.expected {
            let mut last = Value::Null;
            eventually(&format!("{labels} is a target {when}"), PATIENCE, || {
                last = agent.targets();
                last["targets"].as_array().unwrap().iter().any(|target| {
                    target["source"] == *source
                        && target["samples"].as_u64().is_some_and(|samples| samples > 0)
                        && is_labelled(&target["labels"], labels)
                })
            });
            let selector: Vec<String> = labels
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| format!("{name}={}", serde_json::to_string(value).unwrap()))
                .collect();
            let profile = agent.profile(&format!("{{{}}}", selector.join(",")));
            assert!(profile.total_of_thread(*process) > 0, "no samples of {process} in {labels} {when}");
            assert_eq!(profile.total_of_thread(*process), profile.total(), "{labels} {when}");
        }
    }
}

/// Whether a target has these labels, those that all targets have, and no others but the cgroup of the host's.
fn is_labelled(found: &Value, labels: &Value) -> bool {
    let found = found.as_object().unwrap();
    let names: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let labels = labels.as_object().unwrap();
    let mut expected: BTreeSet<&str> =
        labels.keys().map(String::as_str).chain(["__name__", "node"]).collect();
    if labels.contains_key("comm") {
        expected.insert("cgroup");
    }
    // The runtime knows the image, too.
    if labels.contains_key("pod") && names.contains("image") {
        expected.insert("image");
    }
    names == expected && labels.iter().all(|(name, value)| found.get(name) == Some(value))
}

#[test]
fn each_busy_loop_is_a_target_of_its_own_and_stays_one_when_its_daemon_restarts() {
    let mut machine = Machine::start("whole");
    let agent = machine.agent(&[]);
    machine.assert_labels(&agent, "at first");
    machine.docker.stop();
    machine.assert_labels(&agent, "without Docker");
    machine.docker.begin();
    machine.podman.stop();
    machine.assert_labels(&agent, "without Podman");
    machine.podman.begin();
    machine.containerd.stop();
    machine.assert_labels(&agent, "without containerd");
    machine.containerd.begin();
    machine.systemd.kill_bus();
    machine.assert_labels(&agent, "when the bus was killed");
    let metrics = agent.metrics();
    metrics.assert_books_balance();
    assert_eq!(metrics.sum("containers_refused_total"), 0.0);
    agent.stop();
}

#[test]
fn a_sampling_ratio_keeps_the_same_half_of_the_machine() {
    let machine = Machine::start("half");
    let decide = || {
        let agent = machine.agent(&["--sampling-ratio=0.5"]);
        let mut states = Vec::new();
        eventually("all targets were decided on", PATIENCE, || {
            let targets = agent.targets();
            let discovered = targets["discovered"].as_array().unwrap();
            states = machine
                .expected
                .iter()
                .filter_map(|(_, source, labels)| {
                    let is_it = |target: &&Value| {
                        target["source"] == *source && is_labelled(&target["labels"], labels)
                    };
                    discovered.iter().find(is_it).map(|target| target["state"].as_str().unwrap().to_owned())
                })
                .collect();
            states.len() == machine.expected.len()
        });
        agent.metrics().assert_books_balance();
        agent.stop();
        states
    };
    let first = decide();
    assert!(first.iter().all(|state| state == "profiled" || state == "sampling_ratio"), "{first:?}");
    assert_eq!(first, decide());
}
