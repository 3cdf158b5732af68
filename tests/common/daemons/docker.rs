//! A Docker of the test's own, with a containerd of its own. It is spoken to as by any client.

use super::image::Image;
use super::{Container, Daemon, cgroup, remove_if_empty, unmount};
use http::{Method, Request};
use parca_agent::net::Limits;
use parca_agent::net::http1::Connection;
use parca_agent::net::stream::dial_unix;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const LIMITS: Limits = Limits { deadline: Duration::from_secs(60), bytes: 16 << 20 };
/// Where Docker of before version 24 keeps a key.
const KEY: &str = "/etc/docker/key.json";

/// A running Docker. Dropping it removes its containers.
pub(crate) struct Docker {
    folder: TempDir,
    daemon: Option<Daemon>,
    had_key: bool,
}

impl Docker {
    pub(crate) fn start() -> Self {
        let mut docker =
            Self { folder: tempfile::tempdir().unwrap(), daemon: None, had_key: Path::new(KEY).exists() };
        std::fs::write(docker.path("daemon.json"), "{}").unwrap();
        docker.begin();
        docker
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("docker.sock")
    }

    /// Starts a workload in a container.
    pub(crate) fn run(&self, workload: &str, name: &str, labels: &[(&str, &str)]) -> Container {
        let image = Image::of(workload, self.folder.path());
        self.call(Method::POST, "/images/load", std::fs::read(&image.archive).unwrap());
        let labels: Value = labels.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
        let config = json!({
            "Image": image.reference, "Labels": labels, "HostConfig": { "NetworkMode": "none" },
        });
        let created = self.call(Method::POST, &format!("/containers/create?name={name}"), config.to_string());
        let created: Value = serde_json::from_slice(&created).unwrap();
        let id = created["Id"].as_str().unwrap();
        self.call(Method::POST, &format!("/containers/{id}/start"), "");
        Container::of(id, workload)
    }

    pub(crate) fn rename(&self, container: &Container, name: &str) {
        self.call(Method::POST, &format!("/containers/{}/rename?name={name}", container.id), "");
    }

    pub(crate) fn remove(&self, container: &Container) {
        self.call(Method::DELETE, &format!("/containers/{}?force=true", container.id), "");
    }

    /// Ends the daemon. Its containers go on.
    pub(crate) fn stop(&mut self) {
        self.daemon.take().unwrap().stop();
    }

    /// Starts the daemon again after [`Self::stop`].
    pub(crate) fn begin(&mut self) {
        let mut command = Command::new("dockerd");
        command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--live-restore"]);
        command.args(["--storage-driver=vfs", "--exec-opt=native.cgroupdriver=cgroupfs"]);
        command.arg(format!("--host=unix://{}", self.socket().display()));
        for (flag, file) in [
            ("data-root", "data"),
            ("exec-root", "exec"),
            ("pidfile", "docker.pid"),
            ("config-file", "daemon.json"),
        ] {
            command.arg(format!("--{flag}={}", self.path(file).display()));
        }
        self.daemon = Some(Daemon::start(command, &self.socket(), &self.path("log")));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn call(&self, method: Method, path: &str, body: impl Into<Vec<u8>>) -> Vec<u8> {
        self.try_call(method, path, body.into()).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
        let executor = smol::Executor::new();
        smol::block_on(executor.run(async {
            let dialed =
                dial_unix(&self.socket(), LIMITS.deadline).await.map_err(|error| error.to_string())?;
            let mut connection =
                Connection::begin(dialed, &executor).await.map_err(|error| error.to_string())?;
            let request = Request::builder().method(method).uri(path).header("host", "localhost");
            let request = request.header("content-type", "application/json").body(body).unwrap();
            let answer = connection.exchange(request, LIMITS).await.map_err(|error| error.to_string())?;
            let (head, body) = answer.into_parts();
            if head.status.is_success() {
                Ok(body)
            } else {
                Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)))
            }
        }))
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let list = self.try_call(Method::GET, "/containers/json?all=true", Vec::new()).unwrap_or_default();
        let list: Vec<Value> = serde_json::from_slice(&list).unwrap_or_default();
        for id in list.iter().filter_map(|container| container["Id"].as_str()) {
            let _ = self.try_call(Method::DELETE, &format!("/containers/{id}?force=true"), Vec::new());
        }
        if let Some(daemon) = &mut self.daemon {
            daemon.stop();
        }
        unmount(self.folder.path());
        if !self.had_key {
            let _ = std::fs::remove_file(KEY);
            remove_if_empty([PathBuf::from("/etc/docker")]);
        }
        remove_if_empty(cgroup("docker"));
        remove_if_empty(
            ["/run/docker/plugins", "/run/docker", "/run/containerd/s", "/run/containerd"].map(PathBuf::from),
        );
    }
}
