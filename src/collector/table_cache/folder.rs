//! The directory of the cache: a private one, with a bound on what is in it.

use super::entry;
use super::key::Key;
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most bytes of all files; those of a full desktop's programs have 50 MiB. Above it, those that were read
/// longest ago go, down to seven eighths.
pub const MAX_BYTES: u64 = 128 << 20;

/// What the files of tables end with. What does not is left alone.
const SUFFIX: &str = ".rows";

/// What they end with until they are whole.
const UNFINISHED: &str = ".unfinished";

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made, or looked at.
    #[error(transparent)]
    Unusable(#[from] io::Error),
    /// Others than its owner, who has to be the agent's user, may write there.
    #[error("it is not a directory that only the agent's user can write to")]
    NotPrivate,
}

/// A private directory.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the directory where there is none, and removes what an earlier agent left unfinished.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let status = fs::symlink_metadata(path)?;
        let own = status.uid() == rustix::process::geteuid().as_raw();
        if !status.is_dir() || !own || status.mode() & 0o022 != 0 {
            return Err(FolderError::NotPrivate);
        }
        let folder = Self { path: path.to_owned() };
        for (path, ..) in folder.files(UNFINISHED)? {
            let _ = fs::remove_file(path); // one that stays is tried again next time
        }
        Ok(folder)
    }

    /// The bytes of a key's file; `None` where there is none.
    pub fn read(&self, key: Key) -> io::Result<Option<Vec<u8>>> {
        let opened = fs::OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(self.place(key));
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        (&mut file).take(entry::MAX_BYTES).read_to_end(&mut bytes)?;
        // The files read last stay longest. Where that cannot be noted, this one goes sooner.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(bytes))
    }

    /// Writes a key's file, whole or not at all.
    pub fn write(&self, key: Key, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().suffix(UNFINISHED).tempfile_in(&self.path)?;
        file.write_all(bytes)?;
        file.persist(self.place(key))?;
        Ok(())
    }

    /// Removes a key's file.
    pub fn remove(&self, key: Key) {
        let _ = fs::remove_file(self.place(key)); // one that stays is read in vain again
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> io::Result<u64> {
        Ok(self.files(SUFFIX)?.iter().map(|(_, bytes, _)| bytes).sum())
    }

    /// Removes the files that were read longest ago until the rest has at most so many bytes. Returns how many went,
    /// and the bytes of the rest.
    pub fn shrink(&self, most: u64) -> io::Result<(u64, u64)> {
        let mut files = self.files(SUFFIX)?;
        files.sort_unstable_by_key(|(_, _, read)| *read);
        let mut bytes = files.iter().map(|(_, bytes, _)| bytes).sum::<u64>();
        let mut removed = 0;
        for (path, size, _) in files {
            if bytes <= most {
                break;
            }
            fs::remove_file(path)?;
            bytes -= size;
            removed += 1;
        }
        Ok((removed, bytes))
    }

    fn place(&self, key: Key) -> PathBuf {
        self.path.join(format!("{key}{SUFFIX}"))
    }

    /// Files whose names end so: path, bytes, when it was last read.
    fn files(&self, suffix: &str) -> io::Result<Vec<(PathBuf, u64, SystemTime)>> {
        let mut files = Vec::new();
        for file in fs::read_dir(&self.path)? {
            let file = file?;
            let ends = |name: &OsStr| name.as_encoded_bytes().ends_with(suffix.as_bytes());
            if ends(&file.file_name())
                && let Ok(status) = file.metadata()
                && status.is_file()
            {
                files.push((file.path(), status.len(), status.modified()?));
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::{Folder, FolderError, Key, UNFINISHED};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    fn key(number: u8) -> Key {
        Key::from_bytes([number; 32])
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_others_cannot_read_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(folder.read(key(1)).unwrap(), None);
        folder.write(key(1), b"one").unwrap();
        folder.write(key(1), b"two").unwrap();
        assert_eq!(folder.read(key(1)).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(folder.bytes().unwrap(), 3);
        folder.remove(key(1));
        assert_eq!(folder.read(key(1)).unwrap(), None);
    }

    #[test]
    fn what_others_can_write_to_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let link = root.path().join("link");
        symlink(root.path(), &link).unwrap();
        for path in [open, link] {
            assert!(matches!(Folder::open(&path), Err(FolderError::NotPrivate)), "{}", path.display());
        }
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Folder::open(&file), Err(FolderError::Unusable(_))));
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(&root.path().join("cache")).unwrap();
        let secret = root.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        symlink(&secret, folder.place(key(1))).unwrap();
        assert!(folder.read(key(1)).is_err());
        folder.write(key(1), b"own").unwrap();
        assert_eq!(fs::read(&secret).unwrap(), b"secret");
        assert_eq!(folder.read(key(1)).unwrap().as_deref(), Some(&b"own"[..]));
    }

    #[test]
    fn what_was_read_longest_ago_goes_first() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for number in 0..4 {
            folder.write(key(number), &[0; 100]).unwrap();
            let age = Duration::from_secs(100 - u64::from(number));
            let file = fs::File::options().write(true).open(folder.place(key(number))).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        folder.read(key(0)).unwrap();
        assert_eq!(folder.shrink(250).unwrap(), (2, 200));
        let left = [0, 1, 2, 3].map(|number| folder.read(key(number)).unwrap().is_some());
        assert_eq!(left, [true, false, false, true]);
    }

    #[test]
    fn what_was_left_unfinished_goes_and_other_files_stay() {
        let root = tempfile::tempdir().unwrap();
        let (unfinished, other) = (root.path().join(format!("x{UNFINISHED}")), root.path().join("notes"));
        fs::write(&unfinished, "x").unwrap();
        fs::write(&other, "x").unwrap();
        let folder = Folder::open(root.path()).unwrap();
        assert!(!unfinished.exists());
        assert_eq!(folder.shrink(0).unwrap(), (0, 0));
        assert!(other.exists());
    }
}
