//! The labels of a pod's containers. Pure.

use super::pod::{ContainerStatus, Node, Pod};
use crate::discovery::target::Discovered;
use crate::label::{LabelSet, sanitize_label_name};
use crate::metrics::Counter;
use std::collections::BTreeMap;

/// `kubectl apply` keeps the whole object in it, which tells nobody anything and may be large.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Longest value that is kept whole, bytes: as long as that of a label on a profile. What is cut is counted. Labels of
/// Kubernetes have at most 63; the annotations of a pod may have 256 KiB together, mostly the configuration of something else.
const MAX_VALUE: usize = 2048;
/// Longest id that is taken. Those of all engines have 64 digits.
const MAX_ID: usize = 128;

/// A container of a pod.
#[derive(Debug)]
pub struct PodContainer {
    /// Without the engine's prefix.
    pub id: Box<str>,
    /// Whether it has ended.
    pub is_over: bool,
    /// Its labels.
    pub discovered: Discovered,
}

/// The kinds of containers, by the lists that they stand in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Init,
    Ephemeral,
}

/// `__meta_kubernetes_*` labels in the making.
#[derive(Clone)]
struct Meta<'a> {
    labels: LabelSet,
    /// Values that were cut.
    cut: &'a Counter,
}

impl Meta<'_> {
    fn set(&mut self, name: &str, value: &str) {
        let kept = &value[..value.floor_char_boundary(MAX_VALUE)];
        if kept.len() < value.len() {
            self.cut.increment();
        }
        if !kept.is_empty() {
            self.labels.set(format!("__meta_kubernetes_{name}"), kept);
        }
    }

    /// A label with the value of each element, and one that tells that it is there.
    fn family(&mut self, name: &str, elements: &BTreeMap<String, String>) {
        for (key, value) in elements.iter().filter(|(key, _)| *key != LAST_APPLIED) {
            let key = sanitize_label_name(key);
            self.set(&format!("{name}_{key}"), value);
            self.set(&format!("{name}present_{key}"), "true");
        }
    }
}

/// Labels of the node, which all its containers have. `cut` counts values that were too long.
pub fn of_node(name: &str, node: Option<&Node>, cut: &Counter) -> LabelSet {
    let mut meta = Meta { labels: LabelSet::default(), cut };
    meta.set("node_name", name);
    if let Some(Node { metadata }) = node {
        meta.family("node_label", &metadata.labels);
        meta.family("node_annotation", &metadata.annotations);
    }
    meta.labels
}

/// The containers of a pod that have an id. `of_node` is what the function of that name gave, and `cut` counts values
/// that were too long.
///
/// One at a time: each has all labels of the pod, which may be many and have many containers.
pub fn of_containers<'a>(
    pod: &'a Pod,
    of_node: &LabelSet,
    cut: &'a Counter,
) -> impl Iterator<Item = PodContainer> + use<'a> {
    let Pod { metadata, spec, status } = pod;
    let mut meta = Meta { labels: of_node.clone(), cut };
    meta.set("namespace", &metadata.namespace);
    meta.set("pod_name", &metadata.name);
    meta.set("pod_uid", &metadata.uid);
    meta.set("pod_ip", &status.pod_ip);
    meta.set("pod_host_ip", &status.host_ip);
    meta.set("pod_node_name", &spec.node_name);
    meta.set("pod_phase", &status.phase);
    let ready = status.conditions.iter().find(|condition| condition.kind == "Ready");
    meta.set("pod_ready", &ready.map_or("unknown".into(), |ready| ready.status.to_ascii_lowercase()));
    if let Some(owner) = metadata.owner_references.iter().find(|owner| owner.controller) {
        meta.set("pod_controller_kind", &owner.kind);
        meta.set("pod_controller_name", &owner.name);
    }
    meta.family("pod_label", &metadata.labels);
    meta.family("pod_annotation", &metadata.annotations);

    let lists = [
        (Kind::Ordinary, &status.container_statuses),
        (Kind::Init, &status.init_container_statuses),
        (Kind::Ephemeral, &status.ephemeral_container_statuses),
    ];
    let containers =
        lists.into_iter().flat_map(|(kind, list)| list.iter().map(move |container| (kind, container)));
    containers.filter_map(move |(kind, container)| of_container(pod, meta.clone(), kind, container))
}

fn of_container(
    pod: &Pod,
    mut meta: Meta<'_>,
    kind: Kind,
    container: &ContainerStatus,
) -> Option<PodContainer> {
    let id = bare_id(&container.container_id)?;
    let truth = |is_so: bool| if is_so { "true" } else { "false" };
    meta.set("pod_container_name", &container.name);
    meta.set("pod_container_id", &container.container_id);
    meta.set("pod_container_image", &container.image);
    meta.set("pod_container_init", truth(kind == Kind::Init));
    meta.set("pod_container_ephemeral", truth(kind == Kind::Ephemeral));
    let labels = [
        ("namespace", &pod.metadata.namespace),
        ("pod", &pod.metadata.name),
        ("container", &container.name),
        ("containerid", &container.container_id),
    ];
    let labels = labels.into_iter().map(|(name, value)| (name, value.as_str())).collect();
    let discovered = Discovered { labels, meta: meta.labels };
    Some(PodContainer { id: id.into(), is_over: container.state.terminated.is_some(), discovered })
}

/// `0123…` of `containerd://0123…`.
fn bare_id(text: &str) -> Option<&str> {
    let id = text.split_once("://").map_or(text, |(_, id)| id);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    ((1..=MAX_ID).contains(&id.len()) && id.bytes().all(fits)).then_some(id)
}

#[cfg(test)]
mod tests;
