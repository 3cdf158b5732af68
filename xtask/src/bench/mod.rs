//! `cargo xtask bench`: what the agent costs and delivers, beside other profilers on the same machine in the
//! same minutes.
//!
//! For each set of programs (`load`), the profilers (`contender`) run one after another, in several rounds
//! of alternating order, while `host`, `process` and `program` read what the kernel knows of them. The floor
//! and the agent also run together (`pair`): what a sample costs is compared there, on the stacks of one program
//! in two builds too (`builds`). `newcomer` measures how soon a new program has whole stacks, `tables` what the tables
//! take. `figure` says what is measured, `verdict` what the agent has to reach, and `table` prints.
//!
//! The set `targets` is another one: no other profiler has what it measures. It makes containers' cgroups with programs
//! of its own in them, and prints what selecting targets, telling them apart and knowing of pods costs the agent.
//!
//! So is the set `store`: it sends made-up windows to a server that goes away, and counts what arrives.
//!
//! `sets` says which of all this was asked for.
//!
//! No figure fails the command: absolute times depend on the machine, so only those of one run compare.

mod agent;
mod bpftrace;
mod builds;
mod child;
mod contender;
mod figure;
mod floor;
mod host;
mod load;
mod maps;
mod newcomer;
mod pair;
mod perf;
mod process;
mod program;
mod sets;
mod statistics;
mod store;
mod table;
mod tables;
mod targets;
mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use argh::FromArgs;

use crate::setup::{self, Group};
use crate::workload::{self, Builder};
use crate::{privilege, workspace};
use contender::{Contender, Tools};
use figure::{Figure, Figures};
use load::Set;
use sets::Sets;
use statistics::BpfStatistics;
use store::Store;
use targets::Targets;

/// Measure the agent beside other profilers, as root.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub(crate) struct Bench {
    /// length of each measurement; 30 unless given
    #[argh(option, default = "30")]
    seconds: u64,
    /// how often each profiler is measured; the middle of its results counts; 2 unless given
    #[argh(option, default = "2")]
    rounds: usize,
    /// what to measure, with commas between: idle, busy, deep, mix are sets of programs to profile, targets is
    /// what containers and pods cost, store what sending costs; all unless given
    #[argh(option, default = "Sets::default()")]
    sets: Sets,
    /// also write the figures to this file, as JSON
    #[argh(option)]
    json: Option<PathBuf>,
    /// an agent binary to measure, instead of building one
    #[argh(option)]
    binary: Option<PathBuf>,
}

/// The figures of each profiler with one set of programs.
type Results = BTreeMap<Contender, Figures>;

pub(crate) fn run(job: &Bench) -> Result<()> {
    if !privilege::is_root() {
        bail!("profilers need root: run `cargo xtask bench` as root");
    }
    setup::ensure(&[Group::Build, Group::Bench])?;
    let tools = Tools::build(job.binary.clone())?;
    let output = workspace::target_dir()?.join("workloads");
    let workloads = Builder::new(&workspace::root()?, output, workload::host_compiler());
    let _statistics = BpfStatistics::enable()?;
    println!("{}", host::describe()?);
    let mut all = BTreeMap::new();
    for set in &job.sets.programs {
        let results = measure_set(*set, job, &tools, &workloads)?;
        print!("\n{}", table::text(*set, &results));
        for verdict in verdict::all(*set, &results) {
            println!("{verdict}");
        }
        all.insert(set.name(), results);
    }
    let targets = match job.sets.targets {
        true => Some(Targets::measure(&tools, &workloads, Duration::from_secs(job.seconds))?),
        false => None,
    };
    if let Some(targets) = &targets {
        print!("\n{targets}");
        targets.verdicts().iter().for_each(|verdict| println!("{verdict}"));
    }
    let store = if job.sets.store { Some(Store::measure(&tools)?) } else { None };
    if let Some(store) = &store {
        print!("\n{store}");
        store.verdicts().iter().for_each(|verdict| println!("{verdict}"));
    }
    if !job.sets.programs.is_empty() {
        tables::print()?;
    }
    if let Some(path) = &job.json {
        let json = table::json(&all, targets.as_ref(), store.as_ref(), job.seconds, job.rounds)?;
        fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn measure_set(set: Set, job: &Bench, tools: &Tools, workloads: &Builder) -> Result<Results> {
    let load = load::start(set, workloads)?;
    let mut measured: BTreeMap<Contender, Vec<Figures>> = BTreeMap::new();
    for round in 0..job.rounds.max(1) {
        for contender in Contender::in_order(round) {
            eprintln!("+ {}, round {}: {}", set.name(), round + 1, contender.name());
            match measure(contender, tools, Duration::from_secs(job.seconds)) {
                Ok(figures) => measured.entry(contender).or_default().push(figures),
                // The others' figures are worth having without one of another tool.
                Err(error) if contender != Contender::Ours => {
                    eprintln!("without {} in this round: {error:#}", contender.name());
                }
                Err(error) => return Err(error).context("cannot measure the agent"),
            }
        }
        eprintln!("+ {}, round {}: floor and ours at once", set.name(), round + 1);
        let pair = pair::measure(tools, Duration::from_secs(job.seconds))?;
        measured.entry(Contender::Ours).or_default().push(pair);
    }
    drop(load);
    let further = match set {
        Set::Idle => newcomer::measure(tools, workloads)?,
        Set::Deep => builds::measure(tools, workloads, Duration::from_secs(job.seconds))?,
        Set::Busy | Set::Mix => Figures::new(),
    };
    measured.entry(Contender::Ours).or_default().push(further);
    Ok(measured.into_iter().map(|(contender, figures)| (contender, figure::medians(&figures))).collect())
}

/// Starts one profiler, watches it, and stops it.
fn measure(contender: Contender, tools: &Tools, length: Duration) -> Result<Figures> {
    let mut running = contender.start(tools)?;
    let mut figures = running.start_up()?;

    let programs = program::of_tree(running.id());
    let processes = process::tree(running.id());
    running.begin()?;
    let busy = host::busy_time()?;
    let start = Instant::now();
    thread::sleep(length);
    let busy = host::busy_time()?.saturating_sub(busy);
    let seconds = start.elapsed().as_secs_f64();
    figures.extend(running.end()?);
    let programs_after = program::of_tree(running.id());
    let processes_after = process::tree(running.id());
    if contender == Contender::Ours {
        eprintln!("  maps in KiB: {}", maps::text(&programs_after)?);
    }

    let cpu = processes_after.cpu.saturating_sub(processes.cpu);
    figures.insert(Figure::CpuPercent, cpu.as_secs_f64() / seconds * 100.0);
    figures.insert(Figure::PeakMegabytes, megabytes(processes_after.peak_bytes));
    figures.insert(Figure::ResidentMegabytes, megabytes(processes_after.resident_bytes));
    figures.extend(programs_after.since(&programs).figures(seconds));

    let delivered = running.stop()?;
    let expected = busy.as_secs_f64() * f64::from(contender.frequency());
    figures.insert(Figure::SamplesDelivered, delivered);
    figures.insert(Figure::SamplesExpected, expected);
    if expected > 0.0 {
        figures.insert(Figure::DeliveredPercent, delivered / expected * 100.0);
    }
    Ok(figures)
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
