//! Pods, of which an API server tells: a process in a pod's cgroup is profiled under the pod's names.

use crate::api_server::{Answer, Kind, Piece, Server};
use crate::cgroup::{Cgroup, Hierarchy, container_id};
use crate::common::agent::Agent;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
const UID: &str = "7f3c1c52-9d0a-4b7e-8f57-0a1b2c3d4e5f";

/// A pod of one container and one init container.
fn pod(name: &str, container: &str, init: &str) -> Value {
    let status = |name: &str, id: &str| {
        json!({ "name": name, "containerID": format!("containerd://{id}"), "image": "shop/cart:1",
                "state": { "running": {} } })
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "uid": UID, "resourceVersion": "7",
                      "labels": { "app.kubernetes.io/name": "cart" } },
        "spec": { "nodeName": "n1", "initContainers": [{ "name": "setup" }], "containers": [{ "name": "main" }] },
        "status": { "phase": "Running", "podIP": "10.1.2.3",
                    "containerStatuses": [status("main", container)],
                    "initContainerStatuses": [status("setup", init)] },
    })
}

fn list(pods: &[Value]) -> Value {
    json!({ "kind": "PodList", "apiVersion": "v1", "metadata": { "resourceVersion": "10" }, "items": pods })
}

fn node() -> Value {
    json!({ "kind": "Node", "apiVersion": "v1",
            "metadata": { "name": "n1", "labels": { "topology.kubernetes.io/zone": "a" } } })
}

fn kubeconfig(directory: &TempDir, server: &Server) -> PathBuf {
    let path = directory.path().join("config");
    let text = format!(
        "current-context: here\ncontexts:\n- name: here\n  context: {{cluster: c, user: u}}\nclusters:\n- name: c\n  \
         cluster: {{server: \"http://127.0.0.1:{}\"}}\nusers:\n- name: u\n  user: {{}}\n",
        server.port
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn start(kubeconfig: &Path, more: &[&str]) -> Agent {
    let mut arguments =
        vec!["--profiling-duration=1s", "--node=n1", "--kubeconfig", kubeconfig.to_str().unwrap()];
    arguments.extend(more);
    Agent::start(&arguments)
}

/// What was discovered of a process.
fn discovered(agent: &Agent, process: u32) -> Option<Value> {
    let id = process.to_string();
    let targets = agent.targets();
    let is_it = |target: &&Value| target["discovered_labels"]["__meta_process_pid"] == id.as_str();
    targets["discovered"].as_array().unwrap().iter().find(is_it).cloned()
}

#[test]
fn containers_of_a_pod_are_profiled_under_its_names_and_nothing_else_is() {
    let (main, init, late) = (container_id(), container_id(), container_id());
    let path = |id: &str| format!("kubepods/burstable/pod{UID}/{id}");
    let cgroups = [&main, &init, &late].map(|id| Cgroup::make(Hierarchy::Unified, &path(id)));
    let [Some(of_main), Some(of_init), Some(of_late)] = &cgroups else { return };
    let (feed, watch) = Answer::live();
    let watch = Mutex::new(Some(watch));
    let first = pod("cart-0", &main, &init);
    let server = Server::start(move |request| match request.kind {
        Kind::Node => Answer::json(&node()),
        Kind::List => Answer::json(&list(std::slice::from_ref(&first))),
        Kind::Watch => watch.lock().unwrap().take().unwrap_or_else(Answer::quiet),
    });
    let directory = tempfile::tempdir().unwrap();
    let agent = start(&kubeconfig(&directory, &server), &[]);
    let in_main = of_main.start("chain", &unique("main"), &[]);
    let in_init = of_init.start("chain", &unique("init"), &[]);
    let outside = Program::start("chain", unique("outside"), &[]);
    let profiled = |process: u32| {
        discovered(&agent, process)
            .filter(|target| target["state"] == "profiled" && target["labels"]["pod"] != Value::Null)
    };
    eventually("both containers are targets", PATIENCE, || {
        profiled(in_main.id()).is_some() && profiled(in_init.id()).is_some()
    });
    let target = profiled(in_main.id()).unwrap();
    let expected = json!({
        "__name__": "parca_agent_cpu", "node": "n1", "namespace": "shop", "pod": "cart-0", "container": "main",
        "containerid": format!("containerd://{main}"),
    });
    assert_eq!((&target["labels"], &target["source"]), (&expected, &"kubernetes".into()), "{target}");
    for (name, value) in [
        ("__meta_kubernetes_pod_label_app_kubernetes_io_name", "cart"),
        ("__meta_kubernetes_node_label_topology_kubernetes_io_zone", "a"),
        ("__meta_kubernetes_pod_container_init", "false"),
    ] {
        assert_eq!(target["discovered_labels"][name], value, "{name}: {target}");
    }
    let target = profiled(in_init.id()).unwrap();
    assert_eq!(target["labels"]["container"], "setup", "{target}");
    assert_eq!(target["discovered_labels"]["__meta_kubernetes_pod_container_init"], "true", "{target}");
    // A pod is asked for, so that the host is not.
    assert_eq!(agent.profile("{}").total_of_thread(outside.id()), 0);

    // A pod that comes later is known by the watch.
    let in_late = of_late.start("chain", &unique("late"), &[]);
    let event = json!({ "type": "ADDED", "object": pod("cart-1", &late, &init) });
    feed.send(Piece::Line(event.to_string())).unwrap();
    eventually("the new container is a target", PATIENCE, || {
        profiled(in_late.id()).is_some_and(|target| target["labels"]["pod"] == "cart-1")
    });
    agent.metrics().assert_books_balance();
    agent.stop();
}

#[test]
fn a_pod_that_is_not_selected_is_dropped_in_the_kernel_until_it_is() {
    let id = container_id();
    let Some(cgroup) = Cgroup::make(Hierarchy::Unified, &format!("kubepods/pod{UID}/{id}")) else { return };
    let (feed, watch) = Answer::live();
    let watch = Mutex::new(Some(watch));
    let server = Server::start(move |request| match request.kind {
        Kind::Node => Answer::json(&node()),
        Kind::List => Answer::json(&list(&[])),
        Kind::Watch => watch.lock().unwrap().take().unwrap_or_else(Answer::quiet),
    });
    let directory = tempfile::tempdir().unwrap();
    let agent =
        start(&kubeconfig(&directory, &server), &["--pod-label-selector=app.kubernetes.io/name=cart"]);
    let program = cgroup.start("chain", &unique("selected"), &[]);
    let state = || discovered(&agent, program.id()).map(|target| target["state"].clone());
    eventually("it is left out", PATIENCE, || state().is_some_and(|state| state == "pod_not_selected"));
    let dropped = "samples_dropped_total{reason=\"not_selected\"}";
    eventually("the kernel was told", PATIENCE, || agent.metrics().sum("selection_decisions") >= 1.0);
    let before = agent.metrics().value(dropped);
    eventually("the kernel drops its samples", PATIENCE, || agent.metrics().value(dropped) > before + 20.0);

    // Somebody gives the pod the label.
    let event = json!({ "type": "ADDED", "object": pod("cart-0", &id, &container_id()) });
    feed.send(Piece::Line(event.to_string())).unwrap();
    eventually("it is profiled", PATIENCE, || agent.next_window().total_of_thread(program.id()) > 0);
    assert_eq!(state(), Some("profiled".into()));
    agent.metrics().assert_books_balance();
    agent.stop();
}

#[test]
fn an_unusable_cluster_configuration_is_an_error_at_the_start() {
    let refused = crate::common::agent::refused(&["--kubeconfig=/none/config"]);
    assert_eq!(refused.code, Some(1), "{}", refused.error);
    assert!(
        refused.error.contains("/none/config") && refused.error.contains("--kubernetes=false"),
        "{}",
        refused.error
    );
}
