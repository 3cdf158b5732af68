//! The source of pods: asks the API server for the pods of this node, and is told of every change.
//!
//! One list, and then one watch after the other, each going on where the last one ended: the server is never
//! polled. What the catalogue knows stays in force while the server cannot be asked.
//!
//! | file | what it holds |
//! |---|---|
//! | `cluster`, `kubeconfig`, `service_account`, `credential`, `material`, `small_file` | which server, and as whom |
//! | `api`, `error` | requests, and what answers mean |
//! | `pod`, `event` | what answers hold |
//! | `labels`, `inventory` | from pods to the catalogue |
//! | `source`, `pace`, `state` | when to list and to watch, and what came of it |
//!
//! The server must allow `pods: list`, `pods: watch` and, for the labels of the node, `nodes: get`.
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/> says how lists and watches go together.

mod api;
pub mod cluster;
pub mod credential;
pub mod error;
pub mod event;
mod inventory;
mod kubeconfig;
pub mod labels;
mod material;
pub mod pace;
pub mod pod;
mod service_account;
pub mod small_file;
mod source;
pub mod state;

pub use cluster::{Cluster, ClusterError, NO_CLUSTER, locate, locate_with};
pub use pace::Pace;
pub use source::run;
pub use state::KubernetesState;

use std::path::PathBuf;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of this node in the cluster.
    pub node: String,
    /// Which pods count, as the API server understands it; empty for all.
    pub label_selector: String,
    /// Instead of the one that the environment names.
    pub kubeconfig: Option<PathBuf>,
    /// How patient the source is.
    pub pace: Pace,
}
