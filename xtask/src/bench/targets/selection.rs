//! What a sample costs that nobody wants, by what one costs that is wanted: the run time of the sampling program.
//!
//! The floor and two agents are attached at once, as in `pair`, while busy loops in a container keep the processors busy.
//! One agent wants everything, the other has a rule. Where the rule drops everything, hardly a run is of a sample that is
//! wanted: were the loops dropped alone, the few samples of programs with deeper stacks would hide what the others cost.
//! Where it drops another container, the difference is what looking for decisions costs those who are wanted.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::cgroup::{Container, Engine, Hierarchy};
use crate::bench::agent::{self, Agent};
use crate::bench::child::Owned;
use crate::bench::contender::{Contender, Running, Tools};
use crate::bench::load::LIFE;
use crate::bench::table::cell;
use crate::bench::{floor, pair};
use crate::metrics::Metrics;
use crate::workload::Builder;

/// A busy loop.
const PROGRAM: &str = "chain";

/// Decisions are made when a window ends.
const WINDOW: &str = "--profiling-duration=1s";

/// The agent decides anew after two minutes, and a stopped process is not decided on again.
const LONGEST: Duration = Duration::from_secs(60);

/// The kernel must drop this part of all samples for it to be known what such a sample costs.
const MOST: f64 = 0.7;

/// How often it is looked whether that is so, and for how long. The agent may leave samples in the ring for a second.
const POLL: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);

/// Metrics of the agent.
const DECISIONS: &str = "selection_decisions";
const TAKEN: &str = "samples_taken_total";
/// Counts every sample that the kernel hands over. `samples_dropped_total` does not tell by which side it was dropped.
const RECEIVED: &str = "user_stacks_total";

/// What was measured, a row for each case that this machine has.
#[derive(Debug, Serialize)]
pub(super) struct Selection(Vec<Row>);

/// One case. Of what was not measured there is nothing.
#[derive(Debug, Default, Serialize)]
struct Row {
    case: &'static str,
    floor_nanos: Option<f64>,
    everything_wanted_nanos: Option<f64>,
    with_rule_nanos: Option<f64>,
    /// Of the samples of the agent with the rule, those that the kernel drops.
    dropped_percent: Option<f64>,
    /// What a sample that is dropped costs, if the others cost the agent with the rule what they cost the one without.
    dropped_nanos: Option<f64>,
}

/// A case.
struct Case {
    name: &'static str,
    hierarchy: Hierarchy,
    /// In which way it is decided, as the metric has it.
    decided: &'static str,
    drops: Drops,
}

/// What the rule drops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drops {
    Everything,
    /// Another container than that of the loops.
    Another,
}

const CASES: [Case; 3] = [
    Case {
        name: "all dropped, by cgroup",
        hierarchy: Hierarchy::Unified,
        decided: "of=\"cgroup\"",
        drops: Drops::Everything,
    },
    Case {
        name: "all dropped, by process",
        hierarchy: Hierarchy::Legacy,
        decided: "of=\"process\"",
        drops: Drops::Everything,
    },
    Case {
        name: "another is dropped",
        hierarchy: Hierarchy::Unified,
        decided: "of=\"cgroup\"",
        drops: Drops::Another,
    },
];

/// Measures each case for `length`, in two halves.
pub(super) fn measure(tools: &Tools, workloads: &Builder, length: Duration) -> Result<Selection> {
    let program = workloads.build(PROGRAM).with_context(|| format!("cannot build workload {PROGRAM}"))?;
    let mut rows = Vec::new();
    for case in &CASES {
        let Some(engine) = Engine::start(case.hierarchy)? else {
            eprintln!("without the case `{}`: there is no such hierarchy of cgroups", case.name);
            continue;
        };
        eprintln!("+ selection: {}", case.name);
        let scene = Scene { tools, program: &program, engine: &engine, case };
        let halves = [false, true].map(|is_floor_first| scene.measure(is_floor_first, length / 2));
        let [one, other] = halves;
        rows.push(Row::mean(one?, other?));
    }
    Ok(Selection(rows))
}

/// What a case is measured with.
struct Scene<'a> {
    tools: &'a Tools,
    program: &'a Path,
    engine: &'a Arc<Engine>,
    case: &'a Case,
}

impl Scene<'_> {
    fn measure(&self, is_floor_first: bool, length: Duration) -> Result<Row> {
        let (busy, another) = (self.engine.container()?, self.engine.container()?);
        let rule = match self.case.drops {
            Drops::Everything => Rule::drop("__name__", ".*", &self.tools.folder)?,
            Drops::Another => Rule::drop("containerid", &another.label(), &self.tools.folder)?,
        };
        let flag = format!("--config-path={}", rule.0.display());

        let start_floor = || -> Result<_> {
            let mut floor = floor::start(self.tools, Contender::Floor.frequency())?;
            floor.start_up()?;
            Ok(floor)
        };
        let early_floor = if is_floor_first { Some(start_floor()?) } else { None };
        let mut everything = agent::start_with(self.tools, &[WINDOW])?;
        let mut with_rule = agent::start_with(self.tools, &[WINDOW, &flag])?;
        let floor = early_floor.map_or_else(start_floor, Ok)?;
        everything.wait_for_samples()?;
        with_rule.wait_for_samples()?;

        let count = thread::available_parallelism().map_or(1, usize::from);
        let loops = match self.case.drops {
            Drops::Everything => {
                let loops = self.start_loops(&busy, count)?;
                wait_until_most_is_dropped(&with_rule)?;
                loops
            }
            Drops::Another => {
                let mut loops = self.start_loops(&another, 1)?;
                with_rule.wait_for(DECISIONS, self.case.decided, 1.0)?;
                loops.iter().try_for_each(|stopped| stopped.signal("STOP"))?;
                loops.extend(self.start_loops(&busy, count)?);
                loops
            }
        };
        let row = self.row(&everything, &with_rule, floor.id(), length.min(LONGEST))?;
        drop(loops);
        for agent in [everything, with_rule] {
            Box::new(agent).stop()?;
        }
        Ok(row)
    }

    fn start_loops(&self, container: &Container, count: usize) -> Result<Vec<Owned>> {
        let start = |_| Owned::start_silent(container.command(self.program).arg(LIFE));
        (0..count).map(start).collect()
    }

    fn row(&self, everything: &Agent, with_rule: &Agent, floor: u32, length: Duration) -> Result<Row> {
        let before = with_rule.metrics()?;
        let ids = [floor, everything.id(), with_rule.id()];
        let [floor_nanos, everything_wanted_nanos, with_rule_nanos] = pair::nanos_per_sample(ids, length);
        let after = with_rule.metrics()?;
        ensure!(after.sum_with(DECISIONS, self.case.decided) > 0.0, "the agent took its decision back");
        let share = share_dropped(&before, &after);
        let dropped_nanos = with_rule_nanos
            .zip(everything_wanted_nanos)
            .filter(|_| self.case.drops == Drops::Everything)
            .and_then(|(mean, wanted)| unmixed(mean, wanted, share?));
        Ok(Row {
            case: self.case.name,
            floor_nanos,
            everything_wanted_nanos,
            with_rule_nanos,
            dropped_percent: share.map(|share| share * 100.0),
            dropped_nanos,
        })
    }
}

/// Waits until the loops, which have most of the samples, are decided on. On a machine where new processes have most
/// of them that does not come to pass.
fn wait_until_most_is_dropped(agent: &Agent) -> Result<()> {
    let start = Instant::now();
    let mut before = agent.metrics()?;
    while start.elapsed() < PATIENCE {
        thread::sleep(POLL);
        let after = agent.metrics()?;
        if share_dropped(&before, &after).is_some_and(|share| share > MOST) {
            return Ok(());
        }
        before = after;
    }
    eprintln!("  this machine is too busy with other programs");
    Ok(())
}

/// The part of the samples taken between two scrapes that the kernel dropped.
fn share_dropped(before: &Metrics, after: &Metrics) -> Option<f64> {
    let [taken, received] = [TAKEN, RECEIVED].map(|metric| after.sum(metric) - before.sum(metric));
    // What lay in the ring before may be received now.
    (taken > 0.0).then(|| (1.0 - received / taken).max(0.0))
}

/// What one part of a mixture costs, by the mean of all, the cost of the other part, and the share of this one.
fn unmixed(mean: f64, other: f64, share: f64) -> Option<f64> {
    (share > MOST).then(|| (mean - other * (1.0 - share)) / share)
}

/// A configuration file that is removed when this is dropped.
struct Rule(PathBuf);

impl Rule {
    /// Drops what has such a value of a label.
    fn drop(label: &str, regex: &str, folder: &Path) -> Result<Self> {
        let rule = Self(folder.join("selection.toml"));
        let text = format!(
            "[[relabel-configs]]\nsource_labels = [\"{label}\"]\nregex = \"{regex}\"\naction = \"drop\"\n"
        );
        fs::write(&rule.0, text).with_context(|| format!("cannot write {}", rule.0.display()))?;
        Ok(rule)
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // the next one is written over it
    }
}

impl Row {
    /// Of two halves of a measurement; what one of them lacks is not known.
    fn mean(one: Self, other: Self) -> Self {
        let mean = |a: Option<f64>, b: Option<f64>| Some(f64::midpoint(a?, b?));
        Self {
            case: one.case,
            floor_nanos: mean(one.floor_nanos, other.floor_nanos),
            everything_wanted_nanos: mean(one.everything_wanted_nanos, other.everything_wanted_nanos),
            with_rule_nanos: mean(one.with_rule_nanos, other.with_rule_nanos),
            dropped_percent: mean(one.dropped_percent, other.dropped_percent),
            dropped_nanos: mean(one.dropped_nanos, other.dropped_nanos),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "selection: BPF ns/run, all attached at once {:>6} {:>10} {:>10} {:>12} {:>14}",
            "floor", "all wanted", "with rule", "dropped %", "a dropped one"
        )?;
        for row in &self.0 {
            let cells = [row.floor_nanos, row.everything_wanted_nanos, row.with_rule_nanos]
                .map(|nanos| cell(nanos, 0));
            let [floor, everything, with_rule] = cells;
            writeln!(
                formatter,
                "  {:<43} {floor:>5} {everything:>10} {with_rule:>10} {:>12} {:>14}",
                row.case,
                cell(row.dropped_percent, 1),
                cell(row.dropped_nanos, 0),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_received_was_dropped() {
        let scrape = |taken: u32, received: u32| {
            Metrics::parse(&format!(
                "parca_agent_samples_taken_total {taken}\n\
                 parca_agent_user_stacks_total{{end=\"complete\"}} {received}\n\
                 parca_agent_user_stacks_total{{end=\"no_user_stack\"}} {received}\n"
            ))
        };
        assert_eq!(share_dropped(&scrape(100, 50), &scrape(300, 75)), Some(0.75));
        assert_eq!(share_dropped(&scrape(100, 50), &scrape(101, 75)), Some(0.0));
        assert_eq!(share_dropped(&scrape(100, 50), &scrape(100, 50)), None);
    }

    #[test]
    fn a_mixture_is_taken_apart_where_most_of_it_is_of_one_kind() {
        // Three of four cost 100 and one 1900.
        assert_eq!(unmixed(550.0, 1900.0, 0.75), Some(100.0));
        assert_eq!(unmixed(550.0, 1900.0, 0.25), None);
    }

    #[test]
    fn a_row_is_the_mean_of_its_halves() {
        let half = |nanos| Row { case: "a", floor_nanos: nanos, ..Row::default() };
        assert_eq!(Row::mean(half(Some(1.0)), half(Some(3.0))).floor_nanos, Some(2.0));
        assert_eq!(Row::mean(half(Some(1.0)), half(None)).floor_nanos, None);
    }
}
