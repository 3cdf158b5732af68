//! A containerd of the test's own, spoken to through the CRI, as the kubelet speaks to it.

use super::image::Image;
use super::{Container, Daemon, cgroup, remove_if_empty, run, unmount};
use parca_agent::net::Limits;
use parca_agent::net::grpc::{Channel, RpcError};
use parca_agent::net::stream::dial_unix;
use prost::Message;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const LIMITS: Limits = Limits { deadline: Duration::from_secs(60), bytes: 16 << 20 };

/// A running containerd. Dropping it removes its pods.
pub(crate) struct Containerd {
    folder: TempDir,
    daemon: Option<Daemon>,
    pods: Vec<Pod>,
}

/// A pod with one container, and the container that holds its namespaces.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) sandbox: Container,
    pub(crate) container: Container,
    parent: String,
}

/// What Kubernetes tells of a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PodNames<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) container: &'a str,
    /// The pod's own.
    pub(crate) labels: &'a [(&'a str, &'a str)],
    pub(crate) annotations: &'a [(&'a str, &'a str)],
}

impl Containerd {
    pub(crate) fn start() -> Self {
        let mut containerd = Self { folder: tempfile::tempdir().unwrap(), daemon: None, pods: Vec::new() };
        let pause = Image::pause(containerd.folder.path());
        let at = |name| containerd.path(name).display().to_string();
        // Root in a container may lack the capability to lower the OOM score.
        let config = format!(
            r#"
            version = 2
            root = "{}"
            state = "{}"
            [grpc]
            address = "{}"
            [ttrpc]
            address = "{}"
            [plugins."io.containerd.grpc.v1.cri"]
            restrict_oom_score_adj = true
            disable_apparmor = true
            sandbox_image = "{}"
            [plugins."io.containerd.grpc.v1.cri".containerd]
            snapshotter = "native"
            [plugins."io.containerd.internal.v1.opt"]
            path = "{}"
            "#,
            at("root"),
            at("state"),
            at("containerd.sock"),
            at("containerd.sock.ttrpc"),
            pause.reference,
            at("opt"),
        );
        std::fs::write(containerd.path("config.toml"), config).unwrap();
        containerd.begin();
        containerd.import(&pause);
        containerd
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("containerd.sock")
    }

    /// Starts a pod with a workload in its only container, in the cgroup that the kubelet would give it.
    pub(crate) fn run(&mut self, workload: &str, names: PodNames<'_>) -> Pod {
        let image = Image::of(workload, self.folder.path());
        self.import(&image);
        let parent = format!("kubepods/besteffort/pod{}", names.uid);
        let of_pod = [
            ("io.kubernetes.pod.name", names.pod),
            ("io.kubernetes.pod.namespace", names.namespace),
            ("io.kubernetes.pod.uid", names.uid),
        ];
        let sandbox_config = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: names.pod.to_owned(),
                uid: names.uid.to_owned(),
                namespace: names.namespace.to_owned(),
            }),
            log_directory: self.path("logs").display().to_string(),
            labels: map(&[&of_pod, names.labels].concat()),
            annotations: map(names.annotations),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("/{parent}"),
                security_context: Some(SecurityContext {
                    // Of the host: no plugin is there to make another network.
                    namespaces: Some(Namespaces { network: 2 }),
                }),
            }),
        };
        let request = RunPodSandboxRequest { config: Some(sandbox_config.clone()) };
        let RunPodSandboxResponse { id: sandbox } =
            self.call("/runtime.v1.RuntimeService/RunPodSandbox", request);
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: names.container.to_owned() }),
            image: Some(ImageSpec { image: image.reference }),
            labels: map(&[&of_pod[..], &[("io.kubernetes.container.name", names.container)]].concat()),
        };
        let request = CreateContainerRequest {
            sandbox: sandbox.clone(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        };
        let CreateContainerResponse { id } = self.call("/runtime.v1.RuntimeService/CreateContainer", request);
        let _: Empty = self.call("/runtime.v1.RuntimeService/StartContainer", Id { id: id.clone() });
        let pod = Pod {
            sandbox: Container::of(&sandbox, "pause"),
            container: Container::of(&id, workload),
            parent,
        };
        self.pods.push(pod.clone());
        pod
    }

    /// Ends a pod.
    pub(crate) fn remove(&mut self, pod: &Pod) {
        self.pods.retain(|other| other.sandbox.id != pod.sandbox.id);
        self.try_remove(pod).unwrap();
    }

    /// Ends the daemon. Its containers go on.
    pub(crate) fn stop(&mut self) {
        self.daemon.take().unwrap().stop();
    }

    /// Starts the daemon again after [`Self::stop`].
    pub(crate) fn begin(&mut self) {
        let mut command = Command::new("containerd");
        command.arg("--config").arg(self.path("config.toml"));
        self.daemon = Some(Daemon::start(command, &self.socket(), &self.path("log")));
        // It listens before it is ready.
        super::eventually("the CRI is served", super::PATIENCE, || {
            let version: Result<Empty, _> = self.try_call("/runtime.v1.RuntimeService/Version", Empty {});
            version.is_ok()
        });
    }

    fn try_remove(&self, pod: &Pod) -> Result<(), RpcError> {
        for method in
            ["/runtime.v1.RuntimeService/StopPodSandbox", "/runtime.v1.RuntimeService/RemovePodSandbox"]
        {
            let _: Empty = self.try_call(method, Id { id: pod.sandbox.id.clone() })?;
        }
        remove_if_empty(cgroup(&pod.parent));
        Ok(())
    }

    fn import(&self, image: &Image) {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.socket()).args(["--namespace=k8s.io", "images", "import"]);
        run(command.args(["--snapshotter=native"]).arg(&image.archive));
    }

    fn call<Answer: Message + Default + 'static>(
        &self,
        method: &'static str,
        request: impl Message + 'static,
    ) -> Answer {
        self.try_call(method, request).unwrap_or_else(|error| {
            panic!("{error}\n{}", self.daemon.as_ref().map(Daemon::messages).unwrap_or_default())
        })
    }

    fn try_call<Question: Message + 'static, Answer: Message + Default + 'static>(
        &self,
        method: &'static str,
        request: Question,
    ) -> Result<Answer, RpcError> {
        let executor = Arc::new(smol::Executor::new());
        smol::block_on(executor.run(async {
            let dialed = dial_unix(&self.socket(), LIMITS.deadline).await?;
            let origin = http::Uri::from_static("http://localhost");
            let channel = Channel::begin(dialed, origin, &executor).await?;
            Ok(channel
                .unary::<Question, Answer>(method, tonic::Request::new(request), LIMITS)
                .await?
                .into_inner())
        }))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        for pod in std::mem::take(&mut self.pods) {
            // A test that has failed goes on to its end.
            let _ = self.try_remove(&pod);
        }
        if let Some(daemon) = &mut self.daemon {
            daemon.stop();
        }
        unmount(self.folder.path());
        remove_if_empty(cgroup("kubepods/besteffort"));
        remove_if_empty(cgroup("kubepods"));
        remove_if_empty(
            ["/run/containerd/runc/k8s.io", "/run/containerd/runc", "/run/containerd/s", "/run/containerd"]
                .map(PathBuf::from),
        );
    }
}

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// What is of no interest.
#[derive(Clone, PartialEq, Message)]
struct Empty {}

/// Every request that names one container, or one pod.
#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct RunPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    config: Option<PodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct RunPodSandboxResponse {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxConfig {
    #[prost(message, optional, tag = "1")]
    metadata: Option<PodSandboxMetadata>,
    #[prost(string, tag = "3")]
    log_directory: String,
    #[prost(map = "string, string", tag = "6")]
    labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "7")]
    annotations: HashMap<String, String>,
    #[prost(message, optional, tag = "8")]
    linux: Option<LinuxPodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct LinuxPodSandboxConfig {
    #[prost(string, tag = "1")]
    cgroup_parent: String,
    #[prost(message, optional, tag = "2")]
    security_context: Option<SecurityContext>,
}

#[derive(Clone, PartialEq, Message)]
struct SecurityContext {
    #[prost(message, optional, tag = "1")]
    namespaces: Option<Namespaces>,
}

#[derive(Clone, PartialEq, Message)]
struct Namespaces {
    #[prost(int32, tag = "1")]
    network: i32,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainerRequest {
    #[prost(string, tag = "1")]
    sandbox: String,
    #[prost(message, optional, tag = "2")]
    config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    sandbox_config: Option<PodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainerResponse {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "2")]
    image: Option<ImageSpec>,
    #[prost(map = "string, string", tag = "9")]
    labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerMetadata {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}
