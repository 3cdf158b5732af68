//! Opening the file behind a mapping, without believing the path.
//!
//! A process can make any path lead anywhere. `/proc/PID/map_files` leads to the mapped inode itself,
//! whatever has become of its path. Only where that is not to be had is the path followed, within the
//! process's own root, and then it must lead to the inode that the kernel's list of mappings names.
//! Nothing here opens a path of the host because a process says so.
//!
//! [`open`] blocks for as long as a file system does, and is not to be called where that matters.

use super::mapped::{MappedFile, MappedRange};
use super::{Unidentified, file_system};
use crate::process::id::{ProcessId, Tgid};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Largest file that is read at all, bytes.
pub const MAX_SIZE: u64 = 16 << 30;

/// What tells one content of one file from another, also where paths and inode numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// `st_mtime`: seconds and nanoseconds.
    pub modified: (i64, i64),
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenedObject {
    /// Its descriptor.
    pub file: OwnedFd,
    /// Which file, and which content of it.
    pub identity: FileIdentity,
}

/// Opens the file that a process maps.
pub fn open(
    process: ProcessId,
    range: MappedRange,
    mapped: &MappedFile,
) -> Result<OpenedObject, Unidentified> {
    check_start(process)?;
    // Opened as a place only: nothing is asked of a file system before it is known to answer.
    let place = match place_of_mapping(process, range) {
        Ok(place) => place,
        Err(_) => place_in_root(process, mapped)?,
    };
    if !file_system::is_safe(place.as_fd(), process.tgid) {
        return Err(Unidentified::UnsafeFileSystem);
    }
    let opened = read(place.as_fd())?;
    check_start(process)?;
    Ok(opened)
}

/// Opens for reading what is open as a place only, on a file system that is known to answer, if it is a regular file.
pub fn read(place: BorrowedFd<'_>) -> Result<OpenedObject, Unidentified> {
    check_regular(&rustix::fs::fstat(place).map_err(|_| Unidentified::Gone)?)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(format!("/proc/self/fd/{}", place.as_raw_fd()), flags, Mode::empty())
        .map_err(|_| Unidentified::Gone)?;
    let identity = check_regular(&rustix::fs::fstat(&file).map_err(|_| Unidentified::Gone)?)?;
    Ok(OpenedObject { file, identity })
}

/// The root of a process, as a place.
pub fn root_of(process: ProcessId) -> Result<OwnedFd, Unidentified> {
    check_start(process)?;
    let root = open_root(process.tgid)?;
    check_start(process)?;
    Ok(root)
}

fn open_root(process: Tgid) -> Result<OwnedFd, Unidentified> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(format!("/proc/{process}/root"), flags, Mode::empty()).map_err(|_| Unidentified::Gone)
}

/// The mapped inode. Needs `CAP_CHECKPOINT_RESTORE` (kernel 5.9) or `CAP_SYS_ADMIN`.
fn place_of_mapping(process: ProcessId, range: MappedRange) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/{}/map_files/{range}", process.tgid);
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

/// What the path leads to within the process's root, if that is the mapped inode. Needs kernel 5.6.
fn place_in_root(process: ProcessId, mapped: &MappedFile) -> Result<OwnedFd, Unidentified> {
    let root = open_root(process.tgid)?;
    let place = rustix::fs::openat2(
        &root,
        Path::new(OsStr::from_bytes(&mapped.path)),
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
    .map_err(|error| match error {
        Errno::LOOP => Unidentified::Refused,
        _ => Unidentified::Gone,
    })?;
    if !file_system::is_safe(place.as_fd(), process.tgid) {
        return Err(Unidentified::UnsafeFileSystem);
    }
    let stat = rustix::fs::fstat(&place).map_err(|_| Unidentified::Gone)?;
    // The device is not compared: the list of mappings and stat disagree on it on some file systems.
    if stat.st_ino == mapped.inode { Ok(place) } else { Err(Unidentified::Refused) }
}

fn check_regular(stat: &Stat) -> Result<FileIdentity, Unidentified> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Unidentified::Refused);
    }
    let size = u64::try_from(stat.st_size).map_err(|_| Unidentified::Refused)?;
    if size > MAX_SIZE {
        return Err(Unidentified::TooLarge);
    }
    Ok(FileIdentity {
        device: stat.st_dev,
        inode: stat.st_ino,
        size,
        modified: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or_default()),
    })
}

/// Refuses a process that has ended, or whose id another has by now.
fn check_start(process: ProcessId) -> Result<(), Unidentified> {
    let stat = std::fs::read(format!("/proc/{}/stat", process.tgid)).map_err(|_| Unidentified::Gone)?;
    match start_ticks(&stat) {
        Some(ticks) if ticks == process.start.shown().clock_ticks() => Ok(()),
        Some(_) | None => Err(Unidentified::Gone),
    }
}

/// Field 22 of `/proc/PID/stat`. The second is the process's name, in parentheses, and may hold anything.
fn start_ticks(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = str::from_utf8(stat.get(after_name + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::start_ticks;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_start() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21";
        for name in ["cat", ") R 1 1\n(x", "", "a b"] {
            assert_eq!(start_ticks(format!("42 ({name}) {rest}\n").as_bytes()), Some(777), "{name:?}");
        }
        assert_eq!(start_ticks(b"42 (cat) S 1"), None);
        assert_eq!(start_ticks(b""), None);
    }
}
