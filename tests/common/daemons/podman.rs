//! Podman's service and containers, with storage of the test's own.

use super::image::Image;
use super::{Container, Daemon, cgroup, remove_if_empty, run, unmount};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A running service. Dropping it removes its containers.
pub(crate) struct Podman {
    folder: TempDir,
    daemon: Option<Daemon>,
}

impl Podman {
    pub(crate) fn start() -> Self {
        let mut podman = Self { folder: tempfile::tempdir().unwrap(), daemon: None };
        let at = |name| podman.path(name).display().to_string();
        // crun of Debian 12 refuses a host with cgroup v1 and v2, and limits above the test's own need a capability
        // that root in a container lacks.
        let containers = format!(
            r#"
            [containers]
            default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
            [engine]
            cgroup_manager = "cgroupfs"
            events_logger = "file"
            lock_type = "file"
            runtime = "runc"
            static_dir = "{}"
            tmp_dir = "{}"
            volume_path = "{}"
            [network]
            network_config_dir = "{}"
            "#,
            at("static"),
            at("tmp"),
            at("volumes"),
            at("networks"),
        );
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            at("graph"),
            at("run")
        );
        std::fs::write(podman.path("containers.conf"), containers).unwrap();
        std::fs::write(podman.path("storage.conf"), storage).unwrap();
        podman.begin();
        podman
    }

    /// Where its service listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("podman.sock")
    }

    /// Starts a workload in a container, which is in a pod if that is named.
    pub(crate) fn run(
        &self,
        workload: &str,
        name: &str,
        labels: &[(&str, &str)],
        pod: Option<&str>,
    ) -> Container {
        let image = Image::of(workload, self.folder.path());
        run(self.command().arg("load").arg("--quiet").arg("--input").arg(&image.archive));
        let mut command = self.command();
        command.args(["run", "--detach", "--network=host", "--name", name]);
        for (label, value) in labels {
            command.arg(format!("--label={label}={value}"));
        }
        if let Some(pod) = pod {
            run(self.command().args(["pod", "create", "--infra=false", "--name", pod]));
            command.args(["--pod", pod]);
        }
        let id = run(command.arg(&image.reference));
        Container::of(&id, workload)
    }

    pub(crate) fn rename(&self, container: &Container, name: &str) {
        run(self.command().args(["rename", &container.id, name]));
    }

    pub(crate) fn remove(&self, container: &Container) {
        run(self.command().args(["rm", "--force", "--time=0", &container.id]));
    }

    /// Ends the service. Containers go on.
    pub(crate) fn stop(&mut self) {
        self.daemon.take().unwrap().stop();
    }

    /// Starts the service again after [`Self::stop`].
    pub(crate) fn begin(&mut self) {
        let mut command = self.command();
        command.args(["system", "service", "--time=0"]).arg(format!("unix://{}", self.socket().display()));
        self.daemon = Some(Daemon::start(command, &self.socket(), &self.path("log")));
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.path("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        for what in [["rm", "--all", "--force", "--time=0"].as_slice(), &["pod", "rm", "--all", "--force"]] {
            // A test that has failed goes on to its end.
            let _ = self.command().args(what).output();
        }
        if let Some(daemon) = &mut self.daemon {
            daemon.stop();
        }
        unmount(self.folder.path());
        remove_if_empty(cgroup("libpod_parent/conmon"));
        remove_if_empty(cgroup("libpod_parent"));
        remove_if_empty(["/run/crun", "/run/runc"].map(PathBuf::from));
    }
}
