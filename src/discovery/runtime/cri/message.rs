//! The messages of `runtime.v1` that are needed, with the fields of them that are. Field numbers:
//! <https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto>.
//!
//! What is text there and comes from a user is bytes here, which are the same on the wire: one name that is not
//! UTF-8 must not cost all others of the answer.

use crate::text::display;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VersionRequest {
    #[prost(string, tag = "1")]
    pub(crate) version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VersionResponse {
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) runtime_name: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListContainersRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) filter: Option<ContainerFilter>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerFilter {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListContainersResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) containers: Vec<ListedContainer>,
}

/// `Container` in the API.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListedContainer {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) pod_sandbox_id: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "4")]
    pub(crate) image: Option<ImageSpec>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) labels: Vec<Pair>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerMetadata {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) name: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ImageSpec {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) image: Vec<u8>,
    /// Where the kubelet has put a digest into `image`.
    #[prost(bytes = "vec", tag = "18")]
    pub(crate) user_specified_image: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerStatusRequest {
    #[prost(string, tag = "1")]
    pub(crate) container_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<ContainerStatus>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerStatus {
    #[prost(message, optional, tag = "8")]
    pub(crate) image: Option<ImageSpec>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) filter: Option<PodSandboxFilter>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PodSandboxFilter {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListPodSandboxResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<PodSandbox>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PodSandbox {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) metadata: Option<PodSandboxMetadata>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) labels: Vec<Pair>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) annotations: Vec<Pair>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PodSandboxMetadata {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) name: Vec<u8>,
}

/// An entry of a map, which on the wire is a repeated message.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Pair {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

impl ImageSpec {
    /// As the user named it, if that is told.
    pub(super) fn name(&self) -> String {
        text(if self.user_specified_image.is_empty() { &self.image } else { &self.user_specified_image })
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    display(bytes).to_string()
}

pub(super) fn pairs(pairs: Vec<Pair>) -> Vec<(String, String)> {
    pairs.into_iter().map(|Pair { key, value }| (text(&key), text(&value))).collect()
}
