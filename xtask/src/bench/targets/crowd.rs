//! Very many containers and processes that come and go: what that costs the agent, and whether each sample is under
//! the container that it was taken in. The processes themselves tell by their names which one that is.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::cgroup::{Container, Engine, Hierarchy};
use super::member::{self, Number, Sighting};
use super::placed::Placed;
use super::plan::{self, PROCESSES_EACH, Plan, REST, processors};
use super::windows::Windows;
use crate::bench::child::Owned;
use crate::bench::contender::{Running, Tools};
use crate::bench::table::cell;
use crate::bench::{agent, host, megabytes, process};
use crate::metrics::Metrics;
use crate::pprof::Profile;
use crate::workload::Builder;

/// Of processes that are older no sample is to be in the wrong place.
const GROWN: Duration = Duration::from_secs(1);

/// How often it is looked for containers that have ended.
const POLL: Duration = Duration::from_millis(5);

/// A container should end by itself, even on a machine that is too busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Crowd {
    containers: usize,
    processes: usize,
    seconds: f64,
    machine_busy_percent: f64,
    cpu_percent: f64,
    peak_megabytes: f64,
    resident_megabytes: f64,
    grown: Placed,
    young: Placed,
    samples_lost: f64,
    attributions: f64,
    targets: f64,
    targets_overflowed: f64,
    containers_nameless: f64,
    containers_not_asked_for: f64,
    processes_unattributed: f64,
}

/// A container that runs. The processes end before the cgroup is removed.
struct Inhabited {
    first: Owned,
    _container: Container,
}

/// Measures an agent with default settings; nothing on a machine without cgroups of version 2.
pub(super) fn measure(tools: &Tools, workloads: &Builder, length: Duration) -> Result<Option<Crowd>> {
    let Some(engine) = Engine::start(Hierarchy::Unified)? else { return Ok(None) };
    let program = workloads.build(member::PROGRAM).context("cannot build workload member")?;
    let plans = plan::plans(length.as_secs_f64());
    let work = plan::work(&plans, length.as_secs_f64());
    eprintln!("+ crowd: {} containers of {PROCESSES_EACH} processes", plans.len());

    let mut agent = agent::start(tools)?;
    agent.wait_for_samples()?;
    let windows = Windows::follow(agent.address());
    let (usage, busy, start) = (process::tree(agent.id()), host::busy_time()?, Instant::now());
    let (labels, processes) = run(&plans, &engine, &program, work)?;
    let seconds = start.elapsed().as_secs_f64();
    let busy = host::busy_time()?.saturating_sub(busy).as_secs_f64();
    let cpu = process::tree(agent.id()).cpu.saturating_sub(usage.cpu).as_secs_f64();
    let windows = windows.up_to_now()?;
    let usage = process::tree(agent.id());
    let metrics = agent.metrics()?;
    Box::new(agent).stop()?;

    let [grown, young] = place(&windows, &labels);
    Ok(Some(Crowd {
        containers: plans.len(),
        processes,
        seconds,
        machine_busy_percent: busy / seconds / processors() * 100.0,
        cpu_percent: cpu / seconds * 100.0,
        peak_megabytes: megabytes(usage.peak_bytes),
        resident_megabytes: megabytes(usage.resident_bytes),
        grown,
        young,
        samples_lost: samples_lost(&metrics),
        attributions: metrics.sum("attributions_known"),
        targets: metrics.sum("targets"),
        targets_overflowed: metrics.sum("targets_overflowed_total"),
        containers_nameless: metrics.sum("containers_nameless_total"),
        containers_not_asked_for: metrics.sum_with("containers_asked_total", "result=\"queue_full\""),
        processes_unattributed: metrics.sum("processes_unattributed_total"),
    }))
}

/// Starts all containers and waits for the end of all. Returns the label of each, and how many processes there were.
fn run(
    plans: &[Plan],
    engine: &Arc<Engine>,
    program: &Path,
    work: Duration,
) -> Result<(BTreeMap<Number, String>, usize)> {
    let (start, mut labels) = (Instant::now(), BTreeMap::new());
    let (mut running, mut processes): (Vec<Inhabited>, usize) = (Vec::new(), 0);
    let mut waiting = plans.iter().enumerate().peekable();
    let last = plans.iter().map(|plan| plan.start + plan.life).fold(0.0, f64::max);
    while waiting.peek().is_some() || !running.is_empty() {
        let now = start.elapsed().as_secs_f64();
        while let Some((number, plan)) = waiting.next_if(|(_, plan)| plan.start <= now) {
            let container = engine.container()?;
            labels.insert(number, container.label());
            running.push(inhabit(container, number, *plan, program, work)?);
        }
        let mut still = Vec::new();
        for mut container in running {
            if container.first.has_ended()? {
                processes += container.processes()?;
            } else {
                still.push(container);
            }
        }
        running = still;
        ensure!(now < last + PATIENCE.as_secs_f64(), "{} containers do not end", running.len());
        thread::sleep(POLL);
    }
    Ok((labels, processes))
}

fn inhabit(
    container: Container,
    number: Number,
    plan: Plan,
    program: &Path,
    work: Duration,
) -> Result<Inhabited> {
    let mut command = container.command(program);
    command.arg(number.to_string()).arg(plan.life.to_string()).arg((PROCESSES_EACH - 1).to_string());
    command.arg((work.as_secs_f64() * 1e6).to_string()).arg(REST.as_millis().to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    Ok(Inhabited { first: Owned::start(&mut command)?, _container: container })
}

impl Inhabited {
    /// How many there were, as the first says at its end.
    fn processes(&mut self) -> Result<usize> {
        let mut text = String::new();
        let output = self.first.child().stdout.as_mut().context("a process has no output")?;
        output.read_to_string(&mut text).context("cannot read what a process says")?;
        text.trim().parse().with_context(|| format!("a process says `{text}`"))
    }
}

/// Samples of grown and of young processes.
fn place(windows: &[Profile], labels: &BTreeMap<Number, String>) -> [Placed; 2] {
    let (mut grown, mut young) = (Placed::default(), Placed::default());
    for sample in windows.iter().flat_map(|window| &window.samples) {
        let Some(sighting) = Sighting::of(sample) else { continue };
        let placed = if sighting.age >= GROWN { &mut grown } else { &mut young };
        placed.add(sample, sighting, labels);
    }
    [grown, young]
}

/// Samples that are in no profile although somebody wanted them.
fn samples_lost(metrics: &Metrics) -> f64 {
    let dropped = |label| metrics.sum_with("samples_dropped_total", label);
    dropped("") - dropped("reason=\"not_selected\"")
}

impl Crowd {
    /// Of the samples of processes older than a second, the share under the right container.
    pub(super) fn right_percent(&self) -> Option<f64> {
        self.grown.right_percent()
    }

    /// Samples that are in no profile.
    pub(super) fn samples_lost(&self) -> f64 {
        self.samples_lost
    }
}

impl fmt::Display for Crowd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "crowd: {} containers with {} processes start and end in {:.1} s, the machine is busy for {:.0} %",
            self.containers, self.processes, self.seconds, self.machine_busy_percent
        )?;
        writeln!(
            formatter,
            "  CPU {:.2} %, peak {:.1} MB, resident {:.1} MB, samples lost {}",
            self.cpu_percent, self.peak_megabytes, self.resident_megabytes, self.samples_lost
        )?;
        for (what, placed) in [("older than 1 s", self.grown), ("younger", self.young)] {
            writeln!(
                formatter,
                "  samples of processes {what}: {}, under the right container {} %",
                placed.total(),
                cell(placed.right_percent(), 2)
            )?;
        }
        writeln!(
            formatter,
            "  attributions known {}, targets {}, overflowed {}, containers nameless {}, not asked for {}, \
             processes unattributed {}",
            self.attributions,
            self.targets,
            self.targets_overflowed,
            self.containers_nameless,
            self.containers_not_asked_for,
            self.processes_unattributed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pprof::Sample;

    #[test]
    fn samples_are_placed_by_container_and_age() {
        let sample = |name: &str, container: Option<&str>, count| {
            let container = container.map(|id| ("containerid".to_owned(), id.to_owned()));
            let labels = [("thread_name".to_owned(), name.to_owned())].into_iter().chain(container).collect();
            Sample { count, labels, ..Sample::default() }
        };
        let samples = vec![
            sample("c0001-010000", Some("docker://a"), 6),
            sample("c0001-010000", Some("docker://b"), 2),
            sample("c0001-009999", None, 1),
            sample("kworker/0:1", None, 100),
        ];
        let window = Profile { samples, ..Profile::default() };
        let labels = [(1, "docker://a".to_owned())].into();
        let shares = place(&[window], &labels).map(|placed| (placed.total(), placed.right_percent()));
        assert_eq!(shares, [(8, Some(75.0)), (1, Some(0.0))]);
    }

    #[test]
    fn what_is_not_selected_is_not_lost() {
        let text = "parca_agent_samples_dropped_total{reason=\"not_selected\"} 40\n\
            parca_agent_samples_dropped_total{reason=\"ring_full\"} 2\n\
            parca_agent_samples_dropped_total{reason=\"window_full\"} 1\n";
        assert_eq!(samples_lost(&Metrics::parse(text)), 3.0);
    }
}
