//! Opening candidates, each within the root that it is looked for in.

use super::candidate::{Candidate, Place, Searched};
use super::refusal::Refusal;
use crate::object::Unidentified;
use crate::object::open::{OpenedObject, read, root_of};
use crate::object::resolve::{Unresolved, resolve};
use crate::process::id::{ProcessId, Tgid};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, Stat};
use rustix::process::geteuid;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The first process of the host, where this one sees it: its root is the host's, also if the agent's own is not.
const FIRST: Tgid = Tgid(1);

/// Its root.
const FIRST_ROOT: &str = "/proc/1/root";

/// A root, and a process that sees its mounts.
struct Root {
    place: OwnedFd,
    seen_by: Tgid,
}

/// The roots in which one executable's debug file is looked for.
pub(super) struct Places<'a> {
    target: Option<Root>,
    host: Option<Root>,
    /// The agent's own, in which the directories are.
    own: Option<Root>,
    directories: &'a [PathBuf],
}

/// Why a candidate is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// There is nothing.
    Absent,
    /// There is something else.
    Refused(Refusal),
}

impl<'a> Places<'a> {
    /// The places for the executable that a process ran by a path. A process that has ended has no root any more; if
    /// the host has the same file at the same path, it was the host's.
    pub(super) fn new(
        process: ProcessId,
        path: &[u8],
        file: &OwnedFd,
        host: Option<&Path>,
        directories: &'a [PathBuf],
    ) -> Self {
        let this = Tgid(std::process::id());
        let own = open_root(Path::new("/"), this);
        let host = match host {
            Some(path) => open_root(path, this),
            None => open_root(Path::new(FIRST_ROOT), FIRST).or_else(|| open_root(Path::new("/"), this)),
        };
        let target = root_of(process).ok().map(|place| Root { place, seen_by: process.tgid });
        let (target, host) = match (target, host) {
            (None, Some(host)) if host.has(path, file) => (Some(host), None),
            // Looked at once, by the rules for the target's own files.
            (Some(target), Some(host)) if is_same(&target.place, &host.place) => (Some(target), None),
            roots => roots,
        };
        Self { target, host, own, directories }
    }

    /// Which of them there are.
    pub(super) fn searched(&self) -> Searched {
        let directories = if self.own.is_some() { self.directories.len() } else { 0 };
        Searched { target: self.target.is_some(), host: self.host.is_some(), directories }
    }

    /// Opens a candidate for reading, if it is a file that may be read.
    pub(super) fn open(&self, candidate: &Candidate) -> Result<OpenedObject, Unopened> {
        let opened = match candidate.place {
            Place::Target => open_in(self.target.as_ref(), &candidate.path)?,
            Place::Host => {
                let opened = open_in(self.host.as_ref(), &candidate.path)?;
                // Who runs containers with their files on the host may have put it there.
                check_owner(opened.file.as_fd())?;
                opened
            }
            Place::Directory(position) => {
                let directory = self.directories.get(position).ok_or(Unopened::Absent)?;
                let path = [directory.as_os_str().as_bytes(), &*candidate.path].concat();
                open_in(self.own.as_ref(), &path)?
            }
        };
        Ok(opened)
    }
}

impl Root {
    /// Whether a file is at a path in it.
    fn has(&self, path: &[u8], file: &OwnedFd) -> bool {
        let found = resolve(self.place.as_fd(), path, self.seen_by);
        path.starts_with(b"/") && found.is_ok_and(|found| is_same(&found, file))
    }
}

fn open_root(path: &Path, seen_by: Tgid) -> Option<Root> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let place = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    Some(Root { place, seen_by })
}

fn open_in(root: Option<&Root>, path: &[u8]) -> Result<OpenedObject, Unopened> {
    let root = root.ok_or(Unopened::Absent)?;
    let place = resolve(root.place.as_fd(), path, root.seen_by).map_err(|reason| match reason {
        Unresolved::Absent => Unopened::Absent,
        Unresolved::UnsafeFileSystem => Unopened::Refused(Refusal::UnsafeFileSystem),
        Unresolved::TooLong => Unopened::Refused(Refusal::TooLongPath),
    })?;
    read(place.as_fd()).map_err(|reason| {
        Unopened::Refused(match reason {
            Unidentified::TooLarge => Refusal::TooLarge,
            _ => Refusal::Refused,
        })
    })
}

fn check_owner(file: BorrowedFd<'_>) -> Result<(), Unopened> {
    let stat = rustix::fs::fstat(file).map_err(|_| Unopened::Refused(Refusal::Refused))?;
    let is_trusted = stat.st_uid == 0 || stat.st_uid == geteuid().as_raw();
    if is_trusted { Ok(()) } else { Err(Unopened::Refused(Refusal::Owner)) }
}

fn is_same(left: &OwnedFd, right: &OwnedFd) -> bool {
    let which = |stat: Stat| (stat.st_dev, stat.st_ino);
    match (rustix::fs::fstat(left), rustix::fs::fstat(right)) {
        (Ok(left), Ok(right)) => which(left) == which(right),
        _ => false,
    }
}
