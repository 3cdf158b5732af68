//! Reads what `/proc` tells of one process. It may wait for the process's memory lock, so it never runs
//! where samples are read.

use super::cgroup::Cgroups;
use super::comm::Comm;
use super::details::{self, Details, DetailsWanted};
use super::id::{ProcessId, Tgid};
use super::mapping::{MAX_MAPPINGS, MapsEntry, parse_maps};
use super::stat;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Text of `/proc/PID/maps` that is read at most: 65 530 mappings, the kernel's default limit, at the
/// usual 100 bytes a line, and as much again.
const MAX_MAPS_BYTES: u64 = 16 << 20;
/// `/proc/PID/stat` and `cgroup` that are read at most. A cgroup path is at most 4 KiB, in up to 14
/// hierarchies.
const MAX_SMALL_BYTES: u64 = 64 << 10;

/// Who a live process is, as `/proc` told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name; that of its family, if it is a thread of the kernel.
    pub comm: Comm,
    /// Its cgroups, if the kernel shows any.
    pub cgroups: Option<Cgroups>,
}

/// Reads who a process is; `None` if it is gone, its id belongs to another process, or `/proc` does not let us.
pub fn inspect(process: ProcessId) -> Option<Identity> {
    let stat = read_stat(process)?;
    let comm = read(process, "comm", MAX_SMALL_BYTES)?;
    let comm = Comm::new(comm.strip_suffix(b"\n").unwrap_or(&comm));
    let identity = Identity {
        comm: if stat::is_kernel_thread(&stat) { comm.kernel_thread_family() } else { comm },
        cgroups: read(process, "cgroup", MAX_SMALL_BYTES).and_then(|text| Cgroups::parse(&text)),
    };
    // The id may have gone to another process since the first look.
    is_alive(process).then_some(identity)
}

/// Reads the executable mappings of a process, at most [`MAX_MAPPINGS`]. Whoever calls looks afterwards whether
/// it is still alive.
pub fn read_mappings(process: ProcessId) -> Option<Vec<MapsEntry>> {
    let mut text = read(process, "maps", MAX_MAPS_BYTES)?;
    if text.is_empty() {
        // The thread group leader has exited while other threads go on, or it is a kernel thread.
        text = read_of_other_thread(process).unwrap_or_default();
    }
    Some(parse_maps(&text).take(MAX_MAPPINGS).collect())
}

/// Reads what else is wanted of a process, as far as it can be had.
pub fn read_details(process: ProcessId, wanted: &DetailsWanted) -> Details {
    let mut details = Details::default();
    if wanted.origin {
        let stat = read(process, "stat", MAX_SMALL_BYTES);
        details.parent = stat.and_then(|stat| stat::parent(&stat)).map(Tgid);
        let executable = std::fs::read_link(path(process, "exe")).ok();
        details.executable = executable.map(|path| path.into_os_string().into_vec().into());
    }
    if wanted.command_line {
        details.command_line = read(process, "cmdline", details::MAX_COMMAND_LINE).map(Into::into);
    }
    if !wanted.environment.is_empty() {
        let environment = read(process, "environ", details::MAX_ENVIRONMENT).unwrap_or_default();
        details.environment = details::variables(&environment, &wanted.environment);
    }
    details
}

/// Whether the process still runs under its id.
pub fn is_alive(process: ProcessId) -> bool {
    read_stat(process).is_some()
}

/// `/proc/PID/stat` of the process, if it still runs under its id.
fn read_stat(process: ProcessId) -> Option<Vec<u8>> {
    let stat = read(process, "stat", MAX_SMALL_BYTES)?;
    (stat::start_ticks(&stat) == Some(process.start.shown().clock_ticks())).then_some(stat)
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
    use super::{inspect, read_details, read_mappings, stat};
    use crate::process::details::DetailsWanted;
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
        let executable = std::env::current_exe().unwrap();
        let mappings = read_mappings(own_id()).unwrap();
        let found = mappings.iter().any(|entry| match &entry.backing {
            Backing::File { file, .. } => *file.path == *executable.as_os_str().as_encoded_bytes(),
            Backing::Vdso | Backing::Anonymous => false,
        });
        assert!(found, "{executable:?} in {mappings:?}");
        assert!(inspect(own_id()).unwrap().cgroups.is_some());
    }

    #[test]
    fn only_wanted_details_are_read() {
        let nothing = read_details(own_id(), &DetailsWanted::default());
        assert_eq!(nothing, Default::default());
        let wanted = DetailsWanted {
            origin: true,
            command_line: true,
            environment: vec!["PATH".into()],
            ..DetailsWanted::default()
        };
        let details = read_details(own_id(), &wanted);
        assert_eq!(details.parent.unwrap().0, std::os::unix::process::parent_id());
        let executable = std::env::current_exe().unwrap();
        assert_eq!(&*details.executable.unwrap(), executable.as_os_str().as_encoded_bytes());
        let first = std::env::args().next().unwrap();
        assert!(details.command_line.unwrap().starts_with(first.as_bytes()));
        let path = std::env::var("PATH").unwrap();
        assert_eq!(details.environment, [("PATH".to_owned(), path.into_bytes().into())]);
    }

    #[test]
    fn another_process_of_the_same_id_is_not_read() {
        let mut reused = own_id();
        reused.start.nanos += 10_000_000;
        assert_eq!(inspect(reused), None);
    }
}
