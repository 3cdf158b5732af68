//! What targets cost the agent: samples that nobody wants, crowds of containers, new ones, and pods that it knows of.
//!
//! | file | what it holds |
//! |---|---|
//! | `selection`, `crowd`, `arrival`, `pods` | what is measured |
//! | `plan` | who is in the crowd when |
//! | `cgroup`, `sweeper` | containers' cgroups, and their removal in any case |
//! | `member`, `placed` | a program that tells what it is, and whether the agent says the same |
//! | `windows` | all that the agent has seen |
//! | `api_server` | a server that has pods |
//!
//! Times are for comparison within one run; only right labels and lost samples are judged.

mod api_server;
mod arrival;
mod cgroup;
mod crowd;
mod member;
mod placed;
mod plan;
mod pods;
mod selection;
mod sweeper;
mod windows;

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::contender::Tools;
use super::verdict::Verdict;
use crate::workload::Builder;
use arrival::Arrival;
use crowd::Crowd;
use pods::Pods;
use selection::Selection;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Targets {
    selection: Selection,
    /// Nothing on a machine without cgroups of version 2, as is the next.
    crowd: Option<Crowd>,
    arrival: Option<Arrival>,
    pods: Pods,
}

impl Targets {
    /// Measures one after the other; selection and crowd for this time each.
    pub(super) fn measure(tools: &Tools, workloads: &Builder, length: Duration) -> Result<Self> {
        Ok(Self {
            selection: selection::measure(tools, workloads, length).context("cannot measure selection")?,
            crowd: crowd::measure(tools, workloads, length).context("cannot measure a crowd")?,
            arrival: arrival::measure(tools, workloads).context("cannot measure arrivals")?,
            pods: pods::measure(tools).context("cannot measure pods")?,
        })
    }

    /// What the agent promises of targets.
    pub(super) fn verdicts(&self) -> [Verdict; 2] {
        let crowd = self.crowd.as_ref();
        [
            Verdict::at_least(
                "right container after 1 s, % of samples",
                99.9,
                crowd.and_then(Crowd::right_percent),
            ),
            Verdict::at_most("samples lost in a crowd", 0.0, crowd.map(Crowd::samples_lost)),
        ]
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "targets")?;
        self.selection.fmt(formatter)?;
        self.crowd.iter().try_for_each(|crowd| crowd.fmt(formatter))?;
        self.arrival.iter().try_for_each(|arrival| arrival.fmt(formatter))?;
        self.pods.fmt(formatter)
    }
}
