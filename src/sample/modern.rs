//! The object for kernels with a ring buffer: loading it, and reading its rings.
//!
//! Its sampling program exists twice: one loops over the frames of a stack (`bpf_loop`, 5.17), the other is
//! followed by further programs, each with some frames. The kernel's verifier says which runs here.

use super::btf;
use super::object::{self, CounterMap, ObjectError, ObjectKind, SAMPLE_PROGRAM};
use super::pid_namespace::PidNamespace;
use super::record::{RawSample, decode_process_event};
use super::selection::Selection;
use super::tables::UnwindTables;
use super::{Record, SamplerOptions, StartError};
use aya::maps::{MapData, ProgramArray, RingBuf};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use parca_agent_common::limits::{SAMPLE_RING_BYTES_MAX, SAMPLE_RING_BYTES_MIN};
use parca_agent_common::pid_namespace::PidNamespace as PidNamespaceOffsets;
use parca_agent_common::settings::Settings;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Programs on raw tracepoints, and where each belongs.
const TRACEPOINTS: [(&str, &str); 4] = [
    ("process_executed", "sched_process_exec"),
    ("process_exited", "sched_process_exit"),
    ("process_forked", "sched_process_fork"),
    ("mapping_placed", "vm_unmapped_area"),
];

/// Bytes of an average sample: a header and 56 frames.
const AVERAGE_SAMPLE_BYTES: usize = 512;
/// For how long the sample ring must hold what all CPUs send while the agent does not read.
const RING_SECONDS: usize = 2;

/// The sampling program that is followed by others, and the one that follows.
const STEPPING_PROGRAM: &str = "take_sample_in_steps";
const FOLLOWING_PROGRAM: &str = "take_frames";

/// Bits of an address above the 48 that user space has on every aarch64 kernel of ours: pointer
/// authentication writes there.
#[cfg(target_arch = "aarch64")]
const PAC_MASK: u64 = !0 << 48;
/// There is no pointer authentication.
#[cfg(target_arch = "x86_64")]
const PAC_MASK: u64 = 0;

/// How the object walks over the frames of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walk {
    /// In a loop (5.17).
    Loop,
    /// From program to program (5.10).
    Steps,
}

/// What the programs take for constants.
#[derive(Clone, Copy)]
struct Constants {
    settings: Settings,
    pid_namespace: PidNamespaceOffsets,
}

/// The object, loaded.
pub(super) struct Modern {
    /// Holds the programs and their links; dropping it removes them from the kernel.
    bpf: Ebpf,
    samples: RingBuf<MapData>,
    events: RingBuf<MapData>,
    tables: Arc<UnwindTables>,
    selection: Arc<Selection>,
    walk: Walk,
    /// Holds the program that follows.
    _next_program: Option<ProgramArray<MapData>>,
}

impl Modern {
    /// Loads the object and attaches all but the timers. It tells the ids of a pid namespace; those of the host
    /// where none is given.
    pub(super) fn load(
        cpus: usize,
        options: SamplerOptions,
        pid_namespace: Option<PidNamespace>,
    ) -> Result<(Self, CounterMap), StartError> {
        let (ring_bytes, table_bytes) = (ring_bytes(cpus, options.frequency), options.table_bytes);
        let kernel_types = std::fs::read(btf::KERNEL_BTF).map_err(StartError::NoKernelTypes)?;
        let (wakeup_bytes, pac_mask) = (ring_bytes / 4, PAC_MASK);
        let period_nanos = u32::try_from(options.period().as_nanos()).unwrap_or(u32::MAX);
        let pid_namespace = match pid_namespace {
            Some(PidNamespace { inode }) => btf::pid_namespace(&kernel_types, inode)?,
            None => PidNamespaceOffsets::default(),
        };
        let constants = |offsets| Constants {
            settings: Settings { wakeup_bytes, period_nanos, pac_mask, ..offsets },
            pid_namespace,
        };
        if !options.in_steps {
            let looping = constants(btf::task_offsets(&kernel_types)?);
            match Self::load_with(Walk::Loop, looping, ring_bytes, table_bytes) {
                Err(StartError::Object(ObjectError::Program { source, .. })) => {
                    log::info!(reason = source.to_string().as_str(); "the program that loops was refused (bpf_loop needs 5.17), stacks are walked in steps");
                }
                other => return other,
            }
        }
        let stepping = constants(btf::task_offsets_with_registers(&kernel_types)?);
        Self::load_with(Walk::Steps, stepping, ring_bytes, table_bytes)
    }

    fn load_with(
        walk: Walk,
        constants: Constants,
        ring_bytes: u32,
        table_bytes: usize,
    ) -> Result<(Self, CounterMap), StartError> {
        let (settings, pid_namespace) = (constants.settings.to_words(), constants.pid_namespace.to_words());
        let mut bpf = EbpfLoader::new()
            .btf(None)
            .verifier_log_level(VerifierLogLevel::DISABLE)
            .override_global("SETTINGS", &settings, true)
            .override_global("PID_NAMESPACE", &pid_namespace, true)
            .map_max_entries("SAMPLES", ring_bytes)
            .load(ObjectKind::Modern.bytes())
            .map_err(|source| ObjectError::Load { kind: ObjectKind::Modern, source })?;
        let samples = object::take_map(&mut bpf, "SAMPLES")?;
        let events = object::take_map(&mut bpf, "PROCESS_EVENTS")?;
        let counters = object::take_map(&mut bpf, "COUNTERS")?;
        let mut next_program: ProgramArray<MapData> = object::take_map(&mut bpf, "NEXT_PROGRAM")?;
        match walk {
            Walk::Loop => object::load_sample_program(&mut bpf, SAMPLE_PROGRAM)?,
            Walk::Steps => {
                object::load_sample_program(&mut bpf, STEPPING_PROGRAM)?;
                object::load_sample_program(&mut bpf, FOLLOWING_PROGRAM)?;
                object::set_next_program(&bpf, FOLLOWING_PROGRAM, &mut next_program)?;
            }
        }
        for (program, tracepoint) in TRACEPOINTS {
            object::attach_raw_tracepoint(&mut bpf, program, tracepoint)?;
        }
        let tables = Arc::new(UnwindTables::new(&mut bpf, table_bytes)?);
        let selection = Arc::new(Selection::take(&mut bpf)?);
        let _next_program = (walk == Walk::Steps).then_some(next_program);
        Ok((Self { bpf, samples, events, tables, selection, walk, _next_program }, counters))
    }

    /// Name of the program that the timers run.
    pub(super) fn program(&self) -> &'static str {
        match self.walk {
            Walk::Loop => SAMPLE_PROGRAM,
            Walk::Steps => STEPPING_PROGRAM,
        }
    }

    /// The tables of the unwinder.
    pub(super) fn tables(&self) -> &Arc<UnwindTables> {
        &self.tables
    }

    /// What of all samples is wanted.
    pub(super) fn selection(&self) -> &Arc<Selection> {
        &self.selection
    }

    pub(super) fn bpf(&self) -> &Ebpf {
        &self.bpf
    }

    /// Both rings. The kernel announces one that is a quarter full, and a process it has not met.
    pub(super) fn wakeups(&self) -> [BorrowedFd<'_>; 2] {
        [self.samples.as_fd(), self.events.as_fd()]
    }

    /// Reads process events, and then at most `budget` samples: a sample's process is known before it.
    /// Returns whether the ring was emptied.
    pub(super) fn drain(&mut self, budget: usize, mut receive: impl FnMut(Record)) -> bool {
        // The ring's size bounds how many events there can be, but for those that arrive meanwhile.
        for _ in 0..budget {
            let Some(item) = self.events.next() else { break };
            receive(decode_process_event(&item).map_or(Record::Undecodable, Record::Process));
        }
        self.tables.resolve(|object_of| {
            for _ in 0..budget {
                let Some(item) = self.samples.next() else { return true };
                receive(RawSample::decode(&item, object_of).map_or(Record::Undecodable, Record::Sample));
            }
            false
        })
    }
}

/// Bytes of the sample ring, a power of two.
fn ring_bytes(cpus: usize, frequency: u32) -> u32 {
    let wanted = AVERAGE_SAMPLE_BYTES * RING_SECONDS * cpus * frequency as usize;
    u32::try_from(wanted)
        .ok()
        .and_then(u32::checked_next_power_of_two)
        .unwrap_or(SAMPLE_RING_BYTES_MAX)
        .clamp(SAMPLE_RING_BYTES_MIN, SAMPLE_RING_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::ring_bytes;

    #[test]
    fn the_ring_grows_with_cpus_and_frequency_within_bounds() {
        for (cpus, frequency, bytes) in
            [(1, 1, 512 << 10), (16, 100, 2 << 20), (64, 100, 8 << 20), (8192, 10_000, 8 << 20)]
        {
            assert_eq!(ring_bytes(cpus, frequency), bytes, "{cpus} CPUs at {frequency} Hz");
        }
    }
}
