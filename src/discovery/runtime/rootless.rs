//! The socket of Podman that belongs to a user. What is behind it is asked only about containers in the user's slice,
//! so that all they can tell lies about are processes of their own.
//!
//! A user may put anything at its path: also a file system of their own, whose every look-up hangs. So only what
//! lies on the `tmpfs` that the system mounted for the user is touched, and no symbolic link is followed.

use super::Kind;
use super::place::Place;
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where the system gives each user a folder.
const FOLDERS: &str = "/run/user";
/// The socket's path inside.
const SOCKET: &str = "podman/podman.sock";

/// Where a user may have a socket; `None` if the system gave them no folder.
pub(super) fn place(user: u32) -> Option<Place> {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let folder = Path::new(FOLDERS).join(user.to_string());
    let place = Place { path: folder.join(SOCKET), kind: Some(Kind::Podman), user: Some(user) };
    is_tmpfs(&String::from_utf8_lossy(&mounts), &folder).then_some(place)
}

/// Whose socket a path leads to, if it is a user's.
pub(super) fn user_of(path: &Path) -> Option<u32> {
    let user: u32 = path.strip_prefix(FOLDERS).ok()?.iter().next()?.to_str()?.parse().ok()?;
    let is_socket = Path::new(FOLDERS).join(user.to_string()).join(SOCKET) == path;
    (is_socket && user != 0).then_some(user)
}

/// Whether a folder is a `tmpfs`, by a table in the form of `/proc/self/mountinfo`, proc_pid_mountinfo(5).
fn is_tmpfs(mounts: &str, folder: &Path) -> bool {
    let kind = |line: &str| {
        let mut fields = line.split(' ');
        let is_at = fields.nth(4).is_some_and(|target| Path::new(target) == folder);
        is_at.then(|| fields.skip_while(|field| *field != "-").nth(1) == Some("tmpfs"))
    };
    // What was mounted last is on top.
    mounts.lines().filter_map(kind).next_back().unwrap_or(false)
}

/// A user's socket, to be reached through [`path`].
pub(super) fn open_socket(place: &Path) -> io::Result<File> {
    let folder = place.parent().and_then(Path::parent).ok_or(io::ErrorKind::InvalidInput)?;
    let folder =
        open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    // Linux 5.6; where it is not there, no user's socket is.
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    let file = openat2(&folder, SOCKET, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
    match file {
        Err(rustix::io::Errno::NOSYS) => Err(io::ErrorKind::NotFound.into()),
        file => Ok(File::from(file?)),
    }
}

/// A path that leads to an open socket, whatever is at its place by now.
pub(super) fn path(socket: &File) -> PathBuf {
    format!("/proc/self/fd/{}", socket.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use super::{is_tmpfs, open_socket, path, user_of};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    #[test]
    fn only_folders_that_the_system_mounted_are_looked_into() {
        let line = |target: &str, kind: &str| format!("36 35 0:31 / {target} rw shared:1 - {kind} x rw\n");
        let cases = [
            (vec![line("/run/user/1000", "tmpfs"), line("/run/user/0", "tmpfs")], true),
            (vec![line("/run/user/1000", "fuse.sshfs"), line("/run/user/1000", "tmpfs")], true),
            (vec![line("/run/user/1000", "tmpfs"), line("/run/user/1000", "fuse.sshfs")], false),
            (vec![line("/run/user/1000/podman", "tmpfs"), line("/run/user", "tmpfs")], false),
            (vec![line("/mnt/run/user/1000", "tmpfs"), line("/run/user/100", "tmpfs"), "x\n".into()], false),
            (vec![], false),
        ];
        for (lines, expected) in cases {
            assert_eq!(is_tmpfs(&lines.concat(), Path::new("/run/user/1000")), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_path_tells_whose_socket_it_is() {
        let cases = [
            ("/run/user/1000/podman/podman.sock", Some(1000)),
            ("/run/user/0/podman/podman.sock", None),
            ("/run/user/+7/podman/podman.sock", None),
            ("/run/user/1000/docker.sock", None),
            ("/run/podman/podman.sock", None),
        ];
        for (path, expected) in cases {
            assert_eq!(user_of(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn a_socket_is_reached_but_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, other) = (folder.path().join("podman"), folder.path().join("other.sock"));
        std::fs::create_dir(&inner).unwrap();
        let (socket, _other) = (inner.join("podman.sock"), UnixListener::bind(&other).unwrap());
        std::os::unix::fs::symlink(&other, &socket).unwrap();
        assert_eq!(open_socket(&socket).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        std::fs::remove_file(&socket).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        let file = open_socket(&socket).unwrap();
        std::os::unix::net::UnixStream::connect(path(&file)).unwrap();
    }
}
