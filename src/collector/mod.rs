//! The data lane: samples are read, belong to a process, gather in a window, and the window is closed.
//!
//! ```text
//! sampler -> process table -> raw window --(each profiling duration)--> closer -> published window
//!               |     ^                                                   |
//!               v     | answers                                           | answers
//!            inspector threads (/proc, object files) <--------------------+
//! ```

pub mod account;
mod attribute;
mod batch;
pub mod closer;
pub mod inspector;
pub mod library;
mod reread;
mod reselect;
pub mod stack_ends;
pub mod table_cache;
pub mod tabulator;
pub mod unwind_report;
mod vdso;

use crate::discovery::Discovery;
use crate::metrics::{Exposition, Gauge, Registry};
use crate::process::cgroup::CgroupResolver;
use crate::process::table::ProcessTable;
use crate::profile::collect::RawWindow;
use crate::profile::publish::Windows;
use crate::profile::resolve::Images;
use crate::sample::object::ObjectKind;
use crate::sample::tables::UnwindTables;
use crate::sample::{Sampler, SamplerOptions, boot_time};
use account::{Account, Received};
use async_io::{Async, Timer};
use attribute::Decision;
use batch::Batch;
use closer::{Closer, CloserMetrics, FullWindow, Notice};
use inspector::{Answer, Inspector};
use library::ObjectLibrary;
use smol::channel::{Receiver, Sender, TrySendError, bounded};
use smol::future::{self, FutureExt};
use stack_ends::StackEnds;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use unwind_report::UnwindReport;

/// Time between two looks at the rings while nothing new is met. The kernel wakes the collector for a ring
/// that fills sooner, and for a process that it has not met.
const QUIET_INTERVAL: Duration = Duration::from_secs(1);
/// The same while new processes are met, and where the kernel cannot wake the collector.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The same at the end of a window, which is closed when its last samples were read.
const CUT_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Samples read in one go, before anything else gets a turn.
const DRAIN_BUDGET: usize = 4096;
/// Time between two looks for CPUs that came or went.
const CPU_INTERVAL: Duration = Duration::from_secs(5);
/// Windows that may wait to be closed.
const CLOSING_QUEUE: usize = 2;
/// Mappings older than this are read again, when the kernel tells of execs, and when it does not.
const REFRESH_WITH_EVENTS: Duration = Duration::from_secs(60);
const REFRESH_WITHOUT_EVENTS: Duration = Duration::from_secs(5);

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct CollectorOptions {
    /// Length of a window.
    pub duration: Duration,
    /// How samples are taken.
    pub sampler: SamplerOptions,
}

/// Reads samples until it is told to stop.
pub struct Collector {
    options: CollectorOptions,
    sampler: Sampler,
    wakeups: Vec<Async<OwnedFd>>,
    /// The last look at the rings asked for a process to be read.
    met_process: bool,
    processes: ProcessTable,
    inspector: Inspector,
    tables: Option<Arc<UnwindTables>>,
    cgroups: Arc<CgroupResolver>,
    discovery: Arc<Discovery>,
    window: RawWindow,
    window_began: Instant,
    /// When the window ended, while some of its samples are still to be read.
    window_cut: Option<Instant>,
    full_windows: Sender<FullWindow>,
    closer: Option<thread::JoinHandle<()>>,
    notices: Receiver<Notice>,
    /// Everything was decided anew: who was not wanted has to be read.
    decided_anew: Arc<AtomicBool>,
    account: Arc<Account>,
    gauges: Arc<Gauges>,
    stack_ends: Arc<StackEnds>,
    closer_metrics: Arc<CloserMetrics>,
}

/// Sizes that change as the collector runs.
#[derive(Debug, Default)]
struct Gauges {
    processes: Gauge,
    processes_untracked: Gauge,
    cpus_online: Gauge,
    cpus_attached: Gauge,
}

impl Collector {
    /// Starts the threads around a running sampler.
    pub fn new(
        options: CollectorOptions,
        sampler: Sampler,
        objects: &Arc<ObjectLibrary>,
        discovery: &Arc<Discovery>,
        windows: Arc<Windows>,
    ) -> io::Result<Self> {
        let account = Arc::new(Account::new(sampler.counters()));
        let (full_windows, to_close) = bounded(CLOSING_QUEUE);
        let (to_collector, notices) = bounded(1024);
        let closer_metrics = Arc::new(CloserMetrics::new());
        let cgroups = Arc::new(CgroupResolver::new());
        let decided_anew = Arc::new(AtomicBool::new(false));
        let closer = Closer {
            discovery: discovery.clone(),
            selection: sampler.selection(),
            cgroups: cgroups.clone(),
            objects: objects.clone(),
            account: account.clone(),
            windows,
            metrics: closer_metrics.clone(),
            notices: to_collector,
            decided_anew: decided_anew.clone(),
        };
        let closer =
            thread::Builder::new().name("close-window".into()).spawn(move || closer.run(&to_close))?;
        let wakeups = sampler
            .wakeups()
            .into_iter()
            .map(|fd| fd.try_clone_to_owned().and_then(Async::new_nonblocking))
            .collect::<io::Result<_>>()?;
        let refresh = match sampler.object() {
            ObjectKind::Modern => REFRESH_WITH_EVENTS,
            ObjectKind::Baseline => REFRESH_WITHOUT_EVENTS,
        };
        let tables = sampler.tables();
        Ok(Self {
            options,
            sampler,
            wakeups,
            met_process: false,
            processes: ProcessTable::new(refresh),
            inspector: Inspector::start(objects, tables.clone(), discovery)?,
            tables,
            cgroups,
            discovery: discovery.clone(),
            window: RawWindow::default(),
            window_began: Instant::now(),
            window_cut: None,
            full_windows,
            closer: Some(closer),
            notices,
            decided_anew,
            account,
            gauges: Arc::default(),
            stack_ends: objects.stack_ends(),
            closer_metrics,
        })
    }

    /// Shows the numbers of this lane at each scrape.
    pub fn register(&self, registry: &Registry) {
        let (account, gauges) = (self.account.clone(), self.gauges.clone());
        let (inspector, closer) = (self.inspector.metrics(), self.closer_metrics.clone());
        let object = self.sampler.object().name();
        let (tables, stack_ends) = (self.tables.clone(), self.stack_ends.clone());
        let selection = self.sampler.selection();
        registry.register(move |exposition| {
            account.collect(exposition);
            inspector.collect(exposition);
            closer.collect(exposition);
            gauges.collect(exposition);
            stack_ends.collect(exposition);
            if let Some(tables) = &tables {
                tables.collect(exposition);
            }
            if let Some(selection) = &selection {
                selection.collect(exposition);
            }
            let labels = [("object", object)];
            exposition.gauge("bpf_object", "The BPF object in use.", [(&labels[..], 1.0)]);
        });
    }

    /// What there will be to say of how object files are unwound.
    pub fn unwind_report(&self, objects: &Arc<ObjectLibrary>) -> UnwindReport {
        UnwindReport::new(objects.clone(), self.stack_ends.clone(), self.tables.clone())
    }

    /// Collects until `shutdown` is done. Then sampling stops first, the last samples make a last, shorter
    /// window, and the sampler is gone from the kernel when this returns.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut cpus_checked: Option<Instant> = None;
        loop {
            if cpus_checked.is_none_or(|checked| checked.elapsed() >= CPU_INTERVAL) {
                self.follow_cpus();
                cpus_checked = Some(Instant::now());
            }
            let more = self.collect();
            self.end_window();
            let stop = async {
                shutdown.as_mut().await;
                true
            };
            let next = async {
                // A full budget means that there is more: give others a turn, and go on.
                if more {
                    future::yield_now().await;
                } else {
                    self.wait().await;
                }
                false
            };
            if stop.or(next).await {
                break;
            }
        }
        self.finish().await;
    }

    /// Waits until the rings should be read: after the poll interval, at the end of the window, or when
    /// the kernel says so.
    async fn wait(&self) {
        let left = self.options.duration.saturating_sub(self.window_began.elapsed());
        let poll = if self.met_process || self.wakeups.is_empty() { POLL_INTERVAL } else { QUIET_INTERVAL };
        let timer = async {
            Timer::after(if left.is_zero() { CUT_POLL_INTERVAL } else { poll.min(left) }).await;
        };
        let urgent = future::poll_fn(|context| {
            // Each ring has to be asked, for that is how it comes to wake this task.
            let ready =
                self.wakeups.iter().filter(|ring| matches!(ring.poll_readable(context), Poll::Ready(Ok(()))));
            if ready.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        timer.or(urgent).await;
    }

    /// Reads what the kernel sent. Returns whether there may be more.
    fn collect(&mut self) -> bool {
        self.take_answers();
        let (sampler, mut batch) = self.reading();
        let emptied = sampler.drain(DRAIN_BUDGET, |record| batch.take(record));
        self.met_process = batch.enter();
        self.gauges.processes.set(self.processes.len() as u64);
        self.gauges.processes_untracked.set(self.processes.untracked());
        !emptied
    }

    /// The sampler, and where its records go.
    fn reading(&mut self) -> (&mut Sampler, Batch<'_>) {
        let batch = Batch {
            selection: self.sampler.selection(),
            processes: &mut self.processes,
            inspector: &self.inspector,
            tables: self.tables.as_deref(),
            stack_ends: &self.stack_ends,
            cgroups: &self.cgroups,
            window: &mut self.window,
            account: &self.account,
            received: Received::default(),
            met_process: false,
        };
        (&mut self.sampler, batch)
    }

    fn take_answers(&mut self) {
        while let Some(answer) = self.inspector.answer() {
            self.take_answer(answer);
        }
        while let Ok(notice) = self.notices.try_recv() {
            match notice {
                Notice::Read(answer) => self.take_answer(*answer),
                Notice::Decided(decisions) => self.select(&decisions),
            }
        }
        if self.decided_anew.swap(false, Ordering::Acquire) {
            self.processes.forget_unwanted();
        }
    }

    fn take_answer(&mut self, answer: Answer) {
        let Answer { process, read_at, reading } = answer;
        let unwanted = reading.as_ref().and_then(|reading| reading.unwanted);
        self.processes.complete(process, read_at, reading.map(|reading| reading.inspected));
        // At once: until the end of the window there may be a thousand samples of it.
        if let (Some(unwanted), Some(selection)) = (unwanted, self.sampler.selection())
            && let Some(cgroup) = self.processes.still_in(process, read_at)
            && unwanted.revision == self.discovery.revision()
        {
            selection.decide_process(process, cgroup, 0, unwanted.holds);
        }
    }

    /// Tells the BPF programs what is not wanted of processes that are still what they were.
    fn select(&self, decisions: &[Decision]) {
        let Some(selection) = self.sampler.selection() else { return };
        for Decision { process, image, cgroup, kept, holds } in decisions.iter().copied() {
            if self.processes.still_runs(process, image) {
                selection.decide_process(process, cgroup, kept, holds);
            }
        }
    }

    fn follow_cpus(&mut self) {
        match self.sampler.follow_cpus() {
            Ok(attached) => {
                let before = (self.gauges.cpus_online.get(), self.gauges.cpus_attached.get());
                self.gauges.cpus_online.set(attached.online as u64);
                self.gauges.cpus_attached.set(attached.attached as u64);
                if before != (attached.online as u64, attached.attached as u64) {
                    log::info!(online = attached.online, attached = attached.attached; "sampling CPUs");
                }
            }
            Err(error) => log::warn!(error = error.to_string().as_str(); "failed to follow CPUs"),
        }
    }

    /// Ends the window when it is old enough, and closes it when all of its samples are here.
    fn end_window(&mut self) {
        let is_over = self.window_began.elapsed() >= self.options.duration;
        if self.window_cut.is_none() && is_over && self.sampler.cut() {
            self.window_cut = Some(Instant::now());
        }
        if let Some(end) = self.window_cut
            && self.sampler.is_whole()
        {
            self.close_window(end);
        }
    }

    /// Hands the window over, and begins the next one where it ended.
    fn close_window(&mut self, end: Instant) {
        let raw = std::mem::take(&mut self.window);
        let duration = end.duration_since(self.window_began);
        let start = SystemTime::now().checked_sub(self.window_began.elapsed());
        self.window_began = end;
        self.window_cut = None;
        let images = self.images_of(&raw);
        self.processes.purge(boot_time());
        if let Some(tables) = &self.tables {
            tables.retain(|process| self.processes.contains(process));
        }
        if let Some(selection) = self.sampler.selection() {
            selection.retain(|process| self.processes.contains(process));
        }
        let samples = raw.samples();
        let full = FullWindow {
            raw,
            images,
            start: start.unwrap_or(SystemTime::UNIX_EPOCH),
            duration,
            period: self.options.sampler.period(),
        };
        let mut received = self.account.received();
        received.in_window -= samples;
        match self.full_windows.try_send(full) {
            Ok(()) => received.closing += samples,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => received.closing_full += samples,
        }
    }

    /// What is known now of every process in a window.
    fn images_of(&self, raw: &RawWindow) -> Images {
        let mut images = HashMap::new();
        for (stack, _) in raw.iter() {
            if let Some(image) = stack.image
                && let Some(info) = self.processes.image(stack.process, image)
            {
                images.entry((stack.process, image)).or_insert(info);
            }
        }
        images
    }

    /// Stops the sampler and closes the last window. Closing may read processes, so it runs on its own
    /// thread, and is waited for.
    async fn finish(mut self) {
        self.take_answers();
        let (sampler, mut batch) = self.reading();
        sampler.stop(|record| batch.take(record));
        batch.enter();
        self.close_window(Instant::now());
        self.full_windows.close();
        if let Some(closer) = self.closer.take() {
            // A closer that panicked has nothing more to publish.
            let _ = smol::unblock(move || closer.join()).await;
        }
    }
}

impl Gauges {
    fn collect(&self, exposition: &mut Exposition) {
        let gauges = [
            ("processes_tracked", "Processes in the process table.", &self.processes),
            ("cpus_online", "CPUs that are online.", &self.cpus_online),
            ("cpus_attached", "CPUs that are being sampled.", &self.cpus_attached),
        ];
        for (name, help, gauge) in gauges {
            exposition.gauge(name, help, [(&[][..], gauge.get() as f64)]);
        }
        exposition.counter(
            "processes_untracked",
            "Processes that found the process table full.",
            [(&[][..], self.processes_untracked.get())],
        );
    }
}
