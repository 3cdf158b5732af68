//! A listening Unix socket without a name: only who holds its descriptor can connect to it.
//!
//! A name in the abstract namespace can be used by every user of the machine, and a path outlives a
//! killed process. So the socket is bound in a directory of mode 0700, and both are unlinked at once;
//! connecting goes through `/proc/self/fd`, which leads to the inode.

use rustix::fs::{AtFlags, Mode, OFlags};
use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

const NAME: &str = "s";

/// The way to a private listening socket.
#[derive(Debug)]
pub(super) struct PrivateSocket {
    /// `O_PATH` descriptor of the socket's inode.
    inode: OwnedFd,
    /// The unlinked directory. The listener's own name leads through this descriptor; while it is open,
    /// that name cannot come to mean another file.
    _directory: OwnedFd,
}

impl PrivateSocket {
    /// Binds a listener; `parent` is any directory in which a file system socket can be made.
    pub(super) fn bind(parent: &Path) -> io::Result<(UnixListener, Self)> {
        let path = parent.join(format!("parca-agent-http-{}", random_name()?));
        // Fails on an entry that somebody else made, whatever it is.
        DirBuilder::new().mode(0o700).create(&path)?;
        let bound = Self::bind_in(&path);
        std::fs::remove_dir(&path)?;
        bound
    }

    fn bind_in(path: &Path) -> io::Result<(UnixListener, Self)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        // The path of a socket has at most 107 bytes; through the descriptor it is always short.
        let listener = UnixListener::bind(through(&directory).join(NAME))?;
        let inode = rustix::fs::openat(
            &directory,
            NAME,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        );
        rustix::fs::unlinkat(&directory, NAME, AtFlags::empty())?;
        Ok((listener, Self { inode: inode?, _directory: directory }))
    }

    /// A path by which this process, and no other user, connects.
    pub(super) fn path(&self) -> PathBuf {
        through(&self.inode)
    }
}

fn through(descriptor: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::PrivateSocket;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn it_can_be_reached_and_leaves_nothing_behind() {
        let parent = tempfile::tempdir().unwrap();
        let (listener, socket) = PrivateSocket::bind(parent.path()).unwrap();
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        UnixStream::connect(socket.path()).unwrap().write_all(b"hello").unwrap();
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error() {
        assert!(PrivateSocket::bind("/proc/self".as_ref()).is_err());
    }
}
