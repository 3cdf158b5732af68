//! The agent's side: keeps one worker alive and feeds it one job at a time.
//!
//! A job that kills or hangs the worker ends as `KilledWorker`, and the next job gets a fresh worker. A job that
//! the worker had not taken when it died is not to blame, and is tried once more.

use super::closer::Closer;
use super::extraction::decode_extraction;
use super::metrics::{Restart, WorkerMetrics};
use super::pace::Pace;
use super::process::{Failure, WorkerProcess};
use super::protocol::{JobId, JobKind, ProtocolError, Request, decode_identified};
use super::queue::{Queue, Urgency};
use super::table::decode_table;
use crate::debuginfo::plan::{Extraction, NoExtraction};
use crate::metrics::Exposition;
use crate::object::{ObjectInfo, Unidentified};
use crate::unwind::{NoTable, Table};
use rustix::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Most jobs of each urgency that wait. Each holds one descriptor.
pub const MAX_QUEUED: usize = 1024;

/// Wall time of one identification, or of one plan of a debug file: both read headers, and little else.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Wall time of one unwind table. The largest files take a second or two on an idle machine.
pub const TABLE_DEADLINE: Duration = Duration::from_secs(20);

/// Jobs after which a worker is replaced, so that nothing piles up in it.
const JOBS_PER_WORKER: u32 = 4096;

/// Time in jobs after which a worker is replaced: no more than its CPU time, which is limited in sum.
const BUSY_PER_WORKER: Duration = Duration::from_secs(60);

/// Killed workers that may be left behind, held by the kernel, before no more are started.
const MAX_STUCK: usize = 8;

/// How often a job is given to a worker that dies before taking it.
const DELIVERIES: usize = 2;

/// How the worker is started and held to account.
#[derive(Clone, Debug)]
pub struct Options {
    /// The executable.
    pub program: PathBuf,
    /// Wall time of one identification, or of one plan of a debug file.
    pub deadline: Duration,
    /// Wall time of one unwind table.
    pub table_deadline: Duration,
    /// Most jobs of each urgency that wait.
    pub queue: usize,
    /// Jobs after which a worker is replaced.
    pub jobs_per_worker: u32,
}

impl Default for Options {
    /// The running program itself, also when its file has been replaced meanwhile.
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            deadline: DEADLINE,
            table_deadline: TABLE_DEADLINE,
            queue: MAX_QUEUED,
            jobs_per_worker: JOBS_PER_WORKER,
        }
    }
}

/// Whom to tell what became of a job.
type Done<T, E> = Box<dyn FnOnce(Result<T, E>) + Send>;

/// How much a job is wanted now.
type Weight = Box<dyn Fn() -> u64 + Send>;

/// One job that waits.
struct Job {
    file: OwnedFd,
    task: Task,
}

/// What to do with the file, and whom to tell.
enum Task {
    Identify(Done<ObjectInfo, Unidentified>),
    Unwind { done: Done<Table, NoTable>, weight: Weight },
    Extract(Done<Extraction, NoExtraction>),
}

/// What a worker answered, by the kind of job.
enum Answer {
    Identified(Result<ObjectInfo, Unidentified>),
    Table(Result<Table, NoTable>),
    Extraction(Result<Extraction, NoExtraction>),
}

/// Why a job of any kind has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unanswered {
    /// The worker died or hung on it, or answered nonsense.
    KilledWorker,
    /// There was no room, or the supervisor ended.
    QueueFull,
    /// No worker could be started.
    NoWorker,
}

impl From<Unanswered> for Unidentified {
    fn from(reason: Unanswered) -> Self {
        match reason {
            Unanswered::KilledWorker => Self::KilledWorker,
            Unanswered::QueueFull => Self::QueueFull,
            Unanswered::NoWorker => Self::NoWorker,
        }
    }
}

impl From<Unanswered> for NoTable {
    fn from(reason: Unanswered) -> Self {
        match reason {
            Unanswered::KilledWorker => Self::KilledWorker,
            Unanswered::QueueFull => Self::QueueFull,
            Unanswered::NoWorker => Self::NoWorker,
        }
    }
}

impl From<Unanswered> for NoExtraction {
    fn from(reason: Unanswered) -> Self {
        match reason {
            Unanswered::KilledWorker => Self::KilledWorker,
            Unanswered::QueueFull => Self::QueueFull,
            Unanswered::NoWorker => Self::NoWorker,
        }
    }
}

/// Owns the thread that owns the worker. Dropped, it ends both.
pub struct Supervisor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the callers and the thread share.
struct Shared {
    queue: Queue<Job>,
    metrics: WorkerMetrics,
    /// Process id of the worker, 0 when there is none.
    worker: AtomicU32,
}

impl Supervisor {
    /// Starts the thread. The worker itself is started by the first job.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Queue::new(options.queue),
            metrics: WorkerMetrics::default(),
            worker: AtomicU32::new(0),
        });
        let keeper = Keeper::new(options, Arc::clone(&shared));
        let thread =
            std::thread::Builder::new().name("worker-keeper".to_owned()).spawn(move || keeper.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Identifies a file. `done` is called once, on the supervisor's thread or, when the queue is full, at
    /// once on the caller's; it must not wait for anything. Of jobs still queued when the supervisor is
    /// dropped it is called with [`Unidentified::QueueFull`].
    pub fn identify(
        &self,
        file: OwnedFd,
        done: impl FnOnce(Result<ObjectInfo, Unidentified>) + Send + 'static,
    ) {
        self.submit(Job { file, task: Task::Identify(Box::new(done)) });
    }

    /// Makes the unwind table of a file, after all identifications that wait, and those tables whose `weight`
    /// is greater when it is this one's turn. `done` is called as for [`identify`](Self::identify).
    pub fn build_table(
        &self,
        file: OwnedFd,
        weight: impl Fn() -> u64 + Send + 'static,
        done: impl FnOnce(Result<Table, NoTable>) + Send + 'static,
    ) {
        self.submit(Job { file, task: Task::Unwind { done: Box::new(done), weight: Box::new(weight) } });
    }

    /// Plans the debug file of a file, after all identifications that wait and all tables that weigh anything. `done`
    /// is called as for [`identify`](Self::identify).
    pub fn extract(
        &self,
        file: OwnedFd,
        done: impl FnOnce(Result<Extraction, NoExtraction>) + Send + 'static,
    ) {
        self.submit(Job { file, task: Task::Extract(Box::new(done)) });
    }

    fn submit(&self, job: Job) {
        let urgency = job.task.kind().urgency();
        match self.shared.queue.push(job, urgency) {
            Ok(length) => self.shared.metrics.queued.set(length as u64),
            Err(job) => self.shared.end(job.task, Err(Unanswered::QueueFull)),
        }
    }

    /// Process id of the worker, if one runs.
    pub fn worker(&self) -> Option<u32> {
        Some(self.shared.worker.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// The counters.
    pub fn metrics(&self) -> &WorkerMetrics {
        &self.shared.metrics
    }

    /// Writes the counters.
    pub fn collect(&self, exposition: &mut Exposition) {
        self.shared.metrics.collect(exposition);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        for job in self.shared.queue.close() {
            self.shared.end(job.task, Err(Unanswered::QueueFull));
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Counts a job's end and tells its owner.
    fn end(&self, task: Task, result: Result<Answer, Unanswered>) {
        match task {
            Task::Identify(done) => {
                let result = result.map_err(Unidentified::from).and_then(|answer| match answer {
                    Answer::Identified(result) => result,
                    Answer::Table(_) | Answer::Extraction(_) => Err(Unidentified::KilledWorker),
                });
                self.metrics.identified(&result);
                done(result);
            }
            Task::Unwind { done, .. } => {
                let result = result.map_err(NoTable::from).and_then(|answer| match answer {
                    Answer::Table(result) => result,
                    Answer::Identified(_) | Answer::Extraction(_) => Err(NoTable::KilledWorker),
                });
                self.metrics.unwound(&result);
                done(result);
            }
            Task::Extract(done) => {
                let result = result.map_err(NoExtraction::from).and_then(|answer| match answer {
                    Answer::Extraction(result) => result,
                    Answer::Identified(_) | Answer::Table(_) => Err(NoExtraction::KilledWorker),
                });
                self.metrics.extracted(&result);
                done(result);
            }
        }
    }
}

impl Task {
    fn weight(&self) -> u64 {
        match self {
            Self::Identify(_) | Self::Extract(_) => 0,
            Self::Unwind { weight, .. } => weight(),
        }
    }

    fn kind(&self) -> JobKind {
        match self {
            Self::Identify(_) => JobKind::Identify,
            Self::Unwind { .. } => JobKind::Unwind,
            Self::Extract(_) => JobKind::Extract,
        }
    }
}

impl JobKind {
    /// Without its identification a file has no name; without its table, stacks are followed by guess; a debug file
    /// can wait.
    fn urgency(self) -> Urgency {
        match self {
            Self::Identify => Urgency::High,
            Self::Unwind | Self::Extract => Urgency::Low,
        }
    }

    fn deadline(self, options: &Options) -> Duration {
        match self {
            Self::Identify | Self::Extract => options.deadline,
            Self::Unwind => options.table_deadline,
        }
    }

    /// What a reply to this kind of job says.
    fn decode(self, reply: &[u8]) -> Result<Answer, ProtocolError> {
        match self {
            Self::Identify => decode_identified(reply).map(Answer::Identified),
            Self::Unwind => decode_table(reply).map(Answer::Table),
            Self::Extract => decode_extraction(reply).map(Answer::Extraction),
        }
    }
}

/// The thread's own state.
struct Keeper {
    options: Options,
    shared: Arc<Shared>,
    current: Option<Current>,
    pace: Pace,
    stuck: Vec<Child>,
    closer: Closer,
    next_id: u64,
}

/// The worker that runs, and what it has done.
struct Current {
    process: WorkerProcess,
    jobs: u32,
    busy: Duration,
}

impl Keeper {
    fn new(options: Options, shared: Arc<Shared>) -> Self {
        Self {
            options,
            shared,
            current: None,
            pace: Pace::new(Instant::now()),
            stuck: Vec::new(),
            closer: Closer::new(),
            next_id: 0,
        }
    }

    fn run(mut self) {
        while let Some((job, left)) = self.shared.queue.pop_heaviest(|job| job.task.weight()) {
            self.shared.metrics.queued.set(left as u64);
            let result = self.work(&job);
            if !self.closer.close(job.file) {
                self.shared.metrics.left_open.increment();
            }
            self.shared.end(job.task, result);
        }
        if let Some(current) = self.current.take() {
            self.bury(current);
        }
    }

    /// One job, from the first delivery to its end.
    fn work(&mut self, job: &Job) -> Result<Answer, Unanswered> {
        for _ in 0..DELIVERIES {
            let current = self.living()?;
            match self.call(current, job) {
                Ok(answer) => return Ok(answer),
                Err(Failure::Stopped) => return Err(Unanswered::QueueFull),
                Err(failure) if failure.is_of_job() => return Err(Unanswered::KilledWorker),
                Err(_) => {}
            }
        }
        Err(Unanswered::NoWorker)
    }

    /// The worker that runs, or a fresh one in its place.
    fn living(&mut self) -> Result<Current, Unanswered> {
        if let Some(current) = self.current.take() {
            return Ok(current);
        }
        while let Err(wait) = self.pace.take(Instant::now()) {
            if self.shared.queue.wait_closed(wait) {
                return Err(Unanswered::QueueFull);
            }
        }
        self.reap();
        if self.stuck.len() >= MAX_STUCK {
            return Err(Unanswered::NoWorker);
        }
        // Until it runs its program, a child has all of the agent's descriptors, and to close its own is the
        // same request to a file system that may not answer.
        self.closer.settle();
        let process = WorkerProcess::spawn(&self.options.program).map_err(|error| {
            log::warn!("cannot start the worker program={:?} error={error:?}", self.options.program);
            Unanswered::NoWorker
        })?;
        self.shared.worker.store(process.id(), Ordering::Relaxed);
        Ok(Current { process, jobs: 0, busy: Duration::ZERO })
    }

    /// Gives the job to the worker, and keeps the worker if it is fit for another.
    fn call(&mut self, mut current: Current, job: &Job) -> Result<Answer, Failure> {
        let kind = job.task.kind();
        self.next_id += 1;
        let request = Request { id: JobId(self.next_id), kind, limits: kind.limits() };
        let begun = Instant::now();
        let shared = Arc::clone(&self.shared);
        let result = current
            .process
            .call(&request, job.file.as_fd(), begun + kind.deadline(&self.options), &|| {
                shared.queue.is_closed()
            })
            .and_then(|reply| kind.decode(reply.bytes()).map_err(|_| Failure::Died { started: true }));
        current.jobs += 1;
        current.busy += begun.elapsed();
        let ended = match result {
            Ok(_) if current.jobs >= self.options.jobs_per_worker || current.busy >= BUSY_PER_WORKER => {
                Some(Restart::Recycled)
            }
            Ok(_) => None,
            Err(Failure::Hung { .. }) => Some(Restart::Hung),
            Err(Failure::Died { .. }) => Some(Restart::Died),
            Err(Failure::Stopped) => {
                self.bury(current);
                return result;
            }
        };
        match ended {
            None => self.current = Some(current),
            Some(reason) => {
                self.shared.metrics.restarted(reason);
                self.bury(current);
            }
        }
        result
    }

    /// Kills a worker, and keeps count of it if it does not die.
    fn bury(&mut self, current: Current) {
        self.shared.worker.store(0, Ordering::Relaxed);
        self.stuck.extend(current.process.kill());
        self.reap();
    }

    fn reap(&mut self) {
        // An error means that there is no such child any more.
        self.stuck.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        self.shared.metrics.stuck.set(self.stuck.len() as u64);
    }
}
