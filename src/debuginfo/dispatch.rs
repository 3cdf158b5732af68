//! The threads that see to the debug information of what was sampled, the most sampled file first.
//!
//! ```text
//! window -> Seen -> ask the store -> claim the file -> Finder -> Uploader -> the store
//!             ^                                                     |
//!             +------------- what became of it, and when to look again
//! ```
//! The store is asked first: nothing is read of a file that another host has sent already.

use super::find::{Finder, NotFound};
use super::seen::{Outcome, Seen, Wanted};
use super::selection::Selection;
use super::upload::answer::{Answer, IN_PROGRESS, Reason};
use super::upload::failure::{Failure, Remedy};
use super::upload::{DebugFile, Uploaded, Uploader};
use crate::backoff::{Backoff, random_fraction};
use crate::metrics::{Counter, Exposition};
use crate::object::ObjectId;
use crate::object::kept::KeptFile;
use crate::profile::Window;
use crate::text::{display, error_chain};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::{self, FutureExt};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Files that are seen to at a time.
const LANES: usize = 2;
/// Windows that may wait to be counted.
const WINDOWS: usize = 1;
/// How often it is looked whether a pause of something is over.
const TICK: Duration = Duration::from_secs(1);
/// Until the store is asked again about what it has, or has no use for: it may have deleted it.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Until a file is looked for again that could not be opened, if it is sampled again.
const GONE: Duration = Duration::from_secs(300);
/// Until a worker is asked again that had no time.
const BUSY: Duration = Duration::from_secs(30);
/// Until a file is tried again that did not get through.
const ONE_FILE: Duration = Duration::from_secs(60);
/// Pauses of everything, after failures that are not those of one file.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(120);
/// Pause after the store has said a second time that it does not know the agent.
const DENIED: Duration = Duration::from_secs(60);

/// The open file of an object that was sampled, if it can still be had. It may wait for a file system.
pub type Claim = dyn Fn(ObjectId) -> Option<KeptFile> + Send + Sync;

/// What is needed to send debug information.
pub struct Options {
    /// Which files may be sent.
    pub selection: Selection,
    /// Where files come from.
    pub claim: Box<Claim>,
    /// What is made of them.
    pub finder: Finder,
    /// Where they go.
    pub uploader: Uploader,
}

/// The threads. They end when this is [finished](Self::finish).
pub struct Dispatch {
    shared: Arc<Shared>,
    windows: Sender<Arc<Window>>,
    stop: Sender<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
    changed: Condvar,
    stopped: Receiver<()>,
    windows_skipped: Counter,
}

struct State {
    seen: Seen,
    /// Until then nothing is asked: the store is down, or does not know the agent.
    held_until: Option<Instant>,
    backoff: Backoff,
    is_denied: bool,
    is_failing: bool,
    results: BTreeMap<&'static str, u64>,
    uploaded_bytes: u64,
    file_bytes: u64,
}

/// What became of a file.
enum End {
    Uploaded {
        uploaded: Uploaded,
        file_bytes: u64,
    },
    NotAllowed,
    NotWanted(Reason),
    Later(Reason),
    /// The file cannot be opened any more.
    Gone,
    NotFound(NotFound),
    Failed(Failure),
    /// The agent ends.
    Stopped,
}

impl Dispatch {
    /// Starts the threads. The store need not be there.
    pub fn start(options: Options) -> io::Result<Self> {
        let (stop, stopped) = bounded::<()>(1);
        let (windows, to_count) = bounded(WINDOWS);
        let shared = Arc::new(Shared {
            options,
            state: Mutex::new(State::new()),
            changed: Condvar::new(),
            stopped,
            windows_skipped: Counter::default(),
        });
        let mut threads = Vec::new();
        let mut start = |name: String, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name).spawn(run).map(|thread| threads.push(thread))
        };
        let counting = shared.clone();
        start("debuginfo-seen".to_owned(), Box::new(move || counting.count(&to_count)))?;
        for lane in 0..LANES {
            let shared = shared.clone();
            start(format!("debuginfo-{lane}"), Box::new(move || shared.run()))?;
        }
        Ok(Self { shared, windows, stop, threads: Mutex::new(threads) })
    }

    /// Takes in which files a window has samples of. It does not wait: a window that finds no room is counted, and
    /// what is in it will be in another.
    pub fn take(&self, window: &Arc<Window>) {
        if self.windows.try_send(window.clone()).is_err() {
            self.shared.windows_skipped.increment();
        }
    }

    /// Ends what is underway. The store will find that an upload was not finished.
    pub fn finish(&self) {
        self.windows.close();
        self.stop.close();
        self.shared.options.finder.stop();
        self.shared.changed.notify_all();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join(); // a panic was reported where it happened
        }
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        self.shared.options.finder.collect(exposition);
        self.shared.lock().collect(exposition);
        exposition.counter(
            "debuginfo_windows_skipped",
            "Windows whose files were not counted, because the last one still was.",
            [(&[][..], self.shared.windows_skipped.get())],
        );
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.is_closed()
    }

    fn count(&self, windows: &Receiver<Arc<Window>>) {
        while let Ok(window) = windows.recv_blocking() {
            let samples = window.samples_by_object();
            let mut state = self.lock();
            for (id, samples) in samples {
                if let Some(object) = window.objects.get(&id)
                    && let Some(info) = object.identified()
                {
                    state.seen.count(&info.build_id, object, samples.0, Instant::now());
                }
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    fn run(&self) {
        while let Some(wanted) = self.next() {
            let end = self.see_to(&wanted);
            self.settle(&wanted, end);
        }
    }

    /// Waits for a file to see to. Nothing once it is to stop.
    fn next(&self) -> Option<Wanted> {
        let mut state = self.lock();
        loop {
            if self.is_stopped() {
                return None;
            }
            let now = Instant::now();
            if state.held_until.is_none_or(|until| until <= now)
                && let Some(wanted) = state.seen.next(now)
            {
                return Some(wanted);
            }
            let waited = self.changed.wait_timeout(state, TICK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn see_to(&self, wanted: &Wanted) -> End {
        let Options { selection, claim, finder, uploader } = &self.options;
        if !selection.allows(&wanted.object.path) {
            return End::NotAllowed;
        }
        match self.unless_stopped(uploader.ask(&wanted.build_id)) {
            Some(Ok(Answer::Wanted { .. })) => {}
            Some(Ok(Answer::NotWanted { reason })) => return End::NotWanted(reason),
            Some(Ok(Answer::Later { reason })) => return End::Later(reason),
            Some(Err(failure)) => return End::Failed(failure),
            None => return End::Stopped,
        }
        let Some(kept) = claim(wanted.object.id) else { return End::Gone };
        let found = finder.find(&super::find::Wanted {
            build_id: wanted.build_id.clone(),
            path: wanted.object.path.clone(),
            process: kept.process,
            file: kept.file,
            stamp: kept.stamp,
        });
        let found = match found {
            Ok(found) => found,
            Err(NotFound::Stopped) => return End::Stopped,
            Err(reason) => return End::NotFound(reason),
        };
        log::debug!(
            path:% = display(&wanted.object.path), build_id:% = wanted.build_id, origin = found.origin.name(),
            bytes = found.extraction.plan.size();
            "uploading debug information"
        );
        let file_bytes = found.stamp.size;
        let file = DebugFile {
            build_id: wanted.build_id.clone(),
            file: found.file,
            stamp: found.stamp,
            plan: found.extraction.plan,
        };
        match self.unless_stopped(uploader.upload(&file)) {
            Some(Ok(uploaded)) => End::Uploaded { uploaded, file_bytes },
            Some(Err(failure)) => End::Failed(failure),
            None => End::Stopped,
        }
    }

    fn settle(&self, wanted: &Wanted, end: End) {
        let now = Instant::now();
        let mut state = self.lock();
        *state.results.entry(end.name()).or_default() += 1;
        let outcome = match end {
            End::Uploaded { uploaded, file_bytes } => {
                state.uploaded_bytes += uploaded.size;
                state.file_bytes += file_bytes;
                state.succeed();
                Outcome::Settled(DAY)
            }
            End::NotWanted(_) => {
                state.succeed();
                Outcome::Settled(DAY)
            }
            End::Later(_) => {
                state.succeed();
                Outcome::Again(IN_PROGRESS)
            }
            // The same file may be mapped by another path.
            End::NotAllowed | End::Gone | End::NotFound(NotFound::Changed) => Outcome::Settled(GONE),
            End::NotFound(NotFound::Busy) | End::Stopped => Outcome::Again(BUSY),
            End::NotFound(NotFound::Nothing | NotFound::Stopped) => Outcome::Settled(DAY),
            End::Failed(failure) => state.fail(wanted, &failure, now),
        };
        state.seen.settle(&wanted.build_id, outcome, now);
    }

    /// What a future ends with; nothing if it is to stop before.
    fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let stopped = async {
            // Closed, or a message: both say stop.
            let _ = self.stopped.recv().await;
            None
        };
        future::block_on(async { Some(future.await) }.or(stopped))
    }
}

impl State {
    fn new() -> Self {
        let reasons = Reason::ALL.map(Reason::name);
        let not_found = NotFound::ALL.map(NotFound::name);
        let others = ["uploaded", "not_allowed", "gone", "stopped"];
        let names = others.into_iter().chain(reasons).chain(not_found).chain(Failure::REASONS);
        Self {
            seen: Seen::default(),
            held_until: None,
            backoff: Backoff::new(SHORTEST, LONGEST),
            is_denied: false,
            is_failing: false,
            results: names.map(|name| (name, 0)).collect(),
            uploaded_bytes: 0,
            file_bytes: 0,
        }
    }

    /// The store answered as it should.
    fn succeed(&mut self) {
        self.backoff.reset();
        self.held_until = None;
        self.is_denied = false;
        if std::mem::take(&mut self.is_failing) {
            log::info!("the store takes debug information");
        }
    }

    /// What is to become of a file that was not sent. Where it is not this file's fault, the others wait, too.
    fn fail(&mut self, wanted: &Wanted, failure: &Failure, now: Instant) -> Outcome {
        let error = error_chain(failure);
        let hold = match failure.remedy() {
            Remedy::Never => {
                let path = display(&wanted.object.path).to_string();
                log::warn!(path = path.as_str(), error = error.as_str(); "debug information was not sent");
                return Outcome::Settled(DAY);
            }
            Remedy::After(pause) => return Outcome::Again(pause),
            Remedy::LookAgain | Remedy::RetryFew => return Outcome::AgainFew(ONE_FILE),
            // Were it not this file alone, the next question would fail, too.
            Remedy::Retry | Remedy::Denied if failure.is_of_file() => return Outcome::AgainFew(ONE_FILE),
            Remedy::Retry => self.backoff.next(random_fraction()),
            // The first time it may be an old token.
            Remedy::Denied if !std::mem::replace(&mut self.is_denied, true) => SHORTEST,
            Remedy::Denied => DENIED,
        };
        self.held_until = Some(now + hold);
        if !std::mem::replace(&mut self.is_failing, true) {
            log::warn!(error = error.as_str(); "the store does not take debug information, it waits");
        }
        Outcome::Again(hold)
    }

    fn collect(&self, exposition: &mut Exposition) {
        let counts = self.seen.counts(Instant::now());
        let states = [("due", counts.due), ("underway", counts.underway), ("settled", counts.settled)];
        let labels = states.map(|(state, _)| [("state", state)]);
        exposition.gauge(
            "debuginfo_files",
            "Build ids of sampled files, by what is to be done about their debug information.",
            labels.iter().zip(states).map(|(labels, (_, count))| (&labels[..], count as f64)),
        );
        let labels: Vec<_> = self.results.keys().map(|result| [("result", *result)]).collect();
        exposition.counter(
            "debuginfo_results",
            "Times that the debug information of a file was seen to, by what came of it.",
            labels.iter().zip(self.results.values()).map(|(labels, count)| (&labels[..], *count)),
        );
        let none = &[][..];
        exposition.counter(
            "debuginfo_uploaded_bytes",
            "Bytes of debug files that the store took.",
            [(none, self.uploaded_bytes)],
        );
        exposition.counter(
            "debuginfo_uploaded_file_bytes",
            "Bytes of the files that these were made of.",
            [(none, self.file_bytes)],
        );
        exposition.counter(
            "debuginfo_forgotten",
            "Build ids that were given up for others, because too many were sampled.",
            [(none, self.seen.forgotten())],
        );
    }
}

impl End {
    /// In metrics.
    fn name(&self) -> &'static str {
        match self {
            Self::Uploaded { .. } => "uploaded",
            Self::NotAllowed => "not_allowed",
            Self::NotWanted(reason) | Self::Later(reason) => reason.name(),
            Self::Gone => "gone",
            Self::NotFound(reason) => reason.name(),
            Self::Failed(failure) => failure.reason(),
            Self::Stopped => "stopped",
        }
    }
}
