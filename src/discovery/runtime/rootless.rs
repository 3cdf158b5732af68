//! The sockets of Podman that belong to users.
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
/// Users whose sockets are looked for.
const MAX_USERS: usize = 32;

/// Where users may have a socket.
pub(super) fn places() -> Vec<Place> {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let place = |user: u32| Place {
        path: Path::new(FOLDERS).join(user.to_string()).join(SOCKET),
        kind: Some(Kind::Podman),
        user: Some(user),
    };
    users(&String::from_utf8_lossy(&mounts)).into_iter().map(place).collect()
}

/// The users whose folder is a `tmpfs`, by a table in the form of `/proc/self/mountinfo`, proc_pid_mountinfo(5).
fn users(mounts: &str) -> Vec<u32> {
    let mut users = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let Some(folder) = fields.nth(4).and_then(|target| target.strip_prefix(FOLDERS)) else { continue };
        let Some(user) = folder.strip_prefix('/').and_then(|user| user.parse().ok()) else { continue };
        let is_tmpfs = fields.skip_while(|field| *field != "-").nth(1) == Some("tmpfs");
        // What was mounted last is on top.
        users.retain(|other| *other != user);
        if is_tmpfs && users.len() < MAX_USERS {
            users.push(user);
        }
    }
    users
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

/// Whether a process is in a container of a user's, by its cgroups: a user may claim anything of their containers,
/// but nothing of those of others.
pub(super) fn owns(user: u32, cgroups: &str, id: &str) -> bool {
    let slice = format!("/user-{user}.slice/");
    cgroups.lines().any(|line| line.contains(&slice) && line.contains(id))
}

#[cfg(test)]
mod tests {
    use super::{open_socket, owns, path, users};
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_folders_that_the_system_mounted_are_looked_into() {
        let line = |target: &str, kind: &str| format!("36 35 0:31 / {target} rw shared:1 - {kind} x rw\n");
        let cases = [
            (vec![line("/run/user/1000", "tmpfs"), line("/run/user/0", "tmpfs")], vec![1000, 0]),
            (vec![line("/run/user/1000", "tmpfs"), line("/run/user/1000", "fuse.sshfs")], vec![]),
            (vec![line("/run/user/1000/podman", "tmpfs"), line("/run/user", "tmpfs")], vec![]),
            (vec![line("/mnt/run/user/1000", "tmpfs"), "x\n".to_owned()], vec![]),
        ];
        for (lines, expected) in cases {
            assert_eq!(users(&lines.concat()), expected, "{lines:?}");
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

    #[test]
    fn a_user_may_claim_their_own_containers_only() {
        let own = "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-abc.scope\n";
        let cases = [
            (1000, own, "abc", true),
            (100, own, "abc", false),
            (1000, own, "abd", false),
            (1000, "0::/machine.slice/libpod-abc.scope\n", "abc", false),
            (1000, "1:cpu:/user.slice/user-1000.slice/x\n0::/machine.slice/libpod-abc.scope\n", "abc", false),
        ];
        for (user, cgroups, id, expected) in cases {
            assert_eq!(owns(user, cgroups, id), expected, "{user} {cgroups} {id}");
        }
    }
}
