//! The two BPF objects, embedded in the binary.

use aya::maps::{Map, MapData, ProgramArray};
use aya::programs::{PerfEvent, ProgramError, RawTracePoint};
use aya::{Ebpf, EbpfError};

/// Which BPF object is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// Needs a ring buffer (5.8) and the kernel's BTF: every sample leaves the kernel raw.
    Modern,
    /// Runs on 4.18: stacks and counts gather in maps.
    Baseline,
}

impl ObjectKind {
    /// Its name in flags, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Baseline => "baseline",
        }
    }

    /// Its bytes, an ELF file.
    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Modern => aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/modern")),
            Self::Baseline => aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline")),
        }
    }
}

/// Name of the program that takes a whole sample, in both objects.
pub(super) const SAMPLE_PROGRAM: &str = "take_sample";

/// Why an object does not run here.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The kernel refused the object or one of its maps.
    #[error("failed to load the {} object", .kind.name())]
    Load {
        /// Which.
        kind: ObjectKind,
        /// As the loader saw it.
        #[source]
        source: EbpfError,
    },
    /// The kernel's verifier or its permissions refused a program.
    #[error("failed to load or attach program {program}")]
    Program {
        /// Which.
        program: &'static str,
        /// As the loader saw it.
        #[source]
        source: ProgramError,
    },
    /// A map or program is not in the object: it and this code are not of one build.
    #[error("the object has no {0}")]
    Absent(&'static str),
}

/// Takes a map out of a loaded object, as the type the caller wants.
pub(super) fn take_map<M: TryFrom<Map>>(bpf: &mut Ebpf, name: &'static str) -> Result<M, ObjectError> {
    bpf.take_map(name).and_then(|map| M::try_from(map).ok()).ok_or(ObjectError::Absent(name))
}

/// Loads a sampling program into the kernel; a [`super::clock::SamplingClock`] runs it.
pub(super) fn load_sample_program(bpf: &mut Ebpf, name: &'static str) -> Result<(), ObjectError> {
    let failed = |source| ObjectError::Program { program: name, source };
    let program = bpf.program_mut(name).ok_or(ObjectError::Absent(name))?;
    let program: &mut PerfEvent = program.try_into().map_err(failed)?;
    program.load().map_err(failed)
}

/// Lets programs go on with a loaded program, the only one of the array.
pub(super) fn set_next_program(
    bpf: &Ebpf,
    name: &'static str,
    programs: &mut ProgramArray<MapData>,
) -> Result<(), ObjectError> {
    let failed = |source| ObjectError::Program { program: name, source };
    let program = bpf.program(name).ok_or(ObjectError::Absent(name))?.fd().map_err(failed)?;
    programs
        .set(0, program, 0)
        .map_err(|source| ObjectError::Load { kind: ObjectKind::Modern, source: source.into() })
}

/// Loads a program and attaches it to a raw tracepoint (4.17), until the object is dropped.
pub(super) fn attach_raw_tracepoint(
    bpf: &mut Ebpf,
    program: &'static str,
    tracepoint: &'static str,
) -> Result<(), ObjectError> {
    let failed = |source| ObjectError::Program { program, source };
    let loaded = bpf.program_mut(program).ok_or(ObjectError::Absent(program))?;
    let loaded: &mut RawTracePoint = loaded.try_into().map_err(failed)?;
    loaded.load().map_err(failed)?;
    loaded.attach(tracepoint).map(drop).map_err(failed)
}

/// The counters of both objects, summed over CPUs.
pub(super) type CounterMap = aya::maps::PerCpuArray<MapData, u64>;
