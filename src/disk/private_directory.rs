//! A directory that only the agent's user writes to, and that one agent uses at a time. It is held open, and everything
//! in it is named from there: whoever renames a directory above changes nothing.

use super::space::Space;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be made, or looked at.
    #[error(transparent)]
    Unusable(#[from] io::Error),
    /// Others than its owner, who has to be the agent's user, may write there.
    #[error("it is not a directory that only the agent's user can write to")]
    NotPrivate,
    /// Another process has it.
    #[error("another process uses it")]
    InUse,
}

/// The directory.
#[derive(Debug)]
pub struct PrivateDirectory {
    descriptor: OwnedFd,
    path: PathBuf,
    /// Its disk had too little left for others when that was last asked.
    is_short: bool,
    /// What a test has the disk say.
    #[cfg(test)]
    pub(crate) space: Option<Space>,
}

impl PrivateDirectory {
    /// Takes hold of a directory, which is made with a mode where there is none.
    pub fn open(path: &Path, mode: u32) -> Result<Self, DirectoryError> {
        DirBuilder::new().recursive(true).mode(mode).create(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(DirectoryError::NotPrivate),
            Err(error) => return Err(DirectoryError::Unusable(error.into())),
        };
        let status = rustix::fs::fstat(&descriptor).map_err(io::Error::from)?;
        if status.st_uid != rustix::process::geteuid().as_raw() || status.st_mode & 0o022 != 0 {
            return Err(DirectoryError::NotPrivate);
        }
        match rustix::fs::flock(&descriptor, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => (),
            Err(Errno::WOULDBLOCK) => return Err(DirectoryError::InUse),
            Err(error) => return Err(DirectoryError::Unusable(error.into())),
        }
        Ok(Self {
            descriptor,
            path: path.to_owned(),
            is_short: false,
            #[cfg(test)]
            space: None,
        })
    }

    /// Where it was when it was opened. To tell people, not to open anything.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all that is in it.
    pub fn names(&self) -> io::Result<Vec<CString>> {
        Dir::read_from(&self.descriptor)?.map(|entry| Ok(entry?.file_name().to_owned())).collect()
    }

    /// Bytes of a regular file; none of anything else.
    pub fn file_bytes(&self, name: &str) -> io::Result<Option<u64>> {
        let status = rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
        Ok(u64::try_from(status.st_size).ok().filter(|_| is_file))
    }

    /// Makes a file that its user can read and write.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.descriptor, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Opens a regular file, to be changed where that can be.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        let open = |access| {
            let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())
        };
        let file = match open(OFlags::RDWR) {
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => open(OFlags::RDONLY)?,
            other => other?,
        };
        let status = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
        }
        Ok(file.into())
    }

    /// Gives a file another name, that of a file which goes for it if there is one.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.descriptor, from, &self.descriptor, to)?)
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Forces names to disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.descriptor)?)
    }

    /// Fails if so many bytes more would not leave enough of the disk to others.
    pub fn check_space(&mut self, bytes: u64) -> io::Result<()> {
        // A disk that does not tell is found full by writing to it.
        let checked = self.space().map_or(Ok(()), |space| space.check(bytes, self.is_short));
        self.is_short = checked.is_err();
        Ok(checked?)
    }

    fn space(&self) -> Option<Space> {
        #[cfg(test)]
        if let Some(space) = self.space {
            return Some(space);
        }
        let status = rustix::fs::fstatvfs(&self.descriptor).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(status.f_frsize);
        Some(Space { total: bytes(status.f_blocks), available: bytes(status.f_bavail) })
    }
}

#[cfg(test)]
mod tests {
    use super::{DirectoryError, PrivateDirectory};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    fn open(path: &Path) -> Result<PrivateDirectory, DirectoryError> {
        PrivateDirectory::open(path, 0o700)
    }

    #[test]
    fn it_is_made_for_its_user_only() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let directory = open(&path).unwrap();
        drop(directory.create("file").unwrap());
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.clone()), 0o700);
        assert_eq!(mode(path.join("file")), 0o600);
        assert!(directory.create("file").is_err(), "it is there");
    }

    #[test]
    fn what_others_can_write_to_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let shared = root.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o770)).unwrap();
        let link = root.path().join("link");
        symlink(root.path(), &link).unwrap();
        for path in [shared, link] {
            assert!(matches!(open(&path), Err(DirectoryError::NotPrivate)), "{}", path.display());
        }
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(open(&file), Err(DirectoryError::Unusable(_))));
    }

    #[test]
    fn two_agents_do_not_share_it() {
        let root = tempfile::tempdir().unwrap();
        let directory = open(root.path()).unwrap();
        assert!(matches!(open(root.path()), Err(DirectoryError::InUse)));
        drop(directory);
        assert!(open(root.path()).is_ok());
    }

    #[test]
    fn a_planted_link_is_neither_followed_nor_written_to() {
        let root = tempfile::tempdir().unwrap();
        let directory = open(&root.path().join("directory")).unwrap();
        let secret = root.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        symlink(&secret, root.path().join("directory/link")).unwrap();
        assert!(directory.open_file("link").is_err());
        assert!(directory.create("link").is_err());
        assert_eq!(directory.file_bytes("link").unwrap(), None);
        fs::write(root.path().join("directory/file"), "whole").unwrap();
        directory.rename("file", "link").unwrap();
        assert_eq!(directory.file_bytes("link").unwrap(), Some(5));
        assert_eq!(fs::read(&secret).unwrap(), b"secret");
    }

    #[test]
    fn it_is_the_same_directory_whatever_its_path_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("directory");
        let directory = open(&path).unwrap();
        fs::rename(&path, root.path().join("moved")).unwrap();
        fs::create_dir(&path).unwrap();
        drop(directory.create("file").unwrap());
        assert!(root.path().join("moved/file").exists());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn the_disk_tells_how_much_is_free() {
        let root = tempfile::tempdir().unwrap();
        let space = open(root.path()).unwrap().space().unwrap();
        assert!(space.available <= space.total && space.total > 0, "{space:?}");
    }
}
