//! The directory of profiles, with bounds on the age and the bytes of what is in it.

use super::name;
use crate::disk::private_directory::{DirectoryError, PrivateDirectory};
use crate::label::LabelSet;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What a file is called until it is whole. There is one at a time, and nobody else calls a file so.
const UNFINISHED: &str = ".parca-agent.unfinished";

/// A profile that began later than this from now is from before the clock was set back. It would never get old.
const MAX_AHEAD: Duration = Duration::from_hours(24);

/// Files that do not go, after which one turn leaves it at that: a disk may have become read-only.
const MAX_FAILURES: usize = 64;

/// What may be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of all files.
    pub(super) bytes: u64,
    /// How old a file may become.
    pub(super) age: Duration,
}

/// Files of profiles. Those of an earlier agent count.
#[derive(Debug)]
pub(super) struct Folder {
    directory: PrivateDirectory,
    bounds: Bounds,
    /// Bytes of each, by when it began and its name: oldest first.
    files: BTreeMap<(SystemTime, String), u64>,
    bytes: u64,
}

/// What one turn of tidying did.
#[derive(Debug, Default)]
pub(super) struct Tidied {
    /// Files that are gone.
    pub(super) removed: u64,
    /// Files that should be and are not. They count as before, and are tried again next time.
    pub(super) stayed: u64,
    /// Why the last one of them stayed.
    pub(super) error: Option<io::Error>,
}

impl Folder {
    /// Makes the directory where there is none, and removes what an earlier agent left unfinished.
    pub(super) fn open(path: &Path, bounds: Bounds) -> Result<Self, DirectoryError> {
        let directory = PrivateDirectory::open(path, 0o750)?;
        let _ = directory.remove(UNFINISHED); // a file that stays is met again, and named, when one is written
        let mut folder = Self { directory, bounds, files: BTreeMap::new(), bytes: 0 };
        for name in folder.directory.names()? {
            let Ok(name) = name.into_string() else { continue };
            if let Some(start) = name::start(&name)
                && let Ok(Some(bytes)) = folder.directory.file_bytes(&name)
            {
                folder.add(start, name, bytes);
            }
        }
        Ok(folder)
    }

    /// Writes a profile, whole or not at all as far as the agent's own end goes. What a power failure may take is the
    /// last half minute: waiting for the disk each time would cost more than it is worth.
    pub(super) fn write(&mut self, labels: &LabelSet, start: SystemTime, profile: &[u8]) -> io::Result<()> {
        let name = name::of(labels, start);
        self.directory.check_space(profile.len() as u64)?;
        self.directory.remove(UNFINISHED)?;
        let mut file = self.directory.create(UNFINISHED)?;
        let written = file.write_all(profile).and_then(|()| self.directory.rename(UNFINISHED, &name));
        if let Err(error) = written {
            let _ = self.directory.remove(UNFINISHED); // what is wrong with the disk is known already
            return Err(error);
        }
        // By the name, as it is read back: it has whole milliseconds.
        let start = name::start(&name).unwrap_or(start);
        self.add(start, name, profile.len() as u64);
        Ok(())
    }

    /// Removes what is too old, and the oldest of what is too much.
    pub(super) fn tidy(&mut self, now: SystemTime) -> Tidied {
        let mut tidied = Tidied::default();
        let mut stayed = Vec::new();
        while stayed.len() < MAX_FAILURES
            && let Some(((start, name), bytes)) = self.pop(now)
        {
            match self.directory.remove(&name) {
                Ok(()) => {
                    self.bytes -= bytes;
                    tidied.removed += 1;
                }
                Err(error) => {
                    stayed.push(((start, name), bytes));
                    tidied.stayed += 1;
                    tidied.error = Some(error);
                }
            }
        }
        self.files.extend(stayed);
        tidied
    }

    /// Takes the file off the list that has to go next, if one has to.
    fn pop(&mut self, now: SystemTime) -> Option<((SystemTime, String), u64)> {
        let (oldest, latest) = (self.files.first_key_value()?.0.0, self.files.last_key_value()?.0.0);
        let ahead = latest.duration_since(now).unwrap_or_default();
        let is_too_much = self.bytes > self.bounds.bytes;
        if now.duration_since(oldest).is_ok_and(|age| age > self.bounds.age) {
            self.files.pop_first()
        } else if ahead > MAX_AHEAD || (is_too_much && ahead > Duration::ZERO) {
            // It stands behind what is written now, which would go in its place.
            self.files.pop_last()
        } else if is_too_much {
            self.files.pop_first()
        } else {
            None
        }
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn add(&mut self, start: SystemTime, name: String, bytes: u64) {
        self.bytes += bytes;
        self.bytes -= self.files.insert((start, name), bytes).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, DirectoryError, Folder, UNFINISHED};
    use crate::disk::space::{NoSpace, Space};
    use crate::label::LabelSet;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    const HOUR: Duration = Duration::from_secs(3600);

    fn open(path: &Path) -> Folder {
        Folder::open(path, Bounds { bytes: 300, age: HOUR }).unwrap()
    }

    fn labels(comm: &str) -> LabelSet {
        [("comm", comm)].into_iter().collect()
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What each file's name begins with.
    fn comms(path: &Path) -> Vec<String> {
        names(path).iter().map(|name| name.split('_').next().unwrap().to_owned()).collect()
    }

    fn tidy(folder: &mut Folder, now: SystemTime) -> (u64, u64) {
        let tidied = folder.tidy(now);
        (tidied.removed, tidied.stayed)
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much_also_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (path, now) = (directory.path().join("a/b"), SystemTime::now());
        let mut folder = open(&path);
        for age in [30, 20, 10] {
            folder.write(&labels("a"), now - Duration::from_secs(age), &[0; 100]).unwrap();
        }
        assert_eq!((tidy(&mut folder, now), folder.bytes(), names(&path).len()), ((0, 0), 300, 3));
        drop(folder);
        let mut folder = open(&path);
        assert_eq!(folder.bytes(), 300);
        folder.write(&labels("b"), now, &[0; 150]).unwrap();
        assert_eq!((tidy(&mut folder, now), folder.bytes()), ((2, 0), 250));
        assert_eq!(comms(&path), ["a", "b"]);
    }

    #[test]
    fn what_is_too_old_goes_and_the_same_file_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        let (path, now) = (directory.path(), SystemTime::now());
        let mut folder = open(path);
        folder.write(&labels("a"), now - 2 * HOUR, &[0; 10]).unwrap();
        folder.write(&labels("b"), now, &[0; 10]).unwrap();
        folder.write(&labels("b"), now, &[0; 30]).unwrap();
        assert_eq!((folder.bytes(), tidy(&mut folder, now), folder.bytes()), (40, (1, 0), 30));
        assert_eq!(comms(path), ["b"]);
    }

    #[test]
    fn what_was_written_before_the_clock_was_set_back_goes_before_what_is_new() {
        let directory = tempfile::tempdir().unwrap();
        let (path, now) = (directory.path(), SystemTime::now());
        let mut folder = open(path);
        folder.write(&labels("year"), now + 9000 * HOUR, &[0; 10]).unwrap();
        folder.write(&labels("day"), now + 25 * HOUR, &[0; 10]).unwrap();
        folder.write(&labels("hour"), now + HOUR, &[0; 200]).unwrap();
        folder.write(&labels("minute"), now + HOUR / 60, &[0; 80]).unwrap();
        assert_eq!(tidy(&mut folder, now), (2, 0), "what is more than a day ahead is too old");
        assert_eq!(comms(path), ["hour", "minute"]);
        folder.write(&labels("now"), now, &[0; 100]).unwrap();
        assert_eq!(tidy(&mut folder, now), (1, 0));
        assert_eq!((comms(path), folder.bytes()), (vec!["minute".to_owned(), "now".to_owned()], 180));
    }

    #[test]
    fn a_file_that_does_not_go_still_counts_and_the_others_go() {
        let directory = tempfile::tempdir().unwrap();
        let (path, now) = (directory.path(), SystemTime::now());
        let mut folder = open(path);
        for (comm, age) in [("a", 40), ("b", 30), ("c", 20)] {
            folder.write(&labels(comm), now - Duration::from_secs(age), &[0; 150]).unwrap();
        }
        // What has become a directory is not removed as a file.
        let oldest = path.join(&names(path)[0]);
        fs::remove_file(&oldest).unwrap();
        fs::create_dir(&oldest).unwrap();
        let tidied = folder.tidy(now);
        assert_eq!((tidied.removed, tidied.stayed, folder.bytes()), (1, 1, 300));
        assert!(tidied.error.is_some());
        assert_eq!(comms(path), ["a", "c"]);
        // Once it can go it does, and what somebody else removed is gone as well.
        fs::remove_dir(&oldest).unwrap();
        let later = now + 2 * HOUR;
        assert_eq!((tidy(&mut folder, later), folder.bytes()), ((2, 0), 0));
    }

    #[test]
    fn files_of_others_stay_whatever_they_are_called() {
        let directory = tempfile::tempdir().unwrap();
        let others = [".x.unfinished", "0123.unfinished", "notes", "old.pb.gz"];
        for name in others {
            fs::write(directory.path().join(name), [0; 1000]).unwrap();
        }
        fs::write(directory.path().join(UNFINISHED), [0; 1000]).unwrap();
        let mut folder = open(directory.path());
        assert_eq!((tidy(&mut folder, SystemTime::now() + 1000 * HOUR), folder.bytes()), ((0, 0), 0));
        assert_eq!(names(directory.path()), others);
    }

    #[test]
    fn a_directory_that_others_write_to_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let shared = root.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        let error = Folder::open(&shared, Bounds { bytes: 300, age: HOUR }).unwrap_err();
        assert!(matches!(error, DirectoryError::NotPrivate), "{error}");
    }

    #[test]
    fn a_link_that_stands_where_a_profile_is_written_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let secret = root.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        let path = root.path().join("profiles");
        let mut folder = open(&path);
        symlink(&secret, path.join(UNFINISHED)).unwrap();
        folder.write(&labels("a"), SystemTime::now(), &[0; 10]).unwrap();
        assert_eq!((fs::read(&secret).unwrap(), comms(&path)), (b"secret".to_vec(), vec!["a".to_owned()]));
    }

    #[test]
    fn a_disk_that_is_nearly_full_gets_no_files() {
        let directory = tempfile::tempdir().unwrap();
        let (path, now) = (directory.path(), SystemTime::now());
        let mut folder = open(path);
        folder.directory.space = Some(Space { total: 1000, available: 109 });
        let error = folder.write(&labels("a"), now, &[0; 10]).unwrap_err();
        assert!(NoSpace::is_in(&error), "{error}");
        assert_eq!((names(path).len(), folder.bytes()), (0, 0));
        folder.directory.space = Some(Space { total: 1000, available: 135 });
        folder.write(&labels("a"), now, &[0; 10]).unwrap();
        assert_eq!((comms(path), folder.bytes()), (vec!["a".to_owned()], 10));
    }
}
