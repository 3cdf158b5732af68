//! Containers as far as the agent sees them: cgroups that are named as Docker names them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::sweeper::Sweeper;

/// The cgroup that Docker puts its containers into.
const PARENT: &str = "docker";

/// Who was killed is in its cgroup for a moment; so often it is tried to remove one, with this time between two tries.
/// Beyond that it is left to the sweeper.
const ATTEMPTS: usize = 40;
const PAUSE: Duration = Duration::from_millis(5);

/// The kind of hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// Version 2, of which the kernel tells with each sample.
    Unified,
    /// Version 1, of which only `/proc` tells.
    Legacy,
}

/// The place of containers in one hierarchy.
pub(super) struct Engine {
    parent: PathBuf,
    /// Removes whatever is left when this is dropped: the parent too, unless it was there before or others use it now.
    sweeper: Sweeper,
}

/// The cgroup of one container. It is emptied and removed when this is dropped.
pub(super) struct Container {
    id: String,
    directory: PathBuf,
    /// Outlives it.
    _engine: Arc<Engine>,
}

impl Engine {
    /// Finds a place for containers; none if this machine has no such hierarchy.
    pub(super) fn start(hierarchy: Hierarchy) -> Result<Option<Arc<Self>>> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
        let Some(mount) = mount_point(hierarchy, &mounts) else { return Ok(None) };
        let (parent, sweeper) = (mount.join(PARENT), Sweeper::start()?);
        match fs::create_dir(&parent) {
            Ok(()) => sweeper.remember(&parent)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot make {}", parent.display())),
        }
        Ok(Some(Arc::new(Self { parent, sweeper })))
    }

    /// Makes the cgroup of another container.
    pub(super) fn container(self: &Arc<Self>) -> Result<Container> {
        let id = new_id();
        let directory = self.parent.join(&id);
        self.sweeper.remember(&directory)?;
        fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Container { id, directory, _engine: self.clone() })
    }
}

impl Container {
    /// The label `containerid` that its samples should have.
    pub(super) fn label(&self) -> String {
        format!("docker://{}", self.id)
    }

    /// A command that starts a program in it, as engines do: it is there before it executes the program.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut shell = Command::new("sh");
        let procs = self.directory.join("cgroup.procs");
        shell.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(procs).arg(program);
        shell
    }

    fn kill_all(&self) {
        let processes = fs::read_to_string(self.directory.join("cgroup.procs")).unwrap_or_default();
        if !processes.is_empty() {
            let mut kill = Command::new("kill");
            kill.args(["-s", "KILL"]).args(processes.lines()).stderr(Stdio::null());
            // Some may have ended meanwhile.
            let _ = kill.status();
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        for _ in 0..ATTEMPTS {
            self.kill_all();
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Where a hierarchy is mounted, by the text of `/proc/self/mounts`. Of version 1 any would do whose cgroups need no
/// settings before they take processes.
fn mount_point(hierarchy: Hierarchy, mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (directory, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        let is_it = match hierarchy {
            Hierarchy::Unified => kind == "cgroup2",
            Hierarchy::Legacy => kind == "cgroup" && options.split(',').any(|option| option == "pids"),
        };
        is_it.then(|| directory.into())
    })
}

/// An id as Docker makes them, another each time.
fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let unique = u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{unique:016x}").repeat(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_by_their_kind() {
        let hybrid = "proc /proc proc rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
            cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        for (mounts, hierarchy, expected) in [
            (hybrid, Hierarchy::Unified, Some("/sys/fs/cgroup/unified")),
            (hybrid, Hierarchy::Legacy, Some("/sys/fs/cgroup/pids")),
            (unified, Hierarchy::Unified, Some("/sys/fs/cgroup")),
            (unified, Hierarchy::Legacy, None),
            ("", Hierarchy::Unified, None),
        ] {
            assert_eq!(
                mount_point(hierarchy, mounts),
                expected.map(PathBuf::from),
                "{hierarchy:?}: {mounts}"
            );
        }
    }

    #[test]
    fn ids_are_those_of_docker_and_differ() {
        let (one, other) = (new_id(), new_id());
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}
