//! One program in two builds: what its stacks cost the agent without frame pointers, by what they cost the floor
//! with them.
//!
//! The floor follows frame pointers, so a program without any costs it next to nothing: it sees a frame or two. Only
//! where both walk the same stacks to their end does the one's cost say something about the other's.

use std::time::Duration;

use anyhow::Result;

use super::contender::{Contender, Tools};
use super::figure::{Figure, Figures};
use super::load::{self, LIFE};
use super::pair::{self, Costs};
use crate::workload::Builder;

/// The program with frame pointers and without; two of it keep two processors busy.
const BUILDS: [&str; 2] = ["deep", "deep-nofp"];

/// Its stacks have 5 to 60 frames.
const ARGUMENTS: &[&str] = &[LIFE, "5", "60"];

/// The agent's cost with frame pointers and without, relative to the floor's with them; both are attached in either
/// case.
pub(super) fn measure(tools: &Tools, workloads: &Builder, length: Duration) -> Result<Figures> {
    let [with, without] = BUILDS.map(|name| -> Result<Costs> {
        let _load = load::start_all(&[(name, ARGUMENTS), (name, ARGUMENTS)], workloads)?;
        pair::at_once(tools, Contender::Floor, length / 2)
    });
    let (with, without) = (with?, without?);
    let costs =
        [(Figure::TimesFloorOfSameStacks, with.ours), (Figure::TimesFloorOfFramePointers, without.ours)];
    let ratio = |(figure, ours): (Figure, Option<f64>)| Some((figure, ours? / with.floor?));
    Ok(costs.into_iter().filter_map(ratio).collect())
}
