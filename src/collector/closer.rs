//! Closes windows on a thread of its own: joins to raw samples all that is known of them, and publishes.

use super::account::Account;
use super::inspector::{Answer, read_process};
use super::library::ObjectLibrary;
use super::reread::Rereads;
use crate::address::KernelAddress;
use crate::discovery::host::HostTargets;
use crate::label::LabelSet;
use crate::metrics::{Counter, Exposition};
use crate::object::{Object, ObjectId};
use crate::process::cgroup::{CgroupResolver, Cgroups};
use crate::process::image::AddressSpace;
use crate::process::table::ImageInfo;
use crate::profile::Window;
use crate::profile::collect::{RawStack, RawWindow};
use crate::profile::frame::{Frame, Unresolved};
use crate::profile::publish::Windows;
use crate::profile::resolve::{Images, processes_to_reread, resolve};
use crate::profile::stack::StackTable;
use crate::sample::boot_time;
use crate::symbolize::kernel::KernelSymbolizer;
use smol::channel::{Receiver, Sender};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Labels that go on every target; they can change while the agent runs.
pub type BaseLabels = Arc<Mutex<LabelSet>>;

/// Everything that closing needs.
pub struct Closer {
    pub(super) node: String,
    pub(super) external_labels: BaseLabels,
    pub(super) objects: Arc<ObjectLibrary>,
    pub(super) account: Arc<Account>,
    pub(super) windows: Arc<Windows>,
    pub(super) metrics: Arc<CloserMetrics>,
    /// What was read of processes while closing, for the process table.
    pub(super) answers: Sender<Answer>,
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
        let mut cgroups = CgroupResolver::new();
        let mut rereads = Rereads::default();
        let mut targets: Option<(LabelSet, HostTargets)> = None;
        while let Ok(mut full) = windows.recv_blocking() {
            let labels = self.external_labels.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // The targets stay the same objects until the labels change.
            let (_, host) = match targets.take().filter(|(known, _)| *known == labels) {
                Some(unchanged) => targets.insert(unchanged),
                None => {
                    let host = HostTargets::new(&self.node, &labels);
                    targets.insert((labels, host))
                }
            };
            self.reread(&mut full, &mut rereads);
            self.close(&full, &mut kernel, &mut cgroups, host);
        }
    }

    fn close(
        &self,
        full: &FullWindow,
        kernel: &mut KernelSymbolizer,
        cgroups: &mut CgroupResolver,
        host: &mut HostTargets,
    ) {
        let resolved = resolve(&full.raw, &full.images, |raw, image, comm| {
            host.target(comm, cgroups_of(raw, image, cgroups))
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
        received.written += resolved.samples.0;
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
            let inspected = read_process(process, &self.objects);
            let known = match &info.address_space {
                AddressSpace::Known { mappings, .. } => Some(mappings.clone()),
                _ => None,
            };
            let found = inspected.as_ref().is_some_and(|new| Some(&new.mappings) != known.as_ref());
            rereads.record(process, now, found);
            let Some(inspected) = inspected else { continue };
            info.address_space = AddressSpace::Known { mappings: inspected.mappings.clone(), read_at };
            // The collector may be gone, at the end.
            let _ = self.answers.try_send(Answer { process, read_at, inspected: Some(inspected) });
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

/// The cgroups of a stack's process: by the id that the sample holds, and as `/proc` told.
fn cgroups_of(
    raw: &RawStack,
    image: Option<&ImageInfo>,
    cgroups: &mut CgroupResolver,
) -> Option<Arc<Cgroups>> {
    cgroups.of_sample(raw.cgroup, image.and_then(|image| image.cgroups.as_ref()))
}
