//! What a runtime tells of a container through the Container Runtime Interface, version 1.
//!
//! Lists with a filter are asked for, not the status of a container alone: the list says which pod it is in, and is
//! empty for a container that the runtime does not know, where the other runtimes' errors differ.

pub(super) mod message;

use super::description::{Container, Description};
use super::error::AskError;
use super::kubernetes::{Place, SANDBOX};
use crate::label::sanitize_label_name;
use crate::net::Limits;
use crate::net::grpc::{Channel, Code, RpcError};
use crate::net::stream::Dialed;
use http::Uri;
use message::{
    ContainerFilter, ContainerStatusRequest, ContainerStatusResponse, ListContainersRequest,
    ListContainersResponse, ListPodSandboxRequest, ListPodSandboxResponse, PodSandbox, PodSandboxFilter,
    VersionRequest, VersionResponse, pairs, text,
};
use smol::Executor;
use std::sync::Arc;

/// A method of the service of which only those are called that change nothing.
macro_rules! method {
    ($name:literal) => {
        concat!("/runtime.v1.RuntimeService/", $name)
    };
}

/// Longest name of a runtime.
const MAX_RUNTIME: usize = 32;

/// A connection for a few questions.
pub(super) struct Client {
    channel: Channel,
    limits: Limits,
    /// What the runtime calls itself, such as `containerd`: the prefix of its containers' ids.
    runtime: String,
}

impl Client {
    /// Begins to speak; `None` if no CRI is served here, as in a containerd that only serves Docker.
    pub(super) async fn begin(
        dialed: Dialed,
        executor: &Arc<Executor<'static>>,
        limits: Limits,
    ) -> Result<Option<Self>, AskError> {
        let channel = Channel::begin(dialed, Uri::from_static("http://localhost"), executor).await?;
        let version = VersionRequest { version: "v1".to_owned() };
        let answer = channel.unary::<_, VersionResponse>(method!("Version"), version, limits).await;
        let answer = match answer {
            Ok(answer) => answer.into_inner(),
            Err(error) if error.code() == Some(Code::Unimplemented) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let runtime = text(&answer.runtime_name);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if runtime.is_empty() || runtime.len() > MAX_RUNTIME || !runtime.bytes().all(fits) {
            let peer = channel.peer().to_owned();
            return Err(AskError::Malformed { peer, what: "name of a runtime", source: None });
        }
        Ok(Some(Self { channel, limits, runtime }))
    }

    /// Asks for one container; `None` if the runtime does not know it.
    pub(super) async fn ask(&self, id: &str) -> Result<Option<Description>, AskError> {
        let filter = Some(ContainerFilter { id: id.to_owned() });
        let list: ListContainersResponse =
            self.call(method!("ListContainers"), ListContainersRequest { filter }).await?;
        // Some runtimes take the filter for the beginning of an id.
        let Some(container) = list.containers.into_iter().find(|container| container.id == id) else {
            return Ok(self.sandbox(id).await?.map(|sandbox| self.describe_sandbox(&sandbox)));
        };
        // The list may name the image by its digest.
        let image = match self.image(id).await? {
            Some(image) => image,
            None => container.image.map(|image| image.name()).unwrap_or_default(),
        };
        let sandbox = self.sandbox(&container.pod_sandbox_id).await?;
        let name = text(&container.metadata.unwrap_or_default().name);
        let labels = pairs(container.labels);
        let container = Container { runtime: &self.runtime, id, name: &name, image: &image, labels };
        Ok(Some(self.describe(&container, sandbox.as_ref())))
    }

    /// A pod; `None` if there is no such.
    async fn sandbox(&self, id: &str) -> Result<Option<PodSandbox>, AskError> {
        let filter = Some(PodSandboxFilter { id: id.to_owned() });
        let list: ListPodSandboxResponse =
            self.call(method!("ListPodSandbox"), ListPodSandboxRequest { filter }).await?;
        Ok(list.items.into_iter().find(|sandbox| sandbox.id == id))
    }

    /// The image of a container as the user named it; `None` if the container is gone.
    async fn image(&self, id: &str) -> Result<Option<String>, AskError> {
        let request = ContainerStatusRequest { container_id: id.to_owned() };
        let answer: Result<ContainerStatusResponse, _> = self.call(method!("ContainerStatus"), request).await;
        match answer {
            Ok(answer) => Ok(answer.status.and_then(|status| status.image).map(|image| image.name())),
            Err(error) if matches!(error.code(), None | Some(Code::Unavailable)) => Err(error.into()),
            // Each runtime has a code of its own for a container that has just gone.
            Err(_) => Ok(None),
        }
    }

    fn describe(&self, container: &Container<'_>, sandbox: Option<&PodSandbox>) -> Description {
        let meta_runtime = match self.runtime.as_str() {
            "cri-o" => "crio".to_owned(),
            other => sanitize_label_name(other),
        };
        let mut description = Description::of(container, &meta_runtime);
        let (pod_labels, annotations) = sandbox
            .map(|sandbox| (pairs(sandbox.labels.clone()), pairs(sandbox.annotations.clone())))
            .unwrap_or_default();
        if let Some(metadata) = sandbox.and_then(|sandbox| sandbox.metadata.as_ref()) {
            description.set_meta(format!("__meta_{meta_runtime}_pod_name"), &text(&metadata.name));
        }
        let place = Place::by_labels(&container.labels, container.name)
            .or_else(|| Place::by_labels(&pod_labels, container.name));
        if let Some(place) = place {
            place.describe(&mut description, container, &pod_labels, &annotations);
        }
        description
    }

    fn describe_sandbox(&self, sandbox: &PodSandbox) -> Description {
        let container = Container {
            runtime: &self.runtime,
            id: &sandbox.id,
            name: SANDBOX,
            image: "",
            labels: pairs(sandbox.labels.clone()),
        };
        self.describe(&container, Some(sandbox))
    }

    async fn call<Question, Answer>(
        &self,
        method: &'static str,
        request: Question,
    ) -> Result<Answer, RpcError>
    where
        Question: prost::Message + 'static,
        Answer: prost::Message + Default + 'static,
    {
        Ok(self.channel.unary(method, request, self.limits).await?.into_inner())
    }
}
