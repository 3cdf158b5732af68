//! Cgroups for processes of tests: named as container engines name them.

use crate::common::program::Program;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A cgroup in one hierarchy of this machine, removed when the test is over.
pub(crate) struct Cgroup {
    directory: PathBuf,
    /// Parents that had to be made too, the innermost first.
    made: Vec<PathBuf>,
}

/// The kind of hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// Version 2, of which the kernel tells with each sample.
    Unified,
    /// Version 1, of which only `/proc` tells.
    Legacy,
}

impl Hierarchy {
    fn mount(self) -> Option<PathBuf> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let is_it = |fields: &[&str]| match self {
            Self::Unified => fields[2] == "cgroup2",
            Self::Legacy => fields[2] == "cgroup" && fields[3].split(',').any(|option| option == "pids"),
        };
        mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|fields| fields.len() > 3 && is_it(fields))
            .map(|fields| PathBuf::from(fields[1]))
    }
}

impl Cgroup {
    /// Makes a cgroup; `None` if this machine has no such hierarchy.
    pub(crate) fn make(hierarchy: Hierarchy, path: &str) -> Option<Self> {
        let mut directory = hierarchy.mount()?;
        let mut made = Vec::new();
        for component in path.trim_start_matches('/').split('/') {
            directory.push(component);
            match std::fs::create_dir(&directory) {
                Ok(()) => made.insert(0, directory.clone()),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{error}"),
            }
        }
        Some(Self { directory, made })
    }

    /// Starts a workload in it, as engines do: it is there before it executes its program.
    pub(crate) fn start(&self, workload: &str, name: &str, arguments: &[&str]) -> Program {
        let enter = format!("echo $$ > '{}/cgroup.procs' && exec \"$0\" \"$@\"", self.directory.display());
        Program::start_through(&["sh", "-c", &enter], workload, name, arguments)
    }

    /// Moves a process into it.
    pub(crate) fn take(&self, process: u32) {
        std::fs::write(self.directory.join("cgroup.procs"), process.to_string()).unwrap();
    }

    fn empty(&self) {
        // Processes that are dying are still there for a moment.
        let root = self.made.last().and_then(|made| made.parent()).unwrap_or(Path::new("/"));
        let Ok(processes) = std::fs::read_to_string(self.directory.join("cgroup.procs")) else { return };
        for process in processes.lines() {
            let _ = std::fs::write(root.join("cgroup.procs"), process);
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.empty();
        for directory in &self.made {
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// An id as container engines make them, another each time.
pub(crate) fn container_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let unique = u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{unique:016x}").repeat(4)
}
