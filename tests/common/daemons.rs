//! Daemons that run containers: real ones, each with folders, sockets and containers of its own, of which nothing is
//! left when a test is over. They need root.
//!
//! No image is fetched: the one that a container runs holds a static program of [`super::workload`].

pub(crate) mod containerd;
pub(crate) mod docker;
pub(crate) mod image;
pub(crate) mod podman;

use super::process::{self, eventually};
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// How long a daemon may take to start, to end, or to start a container.
const PATIENCE: Duration = Duration::from_secs(60);

/// A container that runs a workload.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    /// Without the engine's prefix.
    pub(crate) id: String,
    /// The process of the workload, as the host knows it.
    pub(crate) process: u32,
}

impl Container {
    /// Waits for a container's workload.
    fn of(id: &str, workload: &str) -> Self {
        let mut process = None;
        eventually(&format!("{workload} runs in {id}"), PATIENCE, || {
            process = process_in(id, workload);
            process.is_some()
        });
        Self { id: id.to_owned(), process: process.unwrap() }
    }
}

/// The process of a container that executes a workload. What starts a container is in it, too, for a moment.
fn process_in(id: &str, workload: &str) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let mut ids = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    ids.find(|process: &u32| {
        let cgroups = std::fs::read(format!("/proc/{process}/cgroup")).unwrap_or_default();
        let executable = std::fs::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
        String::from_utf8_lossy(&cgroups).contains(id) && executable.ends_with(workload)
    })
}

/// A daemon's process.
struct Daemon {
    child: Child,
    log: PathBuf,
    socket: PathBuf,
}

impl Daemon {
    /// Starts a daemon and waits until it listens.
    fn start(mut command: Command, socket: &Path, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut daemon = Self { child, log: log.to_owned(), socket: socket.to_owned() };
        eventually(&format!("{} listens", socket.display()), PATIENCE, || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("{command:?} ended with {status}: {}", daemon.messages());
            }
            UnixStream::connect(&daemon.socket).is_ok()
        });
        daemon
    }

    /// What it has said.
    fn messages(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it. Containers go on.
    fn stop(&mut self) {
        let id = self.child.id();
        process::signal(id, Signal::TERM);
        // A test that has failed goes on to its end.
        let begun = std::time::Instant::now();
        while !process::has_ended(id) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Runs a command that must succeed, and tells what it has said.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Takes folders away that are empty, such as cgroups whose last container is gone.
fn remove_if_empty(folders: impl IntoIterator<Item = PathBuf>) {
    for folder in folders {
        // Another daemon may still use it, or it was never there.
        let _ = std::fs::remove_dir(folder);
    }
}

/// Takes away what is mounted below a folder: a Docker whose containers outlive it leaves its own.
fn unmount(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    // What was mounted last lies on top.
    for place in places.filter(|place| Path::new(place).starts_with(folder)).collect::<Vec<_>>().iter().rev()
    {
        // What cannot be taken away is seen by whoever looks for it.
        let _ = Command::new("umount").arg(place).status();
    }
}

/// The folders of one cgroup in all hierarchies.
fn cgroup(path: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    hierarchies.chain([root.to_owned()]).map(|hierarchy| hierarchy.join(path)).collect()
}
