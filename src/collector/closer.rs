//! Closes windows on a thread of its own: joins to raw samples all that is known of them, and publishes.

use super::account::Account;
use super::attribute::{Attributor, Decision, Outcomes};
use super::inspector::{Answer, read_process};
use super::library::ObjectLibrary;
use super::reread::Rereads;
use super::reselect::Reselection;
use crate::address::KernelAddress;
use crate::discovery::Discovery;
use crate::discovery::policy::Outcome;
use crate::metrics::{Counter, Exposition};
use crate::object::{Object, ObjectId};
use crate::process::cgroup::CgroupResolver;
use crate::process::image::AddressSpace;
use crate::profile::Window;
use crate::profile::collect::RawWindow;
use crate::profile::frame::{Frame, Unresolved};
use crate::profile::publish::Windows;
use crate::profile::resolve::{Images, processes_to_reread, resolve};
use crate::profile::stack::StackTable;
use crate::sample::boot_time;
use crate::sample::selection::Selection;
use crate::symbolize::kernel::KernelSymbolizer;
use smol::channel::{Receiver, Sender};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Processes that are read again in one window because an address of theirs has no mapping.
const MAX_REREADS: usize = 64;

/// A window that is full.
#[derive(Debug)]
pub struct FullWindow {
    /// Its samples.
    pub raw: RawWindow,
    /// What is known of the processes in it.
    pub images: Images,
    /// When it began.
    pub start: SystemTime,
    /// How long it lasted.
    pub duration: Duration,
    /// Time between two samples of one CPU.
    pub period: Duration,
}

/// What closing found out of processes.
pub(super) enum Notice {
    /// Somebody was read again.
    Read(Box<Answer>),
    /// Somebody is not wanted whole.
    Decided(Vec<Decision>),
}

/// Everything that closing needs.
pub struct Closer {
    pub(super) discovery: Arc<Discovery>,
    pub(super) selection: Option<Arc<Selection>>,
    pub(super) cgroups: Arc<CgroupResolver>,
    pub(super) objects: Arc<ObjectLibrary>,
    pub(super) account: Arc<Account>,
    pub(super) windows: Arc<Windows>,
    pub(super) metrics: Arc<CloserMetrics>,
    /// For who follows processes.
    pub(super) notices: Sender<Notice>,
    /// Whether, since the process table looked, everything was decided anew.
    pub(super) decided_anew: Arc<AtomicBool>,
}

/// What could not be found.
#[derive(Debug)]
pub struct CloserMetrics {
    unresolved: [Counter; Unresolved::ALL.len()],
}

impl CloserMetrics {
    pub(super) fn new() -> Self {
        Self { unresolved: Default::default() }
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        let labels = Unresolved::ALL.map(|reason| [("reason", reason.name())]);
        exposition.counter(
            "stacks_truncated",
            "Samples whose user stack ends early because an address has no mapping, by reason.",
            labels.iter().zip(&self.unresolved).map(|(labels, count)| (&labels[..], count.get())),
        );
    }
}

impl Closer {
    /// Closes windows until no more can come.
    pub(super) fn run(self, windows: &Receiver<FullWindow>) {
        let mut kernel = KernelSymbolizer::new();
        let mut rereads = Rereads::default();
        let attributor = Attributor::new(
            self.discovery.clone(),
            self.objects.clone(),
            self.selection.clone(),
            self.cgroups.clone(),
        );
        let mut reselection = Reselection::new(self.discovery.clone(), self.selection.clone());
        while let Ok(mut full) = windows.recv_blocking() {
            self.windows.begin_closing();
            // Before this window is decided on, so that what is decided then holds.
            if reselection.end_window() {
                self.decided_anew.store(true, Ordering::Release);
            }
            let (outcomes, decisions) = attributor.attribute(&full.raw, &full.images, full.duration);
            // Without room it is decided again in the next window.
            let _ = self.notices.try_send(Notice::Decided(decisions));
            self.reread(&mut full, &mut rereads);
            self.close(&full, &mut kernel, &outcomes);
            self.discovery.end_window();
        }
    }

    fn close(&self, full: &FullWindow, kernel: &mut KernelSymbolizer, outcomes: &Outcomes) {
        let resolved = resolve(&full.raw, &full.images, |raw, image| match outcomes.of(raw, image)? {
            Outcome::Profiled { target, .. } => Some(target.clone()),
            Outcome::LeftOut { .. } => None,
        });
        for (reason, counter) in Unresolved::ALL.iter().zip(&self.metrics.unresolved) {
            counter.add(resolved.unresolved_stacks.get(reason).copied().unwrap_or_default());
        }
        let (addresses, objects) = self.named_by(&resolved.stacks);
        let window = Window {
            start: full.start,
            duration: full.duration,
            period: full.period,
            objects,
            kernel_symbols: kernel.symbolize(addresses.iter().copied()).into_iter().collect(),
            stacks: resolved.stacks,
            profiles: resolved.profiles,
        };
        let mut received = self.account.received();
        received.closing -= full.raw.samples();
        received.written += resolved.samples;
        received.unwanted += resolved.unwanted;
        self.windows.publish(Arc::new(window));
    }

    /// Reads again who may have mapped code after it was read last.
    fn reread(&self, full: &mut FullWindow, rereads: &mut Rereads) {
        let now = Instant::now();
        let mut stale = processes_to_reread(&full.raw, &full.images);
        stale.retain(|(process, _)| rereads.is_due(*process, now));
        for (process, image) in stale.into_iter().take(MAX_REREADS) {
            let Some(info) = full.images.get_mut(&(process, image)) else { continue };
            let read_at = boot_time();
            let reading = read_process(process, &self.objects, &self.discovery);
            let known = match &info.address_space {
                AddressSpace::Known { mappings, .. } => Some(mappings.clone()),
                _ => None,
            };
            let new = reading.as_ref().and_then(|new| new.inspected.mappings.clone());
            let found = new.is_some() && new != known;
            rereads.record(process, now, found);
            let Some(mappings) = new else { continue };
            info.address_space = AddressSpace::Known { mappings, read_at };
            // The collector may be gone, at the end.
            let answer = Answer { process, read_at, reading };
            let _ = self.notices.try_send(Notice::Read(Box::new(answer)));
        }
    }

    /// The kernel addresses and the object files that stacks name.
    fn named_by(&self, stacks: &StackTable) -> (BTreeSet<KernelAddress>, BTreeMap<ObjectId, Arc<Object>>) {
        let (mut addresses, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for frame in stacks.iter().flatten() {
            match frame {
                Frame::Kernel(address) => drop(addresses.insert(*address)),
                Frame::Object { object, .. } => drop(ids.insert(*object)),
                Frame::Anonymous { .. } | Frame::Unresolved(_) => {}
            }
        }
        let objects = ids.into_iter().filter_map(|id| Some((id, self.objects.get(id)?))).collect();
        (addresses, objects)
    }
}
