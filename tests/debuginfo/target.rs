//! A process that runs a program, in a root of its own or in this one.

use super::extracted::PATIENCE;
use parca_agent::debuginfo::find::Wanted;
use parca_agent::debuginfo::stamp::Stamp;
use parca_agent::object::build_id::BuildId;
use parca_agent::process::id::{BootTime, ProcessId, Tgid};
use parca_agent::worker::supervisor::Supervisor;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;
use tempfile::TempDir;

/// Where the program is in its root.
pub(crate) const PROGRAM: &str = "/opt/app/program";

/// The process, killed at the end, and the folder that may be its root.
pub(crate) struct Target {
    child: Child,
    pub(crate) id: ProcessId,
    folder: Arc<TempDir>,
    /// The program's path in the root of the process.
    path: PathBuf,
}

impl Target {
    /// Runs a copy of a program in a root of its own.
    pub(crate) fn in_its_root(program: &Path) -> Self {
        Self::run(program, true)
    }

    /// Runs a copy of a program in the root of this process.
    pub(crate) fn on_the_host(program: &Path) -> Self {
        Self::run(program, false)
    }

    fn run(program: &Path, is_contained: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join(PROGRAM.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        // Copied by another process: a file that is open for writing here cannot be executed.
        assert!(Command::new("cp").arg(program).arg(&copy).status().unwrap().success());
        if is_contained {
            let mut command = Command::new("chroot");
            command.arg(folder.path()).arg(PROGRAM);
            Self::start(command, Arc::new(folder), PROGRAM.into())
        } else {
            Self::start(Command::new(&copy), Arc::new(folder), copy)
        }
    }

    /// Runs the same file of the host once more.
    pub(crate) fn again(&self) -> Self {
        Self::start(Command::new(&self.path), Arc::clone(&self.folder), self.path.clone())
    }

    fn start(mut command: Command, folder: Arc<TempDir>, path: PathBuf) -> Self {
        let child = command.stdin(Stdio::piped()).spawn().unwrap();
        let tgid = Tgid(child.id());
        let target = Self { child, id: ProcessId { tgid, start: start_of(tgid) }, folder, path };
        let begun = Instant::now();
        while !target.maps_its_program() {
            assert!(begun.elapsed() < PATIENCE, "it does not run");
            std::thread::yield_now();
        }
        target
    }

    fn maps_its_program(&self) -> bool {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.id.tgid)).unwrap();
        maps.lines().any(|line| line.contains("r-xp") && line.ends_with(PROGRAM))
    }

    /// A path of the process's root, or below the folder of a process on the host, as this process sees it.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// What there is to know of its program.
    pub(crate) fn wanted(&self, supervisor: &Supervisor) -> Wanted {
        let file = File::open(self.place(PROGRAM)).unwrap();
        let stamp = Stamp::of(&file).unwrap();
        let file: OwnedFd = file.into();
        let build_id = build_id(supervisor, file.try_clone().unwrap());
        let path = self.path.as_os_str().as_encoded_bytes().into();
        Wanted { build_id, path, process: self.id, file: Arc::new(file), stamp }
    }

    /// Kills it; its folder stays.
    pub(crate) fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// By what the worker knows a file.
pub(crate) fn build_id(supervisor: &Supervisor, file: OwnedFd) -> BuildId {
    let (sender, receiver) = channel();
    supervisor.identify(file, move |result| sender.send(result).unwrap());
    receiver.recv_timeout(PATIENCE).unwrap().unwrap().build_id
}

/// Shown in hundredths of a second.
fn start_of(tgid: Tgid) -> BootTime {
    let stat = fs::read_to_string(format!("/proc/{tgid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = fields.split_whitespace().nth(19).unwrap().parse().unwrap();
    BootTime { nanos: ticks * 10_000_000 }
}
