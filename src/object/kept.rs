//! Files that were opened lately, to be looked at once more when they turn out to be sampled.
//!
//! By then the process may have ended and the file been deleted. A descriptor keeps both away, but it also keeps the
//! file system from being unmounted: so it is kept for a short time. It is open as a place only, which is closed
//! without a word to the file system.

use super::ObjectId;
use super::mapped::{MappedFile, MappedRange};
use super::open::read;
use crate::debuginfo::stamp::Stamp;
use crate::metrics::{Counter, Exposition};
use crate::process::id::ProcessId;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, getrlimit};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most files. The one that was kept first goes first.
pub const MAX_FILES: usize = 512;

/// What part of the descriptors that this process may have they may take.
const SHARE: u64 = 4;

/// How long a file is kept.
pub const AGE: Duration = Duration::from_secs(60);

/// Most files that wait to be closed. To close the last descriptor of a deleted file is to delete it, which takes long
/// for a large one.
const MAX_LEAVING: usize = 64;

/// Where a file was met last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The process that maps it.
    pub process: ProcessId,
    /// Where.
    pub range: MappedRange,
    /// By what name.
    pub mapped: MappedFile,
}

/// A file that was kept, open for reading.
#[derive(Clone, Debug)]
pub struct KeptFile {
    /// Its descriptor.
    pub file: Arc<OwnedFd>,
    /// What it was when it was opened first.
    pub stamp: Stamp,
    /// The process in which it was met last.
    pub process: ProcessId,
    /// Where it was mapped.
    pub range: MappedRange,
    /// By what name.
    pub mapped: MappedFile,
}

/// Why a file is not kept any more, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    /// It was kept for as long as files are.
    Old,
    /// To make room.
    Room,
    /// The same object was opened again.
    Replaced,
    /// It was not what it was when it was wanted.
    Changed,
    /// It could not be kept: no descriptor was to be had, or too many wait to be closed.
    Refused,
}

impl Dropped {
    const ALL: [Self; 5] = [Self::Old, Self::Room, Self::Replaced, Self::Changed, Self::Refused];

    fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Room => "room",
            Self::Replaced => "replaced",
            Self::Changed => "changed",
            Self::Refused => "refused",
        }
    }
}

/// The files that were opened lately. A thread closes them when they are old.
pub struct KeptFiles {
    shared: Arc<Shared>,
}

struct Shared {
    capacity: usize,
    age: Duration,
    state: Mutex<State>,
    changed: Condvar,
    dropped: [Counter; Dropped::ALL.len()],
}

#[derive(Default)]
struct State {
    entries: HashMap<ObjectId, Entry>,
    /// Every entry, by the moment it was kept.
    order: VecDeque<(Instant, ObjectId)>,
    leaving: Vec<OwnedFd>,
    closed: bool,
}

struct Entry {
    place: OwnedFd,
    stamp: Stamp,
    sighting: Sighting,
}

impl KeptFiles {
    /// None yet, and never more than [`MAX_FILES`] or a quarter of the descriptors that this process may have.
    pub fn start() -> std::io::Result<Self> {
        let share = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |limit| limit / SHARE);
        Self::with(usize::try_from(share).unwrap_or(usize::MAX).min(MAX_FILES), AGE)
    }

    /// The same with bounds of its own.
    pub fn with(capacity: usize, age: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            capacity,
            age,
            state: Mutex::default(),
            changed: Condvar::new(),
            dropped: Default::default(),
        });
        let closing = Arc::clone(&shared);
        std::thread::Builder::new().name("kept-files".to_owned()).spawn(move || closing.run())?;
        Ok(Self { shared })
    }

    /// Keeps a file that is open, from now on for as long as files are kept.
    pub fn keep(&self, object: ObjectId, file: BorrowedFd<'_>, sighting: Sighting) {
        if self.shared.capacity == 0 {
            return;
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let place = rustix::fs::open(format!("/proc/self/fd/{}", file.as_raw_fd()), flags, Mode::empty());
        let (Ok(place), Ok(stamp)) = (place, Stamp::of(file)) else {
            self.shared.count(Dropped::Refused);
            return;
        };
        let now = Instant::now();
        let mut state = self.shared.lock();
        if state.leaving.len() >= MAX_LEAVING {
            drop(state);
            self.shared.count(Dropped::Refused);
            return;
        }
        // The thread waits for the oldest, or for nothing if there is none.
        let mut wake = state.entries.is_empty();
        let entry = Entry { place, stamp, sighting };
        if let Some(old) = state.entries.insert(object, entry) {
            state.leaving.push(old.place);
            state.order.retain(|(_, each)| *each != object);
            self.shared.count(Dropped::Replaced);
            wake = true;
        } else if state.entries.len() > self.shared.capacity
            && let Some(oldest) = state.take_oldest()
        {
            state.leaving.push(oldest);
            self.shared.count(Dropped::Room);
            wake = true;
        }
        state.order.push_back((now, object));
        drop(state);
        if wake {
            self.shared.changed.notify_one();
        }
    }

    /// Tells that a file that may be kept was met once more.
    pub fn met(&self, object: ObjectId, process: ProcessId, range: MappedRange) {
        if let Some(entry) = self.shared.lock().entries.get_mut(&object) {
            entry.sighting.process = process;
            entry.sighting.range = range;
        }
    }

    /// The file of an object, if it is kept, and is what it was by size and modification time. Whoever has it keeps it
    /// open.
    pub fn claim(&self, object: ObjectId) -> Option<KeptFile> {
        let (place, stamp, sighting) = {
            let state = self.shared.lock();
            let entry = state.entries.get(&object)?;
            (entry.place.try_clone().ok()?, entry.stamp, entry.sighting.clone())
        };
        // Not under the lock: it is the file system that opens.
        let file = read(place.as_fd()).ok()?.file;
        // To be deleted changes a file's `st_ctime`.
        if !Stamp::of(&file).ok()?.seems_same(&stamp) {
            self.shared.forget(object, stamp);
            return None;
        }
        let Sighting { process, range, mapped } = sighting;
        Some(KeptFile { file: Arc::new(file), stamp, process, range, mapped })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shared.lock().entries.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the counters.
    pub fn collect(&self, exposition: &mut Exposition) {
        let kept = [(&[][..], self.len() as f64)];
        exposition.gauge("kept_files", "Files held open in case they are sampled.", kept);
        let dropped = Dropped::ALL.map(|reason| ([("reason", reason.name())], self.shared.counted(reason)));
        exposition.counter(
            "kept_files_dropped",
            "Files that were not held open any more, or never, by reason.",
            dropped.iter().map(|(labels, value)| (&labels[..], *value)),
        );
    }
}

impl Drop for KeptFiles {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        // Not waited for: it may be closing a file of a disk that does not answer.
    }
}

impl Shared {
    /// Closes what is to be closed, when it is time.
    fn run(&self) {
        let mut state = self.lock();
        while !state.closed {
            let next = self.take_old(&mut state, Instant::now());
            let leaving = std::mem::take(&mut state.leaving);
            if !leaving.is_empty() {
                drop(state);
                drop(leaving);
                state = self.lock();
                continue;
            }
            state = match next {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes out what is old, and tells when the next will be.
    fn take_old(&self, state: &mut State, now: Instant) -> Option<Duration> {
        while let Some((kept, object)) = state.order.front().copied() {
            let age = now.saturating_duration_since(kept);
            if age < self.age {
                return Some(self.age - age);
            }
            state.order.pop_front();
            if let Some(entry) = state.entries.remove(&object) {
                state.leaving.push(entry.place);
                self.count(Dropped::Old);
            }
        }
        None
    }

    /// Drops a file that changed, unless another was kept meanwhile.
    fn forget(&self, object: ObjectId, stamp: Stamp) {
        let mut state = self.lock();
        if state.entries.get(&object).is_some_and(|entry| entry.stamp == stamp)
            && let Some(entry) = state.entries.remove(&object)
        {
            state.order.retain(|(_, each)| *each != object);
            state.leaving.push(entry.place);
            self.count(Dropped::Changed);
            drop(state);
            self.changed.notify_one();
        }
    }

    fn count(&self, reason: Dropped) {
        self.counter(reason).into_iter().for_each(Counter::increment);
    }

    fn counted(&self, reason: Dropped) -> u64 {
        self.counter(reason).map(Counter::get).unwrap_or_default()
    }

    fn counter(&self, reason: Dropped) -> Option<&Counter> {
        let position = Dropped::ALL.iter().position(|each| *each == reason)?;
        self.dropped.get(position)
    }

    /// No code panics while it holds the lock, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_oldest(&mut self) -> Option<OwnedFd> {
        let (_, oldest) = self.order.pop_front()?;
        self.entries.remove(&oldest).map(|entry| entry.place)
    }
}

#[cfg(test)]
mod tests {
    use super::{AGE, Dropped, KeptFiles, MAX_FILES, Sighting};
    use crate::metrics::{Format, Registry};
    use crate::object::ObjectId;
    use crate::object::mapped::{MappedFile, MappedRange};
    use crate::process::id::{BootTime, ProcessId, Tgid};
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// Longer than anything here takes on a loaded machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn process(tgid: u32) -> ProcessId {
        ProcessId { tgid: Tgid(tgid), start: BootTime { nanos: 1 } }
    }

    fn sighting(tgid: u32) -> Sighting {
        let mapped = MappedFile { device: (0, 1), inode: 1, path: b"/a".as_slice().into() };
        Sighting { process: process(tgid), range: MappedRange { start: 0, end: 4096 }, mapped }
    }

    /// Keeps a new file of a text.
    fn keep(files: &KeptFiles, object: u32, path: &Path) {
        fs::write(path, path.as_os_str().as_encoded_bytes()).unwrap();
        files.keep(ObjectId(object), File::open(path).unwrap().as_fd(), sighting(object));
    }

    fn text(files: &KeptFiles, object: u32) -> Option<String> {
        let claimed = files.claim(ObjectId(object))?;
        let mut text = String::new();
        File::from(claimed.file.try_clone().unwrap()).read_to_string(&mut text).unwrap();
        Some(text)
    }

    fn wait_until(is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
    }

    /// Descriptors of this process that lead below a folder.
    fn open_below(folder: &Path) -> usize {
        let entries = fs::read_dir("/proc/self/fd").unwrap();
        let targets = entries.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        targets.filter(|target| target.starts_with(folder)).count()
    }

    #[test]
    fn a_deleted_file_is_kept_with_where_it_was_met_last() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeptFiles::with(10, AGE).unwrap();
        let path = folder.path().join("deleted");
        keep(&files, 1, &path);
        fs::remove_file(&path).unwrap();
        let range = MappedRange { start: 4096, end: 8192 };
        files.met(ObjectId(1), process(7), range);
        files.met(ObjectId(2), process(7), range);
        let claimed = files.claim(ObjectId(1)).unwrap();
        assert_eq!((claimed.process, claimed.range, claimed.mapped), (process(7), range, sighting(1).mapped));
        assert_eq!(text(&files, 1).as_deref(), path.to_str());
        assert!(files.claim(ObjectId(2)).is_none());
    }

    #[test]
    fn the_first_go_first_and_no_more_than_the_bound_are_open() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeptFiles::with(500, AGE).unwrap();
        for object in 0..600 {
            // Whatever waits to be closed is closed soon; too much of it at once is not waited for but not kept.
            wait_until(|| files.shared.lock().leaving.is_empty());
            keep(&files, object, &folder.path().join(object.to_string()));
        }
        assert_eq!(files.len(), 500);
        wait_until(|| open_below(folder.path()) == 500);
        assert!(files.claim(ObjectId(99)).is_none() && files.claim(ObjectId(100)).is_some());
        // Kept again, it is the last to go.
        keep(&files, 100, &folder.path().join("again"));
        keep(&files, 600, &folder.path().join("600"));
        assert!(files.claim(ObjectId(101)).is_none());
        assert!(text(&files, 100).unwrap().ends_with("again"));
        let counts = Dropped::ALL.map(|reason| files.shared.counted(reason));
        assert_eq!(counts, [0, 101, 1, 0, 0]);
        drop(files);
        wait_until(|| open_below(folder.path()) == 0);
    }

    #[test]
    fn old_files_are_closed_though_nobody_asks() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeptFiles::with(10, Duration::from_millis(20)).unwrap();
        for object in 0..10 {
            keep(&files, object, &folder.path().join(object.to_string()));
        }
        wait_until(|| open_below(folder.path()) == 0);
        assert!(files.is_empty() && files.claim(ObjectId(1)).is_none());
        assert_eq!(files.shared.counted(Dropped::Old), 10);
    }

    #[test]
    fn whoever_has_claimed_a_file_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeptFiles::with(1, AGE).unwrap();
        keep(&files, 1, &folder.path().join("1"));
        let claimed = files.claim(ObjectId(1)).unwrap();
        keep(&files, 2, &folder.path().join("2"));
        drop(files);
        wait_until(|| open_below(folder.path()) == 1);
        drop(claimed);
        assert_eq!(open_below(folder.path()), 0);
    }

    #[test]
    fn a_file_that_changed_is_not_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeptFiles::with(10, AGE).unwrap();
        let path = folder.path().join("changed");
        keep(&files, 1, &path);
        File::options().write(true).open(&path).unwrap().set_len(1).unwrap();
        assert!(files.claim(ObjectId(1)).is_none());
        assert_eq!((files.len(), files.shared.counted(Dropped::Changed)), (0, 1));
    }

    #[test]
    fn the_bound_is_a_part_of_the_descriptors_there_are() {
        let files = KeptFiles::start().unwrap();
        assert!((1..=MAX_FILES).contains(&files.shared.capacity));
        let none = KeptFiles::with(0, AGE).unwrap();
        keep(&none, 1, &tempfile::tempdir().unwrap().path().join("1"));
        assert!(none.is_empty());
    }

    #[test]
    fn what_is_kept_and_what_was_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let files = Arc::new(KeptFiles::with(1, AGE).unwrap());
        keep(&files, 1, &folder.path().join("1"));
        keep(&files, 2, &folder.path().join("2"));
        let registry = Registry::default();
        registry.register(move |exposition| files.collect(exposition));
        let text = registry.scrape(Format::Prometheus);
        for line in [
            "parca_agent_kept_files 1",
            "parca_agent_kept_files_dropped_total{reason=\"room\"} 1",
            "parca_agent_kept_files_dropped_total{reason=\"old\"} 0",
        ] {
            assert!(text.lines().any(|each| each == line), "{line}: {text}");
        }
    }
}
