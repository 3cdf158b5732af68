//! Which cgroup a process is in: `/proc/PID/cgroup`, cgroups(7).

use crate::sys::kernfs::open_by_id;
use rustix::fs::{CWD, FsWord, fstatfs, readlinkat};
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The kernel's id of a cgroup v2; that of the root where only cgroup v1 is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupId(pub u64);

impl CgroupId {
    /// Of a process that was not sampled yet.
    pub const UNKNOWN: Self = Self(0);
}

/// Path of a cgroup below the root of its hierarchy, bytes as the kernel gave them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupPath(pub Box<[u8]>);

impl CgroupPath {
    /// The root of every hierarchy.
    pub fn root() -> Self {
        Self(b"/".as_slice().into())
    }

    /// Its components below the root. A path relative to another cgroup namespace begins with `..`.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
    }
}

/// The cgroups of a process: one of each hierarchy, equal paths once, the most telling first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cgroups(Box<[CgroupPath]>);

/// Paths that are kept of one process. There is one hierarchy under v2; under v1 up to 14, whose paths are mostly
/// the same.
const MAX_PATHS_EACH: usize = 4;

impl Cgroups {
    /// Takes the text of `/proc/PID/cgroup`; `None` if there is no path in it.
    ///
    /// The unified hierarchy (v2) is the manager's own, then comes systemd's named v1 hierarchy; where both say
    /// only `/`, the longest path of any controller tells most.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').filter_map(parse_line).collect();
        lines.sort_by_key(|(hierarchy, path)| std::cmp::Reverse((*path != b"/", *hierarchy, path.len())));
        let mut paths: Vec<&[u8]> = Vec::new();
        for (_, path) in lines {
            if !paths.contains(&path) && paths.len() < MAX_PATHS_EACH {
                paths.push(path);
            }
        }
        let paths: Box<[_]> = paths.into_iter().map(|path| CgroupPath(path.into())).collect();
        (!paths.is_empty()).then_some(Self(paths))
    }

    /// The most telling path.
    pub fn main(&self) -> &CgroupPath {
        &self.0[0]
    }

    /// Every path, the most telling first.
    pub fn paths(&self) -> &[CgroupPath] {
        &self.0
    }
}

impl From<CgroupPath> for Cgroups {
    fn from(path: CgroupPath) -> Self {
        Self(Box::new([path]))
    }
}

/// Finds the paths of cgroups by their id, also of processes that are gone.
#[derive(Debug)]
pub struct CgroupResolver {
    /// Where the unified hierarchy is mounted; `None` where it is not.
    mount: Option<(PathBuf, OwnedFd)>,
    /// A cgroup that was removed keeps its last path for late samples.
    paths: Mutex<HashMap<CgroupId, Option<Arc<Cgroups>>>>,
}

/// Cgroups that are remembered; a host that makes more starts anew.
const MAX_PATHS: usize = 16 * 1024;

/// Where systemd and everyone else mounts the unified hierarchy: alone, or beside v1.
const MOUNT_POINTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

impl CgroupResolver {
    /// Looks for the unified hierarchy.
    pub fn new() -> Self {
        let mount = MOUNT_POINTS.iter().find_map(|path| {
            let mount = File::open(path).ok()?;
            (fstatfs(&mount).ok()?.f_type == CGROUP2_SUPER_MAGIC).then(|| (PathBuf::from(path), mount.into()))
        });
        Self { mount, paths: Mutex::default() }
    }

    /// The cgroups of a process when it was sampled in the cgroup of this id. What is known of the process may be older:
    /// of its parent, or from before it was moved, as what a service manager or a container runtime has forked moves
    /// before it executes.
    ///
    /// `read_in` is the cgroup that the process, or its parent, was in when that was read. Of one that was sampled in
    /// another one, which is gone, nothing is known.
    pub fn of_sample(
        &self,
        id: CgroupId,
        known: Option<&Arc<Cgroups>>,
        read_in: CgroupId,
    ) -> Option<Arc<Cgroups>> {
        let found = self.find(id);
        if found.is_none() && read_in != id && read_in != CgroupId::UNKNOWN {
            return None;
        }
        let is_alone = self.mount.as_ref().is_some_and(|(path, _)| path.as_os_str() == MOUNT_POINTS[0]);
        sampled_in(found, known, is_alone)
    }

    /// The path of a cgroup; `None` if it was gone when it was first asked for, or there is no unified hierarchy. So it
    /// is to be asked for as soon as a sample of it arrives.
    pub fn find(&self, id: CgroupId) -> Option<Arc<Cgroups>> {
        let mount = self.mount.as_ref();
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() >= MAX_PATHS {
            paths.clear();
        }
        paths.entry(id).or_insert_with(|| find(mount?, id).map(|path| Arc::new(path.into()))).clone()
    }
}

impl Default for CgroupResolver {
    fn default() -> Self {
        Self::new()
    }
}

/// The cgroups of a process that was sampled in one of the unified hierarchy. Beside others, this one tells less than
/// what is known of all, unless the process was moved since.
fn sampled_in(
    sampled: Option<Arc<Cgroups>>,
    known: Option<&Arc<Cgroups>>,
    is_alone: bool,
) -> Option<Arc<Cgroups>> {
    let (Some(sampled), Some(known)) = (&sampled, known) else { return sampled.or(known.cloned()) };
    let path = sampled.main();
    let is_newer = is_alone || (*path != CgroupPath::root() && !known.paths().contains(path));
    Some(if is_newer { sampled.clone() } else { known.clone() })
}

/// `CGROUP2_SUPER_MAGIC` of the kernel's `include/uapi/linux/magic.h`.
const CGROUP2_SUPER_MAGIC: FsWord = 0x6367_7270;

fn find((mount_path, mount): &(PathBuf, OwnedFd), id: CgroupId) -> Option<CgroupPath> {
    let directory = open_by_id(mount.as_fd(), id.0).ok()?;
    let path = readlinkat(CWD, format!("/proc/self/fd/{}", directory.as_raw_fd()), Vec::new()).ok()?;
    let below = path.to_bytes().strip_prefix(mount_path.as_os_str().as_encoded_bytes())?;
    Some(if below.is_empty() { CgroupPath::root() } else { CgroupPath(below.into()) })
}

/// Kinds of hierarchy, the more telling the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hierarchy {
    Controller,
    Systemd,
    Unified,
}

/// `ID:CONTROLLERS:PATH`; a path may hold colons.
fn parse_line(line: &[u8]) -> Option<(Hierarchy, &[u8])> {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let id = fields.next()?;
    let controllers = fields.next()?;
    let path = fields.next().filter(|path| !path.is_empty())?;
    let hierarchy = match (id, controllers) {
        (b"0", b"") => Hierarchy::Unified,
        (_, b"name=systemd") => Hierarchy::Systemd,
        _ => Hierarchy::Controller,
    };
    // Said of a cgroup v2 that was removed when only processes were in it that have ended.
    let path =
        if hierarchy == Hierarchy::Unified { path.strip_suffix(b" (deleted)").unwrap_or(path) } else { path };
    (!path.is_empty()).then_some((hierarchy, path))
}

#[cfg(test)]
mod tests {
    use super::{CgroupId, CgroupPath, CgroupResolver, Cgroups, MAX_PATHS_EACH, sampled_in};
    use std::os::unix::fs::MetadataExt;
    use std::sync::Arc;

    #[test]
    fn a_cgroup_is_found_by_its_id() {
        let resolver = CgroupResolver::new();
        let Some(mount) = resolver.mount.as_ref().map(|(path, _)| path.clone()) else { return };
        // The id of a cgroup is the inode number of its directory.
        let root = CgroupId(std::fs::metadata(mount).unwrap().ino());
        assert_eq!(resolver.find(root).as_deref(), Some(&CgroupPath::root().into()));
        assert_eq!(resolver.find(CgroupId(u64::MAX)), None);
        let (known, gone) = (Some(Arc::new(Cgroups::from(CgroupPath::root()))), CgroupId(u64::MAX));
        for (read_in, expected) in [(gone, &known), (CgroupId::UNKNOWN, &known), (root, &None)] {
            assert_eq!(resolver.of_sample(gone, known.as_ref(), read_in), *expected, "{read_in:?}");
        }
    }

    #[test]
    fn a_sample_tells_where_a_process_is_now() {
        const BOTH: &str = "4:memory:/docker/a\n0::/docker/a\n";
        const V1: &str = "4:memory:/docker/a\n0::/\n";
        for (name, sampled, known, is_alone, expected) in [
            ("moved", Some("/a.service"), Some("0::/init.scope\n"), true, "/a.service"),
            ("moved to the root", Some("/"), Some("0::/init.scope\n"), true, "/"),
            ("not read", Some("/a.service"), None, true, "/a.service"),
            ("the cgroup is gone", None, Some("0::/a.service\n"), true, "/a.service"),
            ("under v1, in the root of v2", Some("/"), Some(V1), false, "/docker/a"),
            ("moved in both", Some("/docker/b"), Some(BOTH), false, "/docker/b"),
            ("under v1", None, Some(V1), false, "/docker/a"),
        ] {
            let sampled = sampled.map(|path| Arc::new(CgroupPath(path.as_bytes().into()).into()));
            let known = known.map(|text| Arc::new(Cgroups::parse(text.as_bytes()).unwrap()));
            let found = sampled_in(sampled, known.as_ref(), is_alone).unwrap();
            assert_eq!(&*found.main().0, expected.as_bytes(), "{name}");
        }
        let known = Arc::new(Cgroups::parse(b"4:memory:/m\n1:name=systemd:/s\n0::/s\n").unwrap());
        let sampled = Arc::new(CgroupPath(b"/s".as_slice().into()).into());
        assert_eq!(sampled_in(Some(sampled), Some(&known), false), Some(known), "no path is lost");
    }

    #[test]
    fn the_most_telling_hierarchy_wins() {
        for (name, text, expected) in [
            ("unified only", "0::/system.slice/ssh.service\n", Some("/system.slice/ssh.service")),
            ("hybrid", "4:memory:/m\n1:name=systemd:/user.slice\n0::/init.scope\n", Some("/init.scope")),
            (
                "v1 with systemd",
                "4:memory:/docker/abcdef\n1:name=systemd:/a.service\n0::/\n",
                Some("/a.service"),
            ),
            (
                "v1 without systemd",
                "9:name=systemd:/\n5:cpu:/x\n4:memory:/process/abc\n0::/\n",
                Some("/process/abc"),
            ),
            ("root", "1:cpu:/\n0::/\n", Some("/")),
            ("colons in a path", "0::/a:b:c\n", Some("/a:b:c")),
            ("namespace", "0::/../../x\n", Some("/../../x")),
            ("removed", "0::/system.slice/a.service (deleted)\n", Some("/system.slice/a.service")),
            ("removed, and no path", "0:: (deleted)\n", None),
            ("nothing", "", None),
            ("garbage", "no fields\n::\n", None),
        ] {
            let cgroups = Cgroups::parse(text.as_bytes());
            let main = cgroups.as_ref().map(|cgroups| &*cgroups.main().0);
            assert_eq!(main, expected.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn equal_paths_count_once_and_there_is_a_bound() {
        let cgroups =
            Cgroups::parse(b"3:cpu:/docker/a\n2:memory:/docker/a\n1:name=systemd:/docker/a\n0::/\n");
        let paths: Vec<_> = cgroups.unwrap().paths().iter().map(|path| path.0.clone()).collect();
        assert_eq!(paths, [b"/docker/a".as_slice().into(), b"/".as_slice().into()]);
        let many: String = (0..100).map(|index| format!("{index}:c{index}:/{index}\n")).collect();
        assert_eq!(Cgroups::parse(many.as_bytes()).unwrap().paths().len(), MAX_PATHS_EACH);
    }
}
