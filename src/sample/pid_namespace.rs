//! Which pid namespace the agent profiles: the one whose ids its `/proc` shows.

use std::io;
use std::path::Path;

/// `PROC_PID_INIT_INO` of the kernel's `include/linux/proc_ns.h`, the same on every machine.
const INITIAL: u32 = 0xefff_fffc;

/// Where the inode number of the namespace is found, best first. Process 1 of a `/proc` is the first of its
/// namespace, whoever mounted it: also where an agent in a container has the host's. Only if it may not be looked
/// at, the agent's own namespace has to do.
const PLACES: [&str; 2] = ["/proc/1/ns/pid", "/proc/self/ns/pid"];

/// A pid namespace that is not the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PidNamespace {
    /// Its inode number, by which the kernel names it.
    pub(super) inode: u32,
}

impl PidNamespace {
    /// The namespace of `/proc`; `None` where it is the host's, or the kernel has no other.
    pub(super) fn of_proc() -> Option<Self> {
        choose(|path| rustix::fs::stat(path).map(|stat| stat.st_ino).map_err(io::Error::from))
    }
}

/// The inode numbers of namespaces fit 32 bits (`ns_common.inum`).
fn choose(inode: impl Fn(&Path) -> io::Result<u64>) -> Option<PidNamespace> {
    let inode = PLACES.iter().find_map(|place| inode(Path::new(place)).ok())?;
    let inode = u32::try_from(inode).ok()?;
    (inode != INITIAL).then_some(PidNamespace { inode })
}

#[cfg(test)]
mod tests {
    use super::{INITIAL, PidNamespace, choose};
    use std::io::{Error, ErrorKind};
    use std::path::Path;

    #[test]
    fn the_namespace_is_that_of_proc() {
        let host = u64::from(INITIAL);
        for (name, of_first, of_self, expected) in [
            ("on the host", Some(host), Some(host), None),
            ("in a container", Some(4_026_532_301), Some(4_026_532_301), Some(4_026_532_301)),
            ("in a container with the host's /proc", Some(host), Some(4_026_532_301), None),
            ("on the host with a container's /proc", Some(4_026_532_301), Some(host), Some(4_026_532_301)),
            ("process 1 is hidden", None, Some(4_026_532_301), Some(4_026_532_301)),
            ("process 1 is hidden on the host", None, Some(host), None),
            ("without pid namespaces", None, None, None),
        ] {
            let inode = |path: &Path| {
                let inode = if path.starts_with("/proc/1") { of_first } else { of_self };
                inode.ok_or(Error::from(ErrorKind::PermissionDenied))
            };
            assert_eq!(choose(inode), expected.map(|inode| PidNamespace { inode }), "{name}");
        }
    }
}
