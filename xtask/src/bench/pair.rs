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

/// The agent's cost relative to the floor's: the geometric mean of two halves of `length`. Nothing where one had no
/// sample, as happens on an idle host.
pub(super) fn measure(tools: &Tools, length: Duration) -> Result<Figures> {
    let orders = [[Contender::Floor, Contender::Ours], [Contender::Ours, Contender::Floor]];
    let mut product = Some(1.0);
    for order in orders {
        let [first, second] = order;
        let (one, other) = (start(first, tools)?, start(second, tools)?);
        let (ours, floor) = if first == Contender::Ours { (&one, &other) } else { (&other, &one) };
        let ratio = ratio(ours.id(), floor.id(), length / 2);
        product = product.zip(ratio).map(|(product, ratio)| product * ratio);
        one.stop()?;
        other.stop()?;
    }
    Ok(product.map(|product: f64| (Figure::TimesFloor, product.sqrt())).into_iter().collect())
}

fn start(contender: Contender, tools: &Tools) -> Result<Box<dyn Running>> {
    let mut running = contender.start(tools)?;
    running.start_up()?;
    running.begin()?;
    Ok(running)
}

fn ratio(ours: u32, floor: u32, length: Duration) -> Option<f64> {
    let before = [ours, floor].map(program::of_tree);
    thread::sleep(length);
    let after = [ours, floor].map(program::of_tree);
    let nanos = |which: usize| {
        let figures = after.get(which)?.clone().since(before.get(which)?).figures(length.as_secs_f64());
        figures.get(&Figure::BpfNanosPerSample).copied()
    };
    nanos(0).zip(nanos(1)).map(|(ours, floor)| ours / floor)
}
