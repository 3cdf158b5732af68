//! Which pid namespace the agent profiles: the one whose ids its `/proc` shows.

use std::io;
use std::path::Path;

/// `PROC_PID_INIT_INO` of the kernel's `include/linux/proc_ns.h`, the same on every machine.
const INITIAL: u32 = 0xefff_fffc;

/// A pid namespace that is not the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PidNamespace {
    /// Its inode number, by which the kernel names it.
    pub(super) inode: u32,
}

impl PidNamespace {
    /// The namespace of `/proc`; `None` where it is the host's, or the kernel has no other.
    pub(super) fn of_proc() -> Option<Self> {
        let status = std::fs::read("/proc/self/status").unwrap_or_default();
        choose(&status, |path| rustix::fs::stat(path).map(|stat| stat.st_ino).map_err(io::Error::from))
    }
}

/// Decides by the text of `/proc/self/status` and the inode numbers of `/proc/*/ns/pid`, which fit 32 bits
/// (`ns_common.inum`).
fn choose(status: &[u8], inode: impl Fn(&Path) -> io::Result<u64>) -> Option<PidNamespace> {
    // One of several ids belongs to a namespace above the agent's own: a container has the `/proc` of its host. Process
    // 1 there is the first of that namespace; if it may not be looked at, it is taken for the host's.
    let of_proc = if own_ids(status) == 1 { "/proc/self/ns/pid" } else { "/proc/1/ns/pid" };
    let inode = u32::try_from(inode(Path::new(of_proc)).ok()?).ok()?;
    (inode != INITIAL).then_some(PidNamespace { inode })
}

/// How many ids of its own a process is shown: one for each namespace from that of `/proc` down to its own.
fn own_ids(status: &[u8]) -> usize {
    let ids = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"));
    ids.map_or(0, |ids| ids.split(u8::is_ascii_whitespace).filter(|id| !id.is_empty()).count())
}

#[cfg(test)]
mod tests {
    use super::{INITIAL, PidNamespace, choose};
    use std::io::{Error, ErrorKind};
    use std::path::Path;

    #[test]
    fn the_namespace_is_that_of_proc() {
        let (host, container) = (Some(u64::from(INITIAL)), Some(4_026_532_301));
        for (name, own_ids, of_first, of_self, expected) in [
            ("on the host", "\t4321", host, host, None),
            ("in a container", "\t1", container, container, container),
            ("in a container where process 1 is hidden", "\t7", None, container, container),
            ("in a container with the host's /proc", "\t4321\t1", host, container, None),
            ("the same where process 1 is hidden", "\t4321\t1", None, container, None),
            ("nested with the /proc of a container", "\t17\t1", container, Some(4_026_532_302), container),
        ] {
            let status = format!("Name:\tparca-agent\nNSpid:{own_ids}\nNSpgid:\t1\n");
            let inode = |path: &Path| {
                let inode = if path.starts_with("/proc/1") { of_first } else { of_self };
                inode.ok_or(Error::from(ErrorKind::PermissionDenied))
            };
            let expected = expected.map(|inode| PidNamespace { inode: u32::try_from(inode).unwrap() });
            assert_eq!(choose(status.as_bytes(), inode), expected, "{name}");
        }
    }

    #[test]
    fn without_pid_namespaces_there_is_the_hosts() {
        assert_eq!(choose(b"Name:\tparca-agent\n", |_| Err(Error::from(ErrorKind::NotFound))), None);
    }
}
