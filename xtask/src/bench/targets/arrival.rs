//! How soon a container that has just started is seen as what it is: from the start of its process to the first sample
//! under its own id.
//!
//! Windows tell no times of samples, but the process tells its age by its name, so each sample holds the age at which
//! it was taken. What comes first at all, under whatever label, is the measure of what comes first under the right one.
//! The agent has to find the cgroup while it is there; some engines remove it at once, others take their time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::cgroup::{Container, Engine, Hierarchy};
use super::member::{self, Number, Sighting};
use super::placed::Placed;
use super::windows::Windows;
use crate::bench::agent;
use crate::bench::child::Owned;
use crate::bench::contender::{Running, Tools};
use crate::bench::table::cell;
use crate::pprof::Profile;
use crate::workload::Builder;

/// Containers, one after the other, and the time between two of them.
const CONTAINERS: usize = 200;
const INTERVAL: Duration = Duration::from_millis(50);

/// Seconds for which each lives and works without a pause.
const LIFE: &str = "0.04";

/// For how long a cgroup is there after its last process has ended.
const KEPT: [(&str, Duration); 2] =
    [("its cgroup is removed at once", Duration::ZERO), ("a second later", Duration::from_secs(1))];

/// A process must be over after this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was measured, a row for each time for which cgroups are kept.
#[derive(Debug, Serialize)]
pub(super) struct Arrival(Vec<Row>);

/// Times are in milliseconds from the start of the process.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    case: &'static str,
    /// Containers of which there is any sample.
    seen: usize,
    /// Those of which there is one under the right label.
    labelled: usize,
    first_sample_median_milliseconds: Option<f64>,
    first_labelled_median_milliseconds: Option<f64>,
    first_labelled_p99_milliseconds: Option<f64>,
    /// Samples under the right label.
    right_percent: Option<f64>,
}

/// The first samples of one container.
#[derive(Clone, Copy, Debug, Default)]
struct First {
    any: Option<Duration>,
    labelled: Option<Duration>,
}

/// Measures an agent that samples often; nothing on a machine without cgroups of version 2.
pub(super) fn measure(tools: &Tools, workloads: &Builder) -> Result<Option<Arrival>> {
    let Some(engine) = Engine::start(Hierarchy::Unified)? else { return Ok(None) };
    let program = workloads.build(member::PROGRAM).context("cannot build workload member")?;
    let mut rows = Vec::new();
    for (case, kept) in KEPT {
        eprintln!("+ arrival: {CONTAINERS} containers, one after the other; {case}");
        let mut agent = agent::start_with(tools, &["--profiling-cpu-sampling-frequency=997"])?;
        agent.wait_for_samples()?;
        let windows = Windows::follow(agent.address());
        let labels = run(&engine, &program, kept)?;
        let windows = windows.up_to_now()?;
        Box::new(agent).stop()?;
        rows.push(row(case, &windows, &labels));
    }
    Ok(Some(Arrival(rows)))
}

/// Runs all containers to their ends. Returns the label of each.
fn run(engine: &Arc<Engine>, program: &Path, kept: Duration) -> Result<BTreeMap<Number, String>> {
    let mut labels = BTreeMap::new();
    let mut ended: VecDeque<(Instant, Container)> = VecDeque::new();
    for number in 0..CONTAINERS {
        let start = Instant::now();
        let container = engine.container()?;
        labels.insert(number, container.label());
        let mut process = Owned::start_silent(container.command(program).args([&number.to_string(), LIFE]))?;
        ensure!(process.wait(PATIENCE)?.success(), "a process of a container failed");
        ended.push_back((Instant::now(), container));
        while ended.front().is_some_and(|(end, _)| end.elapsed() >= kept) {
            ended.pop_front();
        }
        thread::sleep(INTERVAL.saturating_sub(start.elapsed()));
    }
    thread::sleep(kept);
    Ok(labels)
}

fn row(case: &'static str, windows: &[Profile], labels: &BTreeMap<Number, String>) -> Row {
    let mut all: BTreeMap<Number, First> = BTreeMap::new();
    let mut placed = Placed::default();
    for sample in windows.iter().flat_map(|window| &window.samples) {
        let Some(sighting) = Sighting::of(sample) else { continue };
        let is_right = placed.add(sample, sighting, labels);
        let first = all.entry(sighting.container).or_default();
        let earlier = |known: Option<Duration>| Some(known.unwrap_or(sighting.age).min(sighting.age));
        first.any = earlier(first.any);
        if is_right {
            first.labelled = earlier(first.labelled);
        }
    }
    let any = sorted(all.values().filter_map(|first| first.any));
    let labelled = sorted(all.values().filter_map(|first| first.labelled));
    Row {
        case,
        seen: any.len(),
        labelled: labelled.len(),
        first_sample_median_milliseconds: at(&any, 50),
        first_labelled_median_milliseconds: at(&labelled, 50),
        first_labelled_p99_milliseconds: at(&labelled, 99),
        right_percent: placed.right_percent(),
    }
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times
}

/// The value that so many of a hundred do not exceed, in milliseconds.
fn at(sorted: &[Duration], hundredth: usize) -> Option<f64> {
    sorted.get(sorted.len() * hundredth / 100).map(|time| time.as_secs_f64() * 1e3)
}

impl fmt::Display for Arrival {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "arrival: {CONTAINERS} containers of one busy process that lives for 40 ms; its name tells the age at which \
             a sample was taken, from main on, to 0.2 ms; 997 samples a second"
        )?;
        writeln!(
            formatter,
            "  {:<33} {:>18} {:>24} {:>8} {:>6} {:>14} {:>14}",
            "",
            "first, median ms",
            "under its id, median ms",
            "p99 ms",
            "seen",
            "under its id",
            "samples so, %"
        )?;
        for row in &self.0 {
            writeln!(
                formatter,
                "  {:<33} {:>18} {:>24} {:>8} {:>6} {:>14} {:>14}",
                row.case,
                cell(row.first_sample_median_milliseconds, 1),
                cell(row.first_labelled_median_milliseconds, 1),
                cell(row.first_labelled_p99_milliseconds, 1),
                row.seen,
                row.labelled,
                cell(row.right_percent, 2)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pprof::Sample;

    #[test]
    fn the_first_sample_of_each_container_counts() {
        let sample = |name: &str, container: &str| {
            let labels = [("thread_name", name), ("containerid", container)];
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            Sample { count: 1, labels, ..Sample::default() }
        };
        let window = |samples| Profile { samples, ..Profile::default() };
        let windows = [
            window(vec![sample("c0000-000100", "docker://a"), sample("c0000-000020", "")]),
            window(vec![sample("c0000-000040", "docker://a"), sample("c0001-000050", "docker://a")]),
        ];
        let labels: BTreeMap<Number, String> =
            [(0, "docker://a"), (1, "docker://b"), (2, "docker://c")].map(|(n, id)| (n, id.into())).into();
        let expected = Row {
            case: "test",
            seen: 2,
            labelled: 1,
            first_sample_median_milliseconds: Some(5.0),
            first_labelled_median_milliseconds: Some(4.0),
            first_labelled_p99_milliseconds: Some(4.0),
            right_percent: Some(50.0),
        };
        assert_eq!(row("test", &windows, &labels), expected);
    }
}
