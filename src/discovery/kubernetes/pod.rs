//! What of pods and nodes the agent looks at, as the API server writes it: everything else is skipped, and
//! nothing need be there. Whole pods would take ten times the memory.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// What every object has.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Its name within its namespace.
    pub name: String,
    /// Nodes have none.
    pub namespace: String,
    /// No other object has or had it.
    pub uid: String,
    /// The state that this is: only the server knows what it means.
    pub resource_version: String,
    /// Its labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// Who made it.
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Vec<OwnerReference>,
}

/// Another object to which one belongs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OwnerReference {
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Whether it sees to it that the object is there. At most one owner does.
    #[serde(deserialize_with = "or_default")]
    pub controller: bool,
}

/// A pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// What every object has.
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// What was asked for.
    #[serde(deserialize_with = "or_default")]
    pub spec: PodSpec,
    /// What there is.
    #[serde(deserialize_with = "or_default")]
    pub status: PodStatus,
}

/// What was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// Where it runs.
    pub node_name: String,
}

/// What there is of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// Such as `Running`.
    pub phase: String,
    /// Its address.
    #[serde(rename = "podIP")]
    pub pod_ip: String,
    /// The node's address.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    /// Whether it is ready, among others.
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
    /// Its containers.
    #[serde(deserialize_with = "or_default")]
    pub container_statuses: Vec<ContainerStatus>,
    /// Those that run before the others, and sidecars.
    #[serde(deserialize_with = "or_default")]
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Those that were put into it to debug it.
    #[serde(deserialize_with = "or_default")]
    pub ephemeral_container_statuses: Vec<ContainerStatus>,
}

/// Whether something is so.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
}

/// A container.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerStatus {
    /// Its name within the pod.
    pub name: String,
    /// Such as `containerd://0123…`; empty before it was made.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The image it runs.
    pub image: String,
    /// What it does.
    #[serde(deserialize_with = "or_default")]
    pub state: ContainerState,
}

/// What a container does: one of these is there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It has ended.
    pub terminated: Option<IgnoredAny>,
}

/// A page of pods.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodList {
    /// Of the list.
    #[serde(deserialize_with = "or_default")]
    pub metadata: ListMetadata,
    /// The pods.
    #[serde(deserialize_with = "or_default")]
    pub items: Vec<Pod>,
}

/// What every list has.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListMetadata {
    /// The state of the whole at that time.
    pub resource_version: String,
    /// By which the next page is asked for; empty for the last.
    #[serde(rename = "continue")]
    pub next_page: String,
}

/// A node.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// What every object has.
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
}

/// Go writes a list or a map without elements as `null` where it is not left out.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
