//! Reads what `/proc` tells of one process. It may wait for the process's memory lock, so it never runs
//! where samples are read.

use super::cgroup::Cgroups;
use super::comm::Comm;
use super::id::ProcessId;
use super::mapping::{MAX_MAPPINGS, MapsEntry, parse_maps};
use super::stat;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Text of `/proc/PID/maps` that is read at most: 65 530 mappings, the kernel's default limit, at the
/// usual 100 bytes a line, and as much again.
const MAX_MAPS_BYTES: u64 = 16 << 20;
/// `/proc/PID/stat` and `cgroup` that are read at most. A cgroup path is at most 4 KiB, in up to 14
/// hierarchies.
const MAX_SMALL_BYTES: u64 = 64 << 10;

/// What `/proc` told of a live process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its name.
    pub comm: Comm,
    /// Its cgroups, if the kernel shows any.
    pub cgroups: Option<Cgroups>,
    /// Its executable mappings, at most [`MAX_MAPPINGS`].
    pub mappings: Vec<MapsEntry>,
}

/// Reads a process; `None` if it is gone, its id belongs to another process, or `/proc` does not let us.
pub fn inspect(process: ProcessId) -> Option<Inspection> {
    is_alive(process).then_some(())?;
    let comm = read(process, "comm", MAX_SMALL_BYTES)?;
    let inspection = Inspection {
        comm: Comm::new(comm.strip_suffix(b"\n").unwrap_or(&comm)),
        cgroups: read(process, "cgroup", MAX_SMALL_BYTES).and_then(|text| Cgroups::parse(&text)),
        mappings: read_mappings(process)?,
    };
    // The id may have gone to another process since the first look.
    is_alive(process).then_some(inspection)
}

/// Whether the process still runs under its id.
pub fn is_alive(process: ProcessId) -> bool {
    let ticks = read(process, "stat", MAX_SMALL_BYTES).and_then(|stat| stat::start_ticks(&stat));
    ticks == Some(process.start.shown().clock_ticks())
}

fn read_mappings(process: ProcessId) -> Option<Vec<MapsEntry>> {
    let mut text = read(process, "maps", MAX_MAPS_BYTES)?;
    if text.is_empty() {
        // The thread group leader has exited while other threads go on, or it is a kernel thread.
        text = read_of_other_thread(process).unwrap_or_default();
    }
    Some(parse_maps(&text).take(MAX_MAPPINGS).collect())
}

fn read_of_other_thread(process: ProcessId) -> Option<Vec<u8>> {
    /// Threads that are tried: the first live one does, and a kernel thread has only itself.
    const TRIES: usize = 8;
    let tasks = std::fs::read_dir(path(process, "task")).ok()?;
    tasks
        .filter_map(Result::ok)
        .take(TRIES)
        .filter_map(|task| read_file(task.path().join("maps"), MAX_MAPS_BYTES))
        .find(|text| !text.is_empty())
}

fn read(process: ProcessId, file: &str, limit: u64) -> Option<Vec<u8>> {
    read_file(path(process, file), limit)
}

fn read_file(path: PathBuf, limit: u64) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(limit).read_to_end(&mut text).ok()?;
    Some(text)
}

fn path(process: ProcessId, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{file}", process.tgid))
}

#[cfg(test)]
mod tests {
    use super::{inspect, stat};
    use crate::process::id::{BootTime, ProcessId, Tgid};
    use crate::process::mapping::Backing;

    fn own_id() -> ProcessId {
        let ticks = stat::start_ticks(&std::fs::read("/proc/self/stat").unwrap()).unwrap();
        ProcessId {
            tgid: Tgid(std::process::id()),
            start: BootTime::from_shown(BootTime::from_clock_ticks(ticks)),
        }
    }

    #[test]
    fn this_process_is_seen_with_its_executable() {
        let inspection = inspect(own_id()).unwrap();
        let executable = std::env::current_exe().unwrap();
        let found = inspection.mappings.iter().any(|entry| match &entry.backing {
            Backing::File { file, .. } => *file.path == *executable.as_os_str().as_encoded_bytes(),
            Backing::Vdso | Backing::Anonymous => false,
        });
        assert!(found, "{executable:?} in {:?}", inspection.mappings);
        assert!(inspection.cgroups.is_some());
    }

    #[test]
    fn another_process_of_the_same_id_is_not_read() {
        let mut reused = own_id();
        reused.start.nanos += 10_000_000;
        assert_eq!(inspect(reused), None);
    }
}
