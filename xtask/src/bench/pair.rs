//! The agent and the floor attached at once: what a sample costs the one, by what it costs the other.
//!
//! Two runs one after the other differ by more than the two programs do: the processors' clock, the programs
//! that happen to be sampled, and what the caches hold change from minute to minute. Attached to the same
//! processors at the same time, both meet the same. The timers drift past each other, so that neither finds
//! caches that the other has warmed more often; who comes first is nevertheless changed about.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::contender::{Contender, Running, Tools};
use super::figure::{Figure, Figures};
use super::program;

/// Nanoseconds of a sample; nothing where there was none, as happens on an idle host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Costs {
    pub(super) ours: Option<f64>,
    pub(super) floor: Option<f64>,
}

/// The agent's cost relative to the floor's: the geometric mean of two halves of `length`.
pub(super) fn measure(tools: &Tools, length: Duration) -> Result<Figures> {
    let mut product = Some(1.0);
    for first in [Contender::Floor, Contender::Ours] {
        let costs = at_once(tools, first, length / 2)?;
        let ratio = costs.ours.zip(costs.floor).map(|(ours, floor)| ours / floor);
        product = product.zip(ratio).map(|(product, ratio)| product * ratio);
    }
    Ok(product.map(|product: f64| (Figure::TimesFloor, product.sqrt())).into_iter().collect())
}

/// What a sample costs each of them, one of which is attached first.
pub(super) fn at_once(tools: &Tools, first: Contender, length: Duration) -> Result<Costs> {
    let second = if first == Contender::Ours { Contender::Floor } else { Contender::Ours };
    let (one, other) = (start(first, tools)?, start(second, tools)?);
    let (ours, floor) = if first == Contender::Ours { (&one, &other) } else { (&other, &one) };
    let costs = costs(ours.id(), floor.id(), length);
    one.stop()?;
    other.stop()?;
    Ok(costs)
}

fn start(contender: Contender, tools: &Tools) -> Result<Box<dyn Running>> {
    let mut running = contender.start(tools)?;
    running.start_up()?;
    running.begin()?;
    Ok(running)
}

fn costs(ours: u32, floor: u32, length: Duration) -> Costs {
    let [ours, floor] = nanos_per_sample([ours, floor], length);
    Costs { ours, floor }
}

/// What a sample costs each of several profilers in the time to come, by the first of their processes.
pub(super) fn nanos_per_sample<const N: usize>(ids: [u32; N], length: Duration) -> [Option<f64>; N] {
    let mut before = ids.map(program::of_tree).into_iter();
    thread::sleep(length);
    ids.map(|id| {
        let figures = program::of_tree(id).since(&before.next()?).figures(length.as_secs_f64());
        figures.get(&Figure::BpfNanosPerSample).copied()
    })
}
