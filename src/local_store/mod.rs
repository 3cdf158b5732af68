//! Profiles as files, for whoever has no store, or wants both: one for each target and window.
//!
//! Writing waits for a disk, so it has a thread of its own, which is handed whole windows and never waited for.

mod folder;
mod name;

use crate::disk::health::Health;
use crate::disk::private_directory::DirectoryError;
use crate::disk::space::NoSpace;
use crate::metrics::{Counter, Exposition, Gauge};
use crate::pprof;
use crate::profile::Window;
use folder::{Bounds, Folder};
use smol::channel::{Receiver, Sender, bounded};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

/// Windows that may wait to be written.
const QUEUE: usize = 2;

/// What may be kept, and how it is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub directory: PathBuf,
    /// Bytes of all files.
    pub bytes: u64,
    /// How old a file may become.
    pub age: Duration,
    /// Whether samples carry `thread_id` and `thread_name`.
    pub thread_labels: Arc<AtomicBool>,
}

/// Why no profiles can be kept.
#[derive(Debug, thiserror::Error)]
pub enum LocalStoreError {
    /// Its directory.
    #[error("profiles cannot be kept in {}", directory.display())]
    Directory {
        /// Where.
        directory: PathBuf,
        /// Why.
        #[source]
        source: DirectoryError,
    },
    /// Its thread.
    #[error("failed to start a thread")]
    Thread(#[source] io::Error),
}

/// The thread that writes.
#[derive(Debug)]
pub struct LocalStore {
    windows: Sender<Arc<Window>>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    samples: Mutex<Samples>,
    files: Counter,
    removed: Counter,
    stayed: Counter,
    bytes: Gauge,
}

/// Samples of published windows by what became of them. All of it changes under one lock: a scrape sees each sample in
/// one place.
#[derive(Clone, Copy, Debug, Default)]
struct Samples {
    written: u64,
    queued: u64,
    busy: u64,
    failed: u64,
    no_space: u64,
}

impl LocalStore {
    /// Starts to keep profiles.
    pub fn start(options: Options) -> Result<Self, LocalStoreError> {
        let bounds = Bounds { bytes: options.bytes, age: options.age };
        let folder = Folder::open(&options.directory, bounds)
            .map_err(|source| LocalStoreError::Directory { directory: options.directory.clone(), source })?;
        let shared = Arc::new(Shared::default());
        let (sender, windows) = bounded(QUEUE);
        let writer = Writer {
            folder,
            thread_labels: options.thread_labels,
            shared: shared.clone(),
            writing: Health::new(
                "profiles cannot be written to files",
                "profiles are written to files again",
            ),
            removing: Health::new("old profiles cannot be removed", "old profiles are removed again"),
        };
        let run = move || writer.run(&windows);
        let thread = thread::Builder::new()
            .name("local-store".to_owned())
            .spawn(run)
            .map_err(LocalStoreError::Thread)?;
        Ok(Self { windows: sender, shared, thread: Mutex::new(Some(thread)) })
    }

    /// Has the profiles of a window written. One that finds no room, because the disk is slow, is lost and counted.
    pub fn take(&self, window: &Arc<Window>) {
        let samples = window.total().0;
        let mut account = self.shared.samples();
        match self.windows.try_send(window.clone()) {
            Ok(()) => account.queued += samples,
            Err(_) => account.busy += samples,
        }
    }

    /// Takes no more windows, and returns when those that it has are written.
    pub fn finish(&self) {
        self.windows.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Its panic, if any, was reported where it happened.
            let _ = thread.join();
        }
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        let Samples { written, queued, busy, failed, no_space } = *self.shared.samples();
        let none = &[][..];
        exposition.counter(
            "local_store_samples_written",
            "Samples of finished profiles that are in files.",
            [(none, written)],
        );
        exposition.gauge(
            "local_store_samples_queued",
            "Samples of finished profiles that wait to be written to files.",
            [(none, queued as f64)],
        );
        let dropped = [("busy", busy), ("failed", failed), ("no_space", no_space)];
        let labels = dropped.map(|(reason, _)| [("reason", reason)]);
        exposition.counter(
            "local_store_samples_dropped",
            "Samples of finished profiles that no file has, by reason.",
            labels.iter().zip(dropped).map(|(labels, (_, count))| (&labels[..], count)),
        );
        exposition.counter(
            "local_store_files",
            "Profiles written to files.",
            [(none, self.shared.files.get())],
        );
        exposition.counter(
            "local_store_files_removed",
            "Profiles removed because they were too old or too many.",
            [(none, self.shared.removed.get())],
        );
        exposition.counter(
            "local_store_remove_failures",
            "Times that a profile should have been removed and could not.",
            [(none, self.shared.stayed.get())],
        );
        exposition.gauge(
            "local_store_bytes",
            "Bytes of profiles in files.",
            [(none, self.shared.bytes.get() as f64)],
        );
    }
}

impl Shared {
    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    folder: Folder,
    thread_labels: Arc<AtomicBool>,
    shared: Arc<Shared>,
    writing: Health,
    removing: Health,
}

impl Writer {
    fn run(mut self, windows: &Receiver<Arc<Window>>) {
        self.tidy();
        while let Ok(window) = windows.recv_blocking() {
            match self.write(&window) {
                Ok(()) => self.writing.works(self.folder.path()),
                Err(error) => self.writing.fails(self.folder.path(), &error),
            };
            self.tidy();
        }
    }

    /// Writes all profiles of a window. One that cannot be written does not keep the others from it.
    fn write(&mut self, window: &Window) -> io::Result<()> {
        let options = pprof::Options { thread_labels: self.thread_labels.load(Ordering::Relaxed) };
        let mut result = Ok(());
        for profile in &window.profiles {
            let samples = profile.total().0;
            let bytes = pprof::encode(window, &[profile], options);
            let written = self.folder.write(&profile.target.labels, window.start, &bytes);
            let mut account = self.shared.samples();
            account.queued -= samples;
            match &written {
                Ok(()) => {
                    account.written += samples;
                    self.shared.files.increment();
                }
                Err(error) if NoSpace::is_in(error) => account.no_space += samples,
                Err(_) => account.failed += samples,
            }
            result = result.and(written);
        }
        result
    }

    fn tidy(&mut self) {
        let tidied = self.folder.tidy(SystemTime::now());
        self.shared.removed.add(tidied.removed);
        self.shared.stayed.add(tidied.stayed);
        self.shared.bytes.set(self.folder.bytes());
        match tidied.error {
            Some(error) => self.removing.fails(self.folder.path(), &error),
            None => self.removing.works(self.folder.path()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{LocalStore, LocalStoreError, Options};
    use crate::metrics::{Format, Registry};
    use crate::text::error_chain;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    fn start(directory: &Path) -> Result<LocalStore, LocalStoreError> {
        LocalStore::start(Options {
            directory: directory.to_owned(),
            bytes: 1000,
            age: Duration::from_secs(60),
            thread_labels: Arc::default(),
        })
    }

    #[test]
    fn what_only_grows_is_told_as_a_counter() {
        let root = tempfile::tempdir().unwrap();
        let store = Arc::new(start(&root.path().join("profiles")).unwrap());
        {
            let mut samples = store.shared.samples();
            (samples.written, samples.queued, samples.busy, samples.failed, samples.no_space) =
                (1, 2, 3, 4, 5);
        }
        let registry = Registry::default();
        let shown = store.clone();
        registry.register(move |exposition| shown.collect(exposition));
        let text = registry.scrape(Format::Prometheus);
        for line in [
            "# TYPE parca_agent_local_store_samples_written_total counter",
            "parca_agent_local_store_samples_written_total 1",
            "# TYPE parca_agent_local_store_samples_queued gauge",
            "parca_agent_local_store_samples_queued 2",
            "# TYPE parca_agent_local_store_samples_dropped_total counter",
            "parca_agent_local_store_samples_dropped_total{reason=\"busy\"} 3",
            "parca_agent_local_store_samples_dropped_total{reason=\"failed\"} 4",
            "parca_agent_local_store_samples_dropped_total{reason=\"no_space\"} 5",
            "parca_agent_local_store_remove_failures_total 0",
        ] {
            assert!(text.lines().any(|each| each == line), "{line}: {text}");
        }
        store.finish();
    }

    #[test]
    fn a_directory_that_is_not_used_is_named_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        let shared = root.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        let text = error_chain(&start(&shared).unwrap_err());
        assert!(
            text.contains("/shared: it is not a directory that only the agent's user can write to"),
            "{text}"
        );
    }
}
