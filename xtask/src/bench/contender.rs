//! The profilers that are measured, and how a measurement drives one.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

use super::figure::Figures;
use super::{agent, bpftrace, floor, perf};
use crate::bpf::{self, Object};
use crate::toolchain::Machine;
use crate::{build, command, workspace};

/// A profiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Contender {
    /// The least that a profiler in BPF can do: `ebpf/src/floor.rs`.
    Floor,
    /// The agent.
    Ours,
    /// `perf record -g -F 99 -a`.
    Perf,
    /// A one-line program of bpftrace's.
    Bpftrace,
}

impl Contender {
    const ALL: [Self; 4] = [Self::Floor, Self::Ours, Self::Perf, Self::Bpftrace];

    /// All, every other time backwards: what drifts with time does not favour the first.
    pub(super) fn in_order(round: usize) -> Vec<Self> {
        let mut order = Self::ALL.to_vec();
        if round % 2 == 1 {
            order.reverse();
        }
        order
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "ours",
            Self::Perf => "perf",
            Self::Bpftrace => "bpftrace",
        }
    }

    /// Samples a second on a processor that is never idle.
    pub(super) fn frequency(self) -> u32 {
        match self {
            Self::Floor | Self::Ours => 100,
            Self::Perf | Self::Bpftrace => 99,
        }
    }

    pub(super) fn start(self, tools: &Tools) -> Result<Box<dyn Running>> {
        Ok(match self {
            Self::Floor => Box::new(floor::start(tools, self.frequency())?),
            Self::Ours => Box::new(agent::start(tools)?),
            Self::Perf => Box::new(perf::start(tools, self.frequency())?),
            Self::Bpftrace => Box::new(bpftrace::start(self.frequency())?),
        })
    }
}

/// A profiler at work.
pub(super) trait Running {
    /// The first of its processes.
    fn id(&self) -> u32;

    /// Waits until it samples; the figures are of that time.
    fn start_up(&mut self) -> Result<Figures>;

    /// The measurement begins.
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    /// The measurement ends. What it tells of itself is among the figures.
    fn end(&mut self) -> Result<Figures> {
        Ok(Figures::new())
    }

    /// Stops it, and gives the number of samples between beginning and end, by its own account, those of
    /// the idle task left out.
    fn stop(self: Box<Self>) -> Result<f64>;
}

/// What the profilers need that has to be built.
pub(super) struct Tools {
    pub(super) agent: PathBuf,
    pub(super) floor: PathBuf,
    pub(super) floor_object: PathBuf,
    /// For files that a profiler writes.
    pub(super) folder: PathBuf,
}

/// With the same instruction set as the agent's own object for newer kernels.
const FLOOR: Object = Object { name: "floor", cpu: "v3", btf: false };

impl Tools {
    /// Builds what is missing; `agent` is a binary to take instead of building one.
    pub(super) fn build(agent: Option<PathBuf>) -> Result<Self> {
        let agent = agent.map_or_else(build::release, Ok)?;
        command::run(workspace::cargo("build")?.args(["--release", "--package", "floor"]))?;
        let (workspace, target_dir) = (workspace::root()?, workspace::target_dir()?);
        let arch = std::env::consts::ARCH;
        let build = bpf::Build { workspace: &workspace, target_dir: &target_dir, arch, deny_warnings: false };
        let floor_object = build.run(&Machine::this(), &FLOOR)?.path;
        let folder = target_dir.join("bench");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { agent, floor: target_dir.join("release/floor"), floor_object, folder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_alternates() {
        use Contender::{Bpftrace, Floor, Ours, Perf};
        assert_eq!(Contender::in_order(0), [Floor, Ours, Perf, Bpftrace]);
        assert_eq!(Contender::in_order(1), [Bpftrace, Perf, Ours, Floor]);
        assert_eq!(Contender::in_order(2), Contender::in_order(0));
    }
}
