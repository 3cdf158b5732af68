//! How soon a program whose file the agent has never seen is unwound to its end.
//!
//! Copies of a program without frame pointers start one after the other, each a file of its own, and keep a processor
//! busy. What is missing from a copy's stacks, times the sampling period, is how long the agent took.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::agent;
use super::contender::{Running, Tools};
use super::figure::{Figure, Figures};
use crate::pprof::Profile;
use crate::symbols::Symbols;
use crate::workload::Builder;

const PROGRAM: &str = "deep-nofp";

/// Copies. Their names are those of the targets.
const COPIES: usize = 100;
const NAME: &str = "newcomer-";

/// Seconds that a copy lives, and its frames.
const ARGUMENTS: [&str; 2] = ["0.2", "20"];

/// Time between two copies.
const PAUSE: Duration = Duration::from_millis(20);

/// All copies live in one window, which began with the agent.
const WINDOW: Duration = Duration::from_secs(40);

/// Where a program begins.
const OUTERMOST: &str = "_start";

pub(super) fn measure(tools: &Tools, workloads: &Builder) -> Result<Figures> {
    eprintln!("+ {COPIES} newcomers, one after the other");
    let program = workloads.build(PROGRAM).with_context(|| format!("cannot build workload {PROGRAM}"))?;
    let window = format!("--profiling-duration={}s", WINDOW.as_secs());
    let mut agent = agent::start_with(tools, &[&window, "--profiling-cpu-sampling-frequency=997"])?;
    agent.wait_for_samples()?;
    for number in 0..COPIES {
        run_copy(&program, &tools.folder.join(format!("{NAME}{number:03}")), number)?;
        thread::sleep(PAUSE);
    }
    let profile = agent.profile(&format!("%7Bcomm=~%22{NAME}.*%22%7D"), 2 * WINDOW)?;
    Box::new(agent).stop()?;
    let mut waits: Vec<f64> = waits(&profile, &Symbols::of(&program)?).into_values().collect();
    ensure!(waits.len() > COPIES / 2, "the agent saw {} of {COPIES} copies", waits.len());
    waits.sort_by(f64::total_cmp);
    let at = |hundredth: usize| waits.get(waits.len() * hundredth / 100).copied();
    let figures =
        [(Figure::FirstWholeMedianMilliseconds, at(50)), (Figure::FirstWholeP99Milliseconds, at(99))];
    Ok(figures.into_iter().filter_map(|(figure, value)| Some((figure, value?))).collect())
}

/// Runs a copy to its end. What is behind the end of the program makes its file like no other.
fn run_copy(program: &Path, copy: &Path, number: usize) -> Result<()> {
    let mut bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    bytes.extend(number.to_le_bytes());
    fs::write(copy, bytes).with_context(|| format!("cannot write {}", copy.display()))?;
    fs::set_permissions(copy, fs::Permissions::from_mode(0o755)).context("cannot make it executable")?;
    let status = Command::new(copy).args(ARGUMENTS).stdout(Stdio::null()).status();
    let _ = fs::remove_file(copy); // the next run writes it anew
    ensure!(status.context("cannot start a copy")?.success(), "a copy failed");
    Ok(())
}

/// Milliseconds in which each copy's stacks were not whole.
fn waits(profile: &Profile, symbols: &Symbols) -> BTreeMap<String, f64> {
    let mut waits = BTreeMap::new();
    for sample in &profile.samples {
        let Some(outermost) = sample.frames.last().filter(|frame| frame.mapping.contains(NAME)) else {
            continue;
        };
        let wait: &mut f64 = waits.entry(outermost.mapping.clone()).or_default();
        if symbols.name(outermost.address) != Some(OUTERMOST) {
            *wait += Duration::from_nanos(sample.count * profile.period_nanos).as_secs_f64() * 1e3;
        }
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pprof::{Frame, Sample};

    #[test]
    fn a_copy_waits_for_as_long_as_its_stacks_are_cut() {
        let symbols = Symbols::parse("1000 10 T _start\n2000 10 T bottom\n");
        let sample = |copy: &str, count, addresses: &[u64]| {
            let frame =
                |address: &u64| Frame { address: *address, mapping: copy.to_owned(), functions: vec![] };
            Sample { count, frames: addresses.iter().map(frame).collect(), ..Sample::default() }
        };
        let profile = Profile {
            samples: vec![
                sample("/x/newcomer-000", 7, &[0x2001, 0x1001]),
                sample("/x/newcomer-000", 2, &[0x2001]),
                sample("/x/newcomer-001", 5, &[0x2001, 0x1001]),
                sample("/bin/other", 5, &[0x2001]),
            ],
            period_nanos: 1_000_000,
            ..Profile::default()
        };
        let expected = [("/x/newcomer-000", 2.0), ("/x/newcomer-001", 0.0)];
        assert_eq!(waits(&profile, &symbols), expected.map(|(name, wait)| (name.to_owned(), wait)).into());
    }
}
