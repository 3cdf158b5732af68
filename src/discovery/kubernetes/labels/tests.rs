use super::{PodContainer, bare_id, of_node};
use crate::discovery::kubernetes::pod::{Node, Pod};
use crate::label::LabelSet;
use crate::metrics::Counter;
use serde_json::json;

fn of_containers(pod: &Pod, of_node: &LabelSet) -> Vec<PodContainer> {
    super::of_containers(pod, of_node, &Counter::default()).collect()
}

fn pod() -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": "web-0", "namespace": "shop", "uid": "0c7b", "resourceVersion": "7",
            "labels": { "app.kubernetes.io/name": "web", "empty": "" },
            "annotations": {
                "example.org/team": "blue",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            },
            "ownerReferences": [
                { "kind": "Node", "name": "n1" },
                { "kind": "StatefulSet", "name": "web", "controller": true },
            ],
        },
        "spec": { "nodeName": "n1" },
        "status": {
            "phase": "Running", "podIP": "10.0.0.7", "hostIP": "192.0.2.1",
            "conditions": [{ "type": "Initialized", "status": "True" }, { "type": "Ready", "status": "False" }],
            "containerStatuses": [
                { "name": "web", "containerID": "containerd://aa", "image": "web:1", "state": { "running": {} } },
                { "name": "waits", "state": { "waiting": { "reason": "ContainerCreating" } } },
            ],
            "initContainerStatuses": [
                { "name": "init", "containerID": "containerd://bb", "state": { "terminated": { "exitCode": 0 } } },
            ],
            "ephemeralContainerStatuses": [{ "name": "debugger", "containerID": "docker://cc" }],
        },
    }))
    .unwrap()
}

fn node() -> Node {
    serde_json::from_value(json!({ "metadata": {
        "name": "n1", "labels": { "kubernetes.io/arch": "amd64" }, "annotations": { "rack": "r7" },
    } }))
    .unwrap()
}

/// One label a line.
fn lines(labels: &LabelSet) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[test]
fn every_label_of_a_container() {
    let containers = of_containers(&pod(), &of_node("n1", Some(&node()), &Counter::default()));
    let ids: Vec<_> = containers.iter().map(|container| (&*container.id, container.is_over)).collect();
    assert_eq!(ids, [("aa", false), ("bb", true), ("cc", false)]);
    let web = &containers[0].discovered;
    assert_eq!(lines(&web.labels), "container=web\ncontainerid=containerd://aa\nnamespace=shop\npod=web-0\n");
    assert_eq!(lines(&web.meta), include_str!("../../../../tests/golden/kubernetes_labels.txt"));
}

#[test]
fn the_kind_of_a_container_is_told_truthfully() {
    let containers = of_containers(&pod(), &LabelSet::default());
    let kinds: Vec<_> = containers
        .iter()
        .map(|container| {
            let meta = |name: &str| {
                container.discovered.meta.get(&format!("__meta_kubernetes_pod_container_{name}"))
            };
            (meta("name").unwrap(), meta("init").unwrap(), meta("ephemeral").unwrap())
        })
        .collect();
    assert_eq!(kinds, [("web", "false", "false"), ("init", "true", "false"), ("debugger", "false", "true")]);
}

#[test]
fn a_long_annotation_is_cut_and_counted() {
    let (mut pod, mut node, cut) = (pod(), node(), Counter::default());
    pod.metadata.annotations.insert("whole".into(), "a".repeat(2048));
    let _ = super::of_containers(&pod, &of_node("n1", Some(&node), &cut), &cut).count();
    assert_eq!(cut.get(), 0);
    pod.metadata.annotations.insert("long".into(), "é".repeat(100_000));
    node.metadata.annotations.insert("long".into(), "a".repeat(2049));
    let of_node = of_node("n1", Some(&node), &cut);
    assert_eq!(cut.get(), 1);
    let containers: Vec<_> = super::of_containers(&pod, &of_node, &cut).collect();
    // Once for the pod, however many containers it has.
    assert_eq!((cut.get(), containers.len()), (2, 3));
    for name in ["pod_annotation_long", "node_annotation_long", "pod_annotation_whole"] {
        let value = containers[2].discovered.meta.get(&format!("__meta_kubernetes_{name}"));
        assert_eq!(value.map(str::len), Some(2048), "{name}");
    }
}

#[test]
fn a_pod_of_which_nothing_is_known_has_no_containers() {
    assert_eq!(of_containers(&Pod::default(), &LabelSet::default()).len(), 0);
    let bare: Pod =
        serde_json::from_value(json!({ "status": { "containerStatuses": [{ "containerID": "aa" }] } }))
            .unwrap();
    let meta = &of_containers(&bare, &LabelSet::default())[0].discovered.meta;
    assert_eq!(meta.get("__meta_kubernetes_pod_ready"), Some("unknown"));
}

#[test]
fn ids_lose_their_prefix() {
    let long = "a".repeat(129);
    let cases = [
        ("containerd://0123ab", Some("0123ab")),
        ("cri-o://0123ab", Some("0123ab")),
        ("0123ab", Some("0123ab")),
        ("", None),
        ("containerd://", None),
        ("containerd://a/../b", None),
        ("docker://a b", None),
        (&long, None),
    ];
    for (text, expected) in cases {
        assert_eq!(bare_id(text), expected, "{text}");
    }
}
