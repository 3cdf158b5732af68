//! The object for kernels with a ring buffer: loading it, and reading its rings.

use super::btf;
use super::object::{self, CounterMap, ObjectError, ObjectKind};
use super::record::{RawSample, decode_process_event};
use super::{Record, StartError};
use aya::maps::{MapData, RingBuf};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use parca_agent_common::limits::{SAMPLE_RING_BYTES_MAX, SAMPLE_RING_BYTES_MIN};
use parca_agent_common::settings::Settings;
use std::os::fd::{AsFd, BorrowedFd};

/// Programs on raw tracepoints, and where each belongs.
const TRACEPOINTS: [(&str, &str); 3] = [
    ("process_executed", "sched_process_exec"),
    ("process_exited", "sched_process_exit"),
    ("process_forked", "sched_process_fork"),
];

/// Bytes of an average sample: a header and 56 frames.
const AVERAGE_SAMPLE_BYTES: usize = 512;
/// For how long the sample ring must hold what all CPUs send while the agent does not read.
const RING_SECONDS: usize = 2;

/// The object, loaded.
pub(super) struct Modern {
    /// Holds the programs and their links; dropping it removes them from the kernel.
    bpf: Ebpf,
    samples: RingBuf<MapData>,
    events: RingBuf<MapData>,
}

impl Modern {
    /// Loads the object and attaches all but the timers.
    pub(super) fn load(cpus: usize, frequency: u32) -> Result<(Self, CounterMap), StartError> {
        let ring_bytes = ring_bytes(cpus, frequency);
        let kernel_types = std::fs::read(btf::KERNEL_BTF).map_err(StartError::NoKernelTypes)?;
        let settings = Settings { wakeup_bytes: ring_bytes / 4, ..btf::task_offsets(&kernel_types)? };
        drop(kernel_types);
        let words = settings.to_words();
        let mut bpf = EbpfLoader::new()
            .btf(None)
            .verifier_log_level(VerifierLogLevel::DISABLE)
            .override_global("SETTINGS", &words, true)
            .map_max_entries("SAMPLES", ring_bytes)
            .load(ObjectKind::Modern.bytes())
            .map_err(|source| ObjectError::Load { kind: ObjectKind::Modern, source })?;
        let samples = object::take_map(&mut bpf, "SAMPLES")?;
        let events = object::take_map(&mut bpf, "PROCESS_EVENTS")?;
        let counters = object::take_map(&mut bpf, "COUNTERS")?;
        object::load_sample_program(&mut bpf)?;
        for (program, tracepoint) in TRACEPOINTS {
            object::attach_raw_tracepoint(&mut bpf, program, tracepoint)?;
        }
        Ok((Self { bpf, samples, events }, counters))
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
        for _ in 0..budget {
            let Some(item) = self.samples.next() else { return true };
            receive(RawSample::decode(&item).map_or(Record::Undecodable, Record::Sample));
        }
        false
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
