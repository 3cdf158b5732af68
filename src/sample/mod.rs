//! The sampler: BPF programs that a timer runs on every CPU, and what they send.
//!
//! [`Sampler::start`] probes what the kernel has, loads the better of two objects and starts the timers.
//! [`Sampler::drain`] then gives decoded records. Nothing is pinned: when the process ends, for whatever
//! reason, nothing stays in the kernel.

mod baseline;
pub mod btf;
mod clock;
mod cpus;
mod modern;
pub mod object;
mod pid_namespace;
mod privilege;
pub mod record;
pub mod selection;
pub mod tables;

use crate::process::event::ProcessEvent;
use crate::process::id::BootTime;
use crate::sys::time_namespace;
use crate::text::error_chain;
use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use baseline::Baseline;
use btf::BtfError;
use clock::{Attached, SamplingClock};
use modern::Modern;
use object::{CounterMap, ObjectError, ObjectKind, SAMPLE_PROGRAM};
use parca_agent_common::counter::Counter;
use pid_namespace::PidNamespace;
use privilege::Refusal;
use record::RawSample;
use rustix::time::{ClockId, clock_gettime};
use selection::Selection;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tables::{TablesError, UnwindTables};

/// Something that the kernel sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A sample.
    Sample(RawSample),
    /// A change in the life of a process.
    Process(ProcessEvent),
    /// Bytes that are neither.
    Undecodable,
}

/// What the operator chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplerOptions {
    /// Samples a second on each CPU.
    pub frequency: u32,
    /// The one object to use, instead of the best that loads.
    pub force: Option<ObjectKind>,
    /// Walk stacks in steps even where the kernel can loop, to test that.
    pub in_steps: bool,
    /// Most bytes of unwind rows in the kernel.
    pub table_bytes: usize,
}

impl SamplerOptions {
    /// Time between two samples of one CPU.
    pub fn period(&self) -> Duration {
        Duration::from_secs(1) / self.frequency.max(1)
    }
}

/// Why sampling did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The agent lacks a privilege, or the kernel forbids or lacks something.
    #[error("{0}")]
    Refused(Refusal),
    /// The kernel does not describe its structures.
    #[error(
        "failed to read the kernel's type information (CONFIG_DEBUG_INFO_BTF) at /sys/kernel/btf/vmlinux"
    )]
    NoKernelTypes(#[source] io::Error),
    /// It describes them in an unexpected way.
    #[error(transparent)]
    KernelTypes(#[from] BtfError),
    /// An object does not run here.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// `baseline` tells the ids of the host only.
    #[error(
        "the baseline BPF object knows processes by their ids on the host, which the /proc of this pid namespace does \
         not show; run parca-agent in the host's pid namespace (Kubernetes: hostPID: true, Docker: --pid=host)"
    )]
    OtherPidNamespace,
    /// The tables of the unwinder cannot be written.
    #[error(transparent)]
    Tables(#[from] TablesError),
    /// No CPU could be sampled.
    #[error("failed to sample any CPU")]
    Clock(#[source] io::Error),
}

enum Loaded {
    Modern(Box<Modern>),
    Baseline(Box<Baseline>),
}

/// A running sampler. Dropping it stops sampling and removes everything from the kernel.
pub struct Sampler {
    loaded: Loaded,
    program: OwnedFd,
    clock: SamplingClock,
    counters: Counters,
}

/// The counters of the BPF programs, to be read from any thread.
#[derive(Clone)]
pub struct Counters(Arc<CounterMap>);

impl Counters {
    /// The sum of one counter over all CPUs; `None` if the kernel does not give it.
    pub fn read(&self, counter: Counter) -> Option<u64> {
        self.0.get(&(counter as u32), 0).ok().map(|values| values.iter().sum())
    }
}

impl Sampler {
    /// Loads the best object that this kernel takes, and starts a timer on each CPU.
    pub fn start(options: SamplerOptions) -> Result<Self, StartError> {
        if let Some(refusal) = privilege::missing() {
            return Err(StartError::Refused(refusal));
        }
        let offset = time_namespace::offset_nanos();
        if offset != 0 {
            log::info!(offset_nanos = offset; "this time namespace has a boot clock of its own, it is allowed for");
        }
        let cpus = cpus::online().map_err(StartError::Clock)?.len();
        let (loaded, counters) = load(options, cpus).map_err(explain)?;
        let program = program_descriptor(&loaded)?;
        let mut clock = SamplingClock::new(options.period());
        clock.follow(program.as_fd()).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => StartError::Refused(privilege::explain_perf_refusal()),
            _ => StartError::Clock(error),
        })?;
        Ok(Self { loaded, program, clock, counters: Counters(Arc::new(counters)) })
    }

    /// Which object runs.
    pub fn object(&self) -> ObjectKind {
        match self.loaded {
            Loaded::Modern(_) => ObjectKind::Modern,
            Loaded::Baseline(_) => ObjectKind::Baseline,
        }
    }

    /// The tables of the unwinder, where the object has one.
    pub fn tables(&self) -> Option<Arc<UnwindTables>> {
        match &self.loaded {
            Loaded::Modern(modern) => Some(modern.tables().clone()),
            Loaded::Baseline(_) => None,
        }
    }

    /// What of all samples is wanted, where the object can be told.
    pub fn selection(&self) -> Option<Arc<Selection>> {
        match &self.loaded {
            Loaded::Modern(modern) => Some(modern.selection().clone()),
            Loaded::Baseline(_) => None,
        }
    }

    /// The counters of the BPF programs.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Descriptors that turn readable when records should be read at once, where the object has any.
    pub fn wakeups(&self) -> Vec<BorrowedFd<'_>> {
        match &self.loaded {
            Loaded::Modern(modern) => modern.wakeups().into(),
            Loaded::Baseline(_) => Vec::new(),
        }
    }

    /// Hands over what the kernel sent, at most about `budget` samples. Returns whether that was all.
    pub fn drain(&mut self, budget: usize, receive: impl FnMut(Record)) -> bool {
        self.read(budget, false, receive)
    }

    /// Separates the samples taken so far from those to come: drains give none of the latter until
    /// [`Self::is_whole`]. Returns false if it has to be tried again after the next drain. Of an object whose
    /// ring was just emptied nothing is left to wait for.
    pub fn cut(&mut self) -> bool {
        match &mut self.loaded {
            Loaded::Modern(_) => true,
            Loaded::Baseline(baseline) => baseline.cut(),
        }
    }

    /// Whether all samples before the last cut were handed over.
    pub fn is_whole(&self) -> bool {
        match &self.loaded {
            Loaded::Modern(_) => true,
            Loaded::Baseline(baseline) => baseline.is_whole(),
        }
    }

    /// Follows CPUs that came online or left.
    pub fn follow_cpus(&mut self) -> io::Result<Attached> {
        self.clock.follow(self.program.as_fd())
    }

    /// Stops sampling, and hands over all that is left. The programs stay loaded until the sampler is dropped.
    pub fn stop(&mut self, mut receive: impl FnMut(Record)) {
        self.clock.stop();
        while !self.read(usize::MAX, true, &mut receive) {}
    }

    fn read(&mut self, budget: usize, all: bool, receive: impl FnMut(Record)) -> bool {
        match &mut self.loaded {
            Loaded::Modern(modern) => modern.drain(budget, receive),
            Loaded::Baseline(baseline) => {
                baseline.drain(boot_time(), all, receive);
                true
            }
        }
    }
}

/// Now, on the clock that samples are stamped with.
pub fn boot_time() -> BootTime {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default();
    BootTime::from_shown(BootTime { nanos })
}

/// Tries the objects, best first. A kernel that refuses the first for want of a feature gets the second;
/// the reason is logged, for the second has fewer abilities.
fn load(options: SamplerOptions, cpus: usize) -> Result<(Loaded, CounterMap), StartError> {
    let pid_namespace = PidNamespace::of_proc();
    let baseline = || {
        if pid_namespace.is_some() {
            return Err(StartError::OtherPidNamespace);
        }
        let (baseline, counters) = Baseline::load(cpus, options.frequency)?;
        Ok((Loaded::Baseline(Box::new(baseline)), counters))
    };
    if options.force == Some(ObjectKind::Baseline) {
        return baseline();
    }
    match Modern::load(cpus, options, pid_namespace) {
        Ok((modern, counters)) => {
            if let Some(PidNamespace { inode }) = pid_namespace {
                log::warn!(
                    pid_namespace = inode,
                    remedy = "for the whole host, run parca-agent in its pid namespace (Kubernetes: hostPID: true, Docker: --pid=host)";
                    "profiling the processes of this pid namespace only"
                );
            }
            Ok((Loaded::Modern(Box::new(modern)), counters))
        }
        Err(error) if options.force == Some(ObjectKind::Modern) => Err(error),
        // The other object is of no use here, so this is what there is to say.
        Err(error) if pid_namespace.is_some() && is_refusal(&error) => Err(error),
        Err(error) => {
            log::warn!(reason = error_chain(&error).as_str(); "kernel lacks what the modern BPF object needs, trying baseline");
            baseline()
        }
    }
}

fn program_descriptor(loaded: &Loaded) -> Result<OwnedFd, StartError> {
    let (bpf, name) = match loaded {
        Loaded::Modern(modern) => (modern.bpf(), modern.program()),
        Loaded::Baseline(baseline) => (baseline.bpf(), SAMPLE_PROGRAM),
    };
    let program = bpf.program(name).ok_or(ObjectError::Absent(name))?;
    let failed = |source| ObjectError::Program { program: name, source };
    let descriptor = program.fd().map_err(failed)?;
    Ok(descriptor.as_fd().try_clone_to_owned().map_err(|error| failed(ProgramError::IOError(error)))?)
}

/// Turns "operation not permitted" somewhere below into what the operator can do about it.
fn explain(error: StartError) -> StartError {
    if is_refusal(&error) { StartError::Refused(privilege::explain_bpf_refusal()) } else { error }
}

/// Whether it is `EPERM` of `bpf(2)`.
fn is_refusal(error: &StartError) -> bool {
    match error {
        StartError::Object(ObjectError::Program {
            source: ProgramError::LoadError { io_error, .. }, ..
        }) => io_error.raw_os_error() == Some(libc::EPERM),
        StartError::Object(ObjectError::Load {
            source: EbpfError::MapError(MapError::CreateError { io_error, .. }),
            ..
        }) => io_error.raw_os_error() == Some(libc::EPERM),
        _ => false,
    }
}
