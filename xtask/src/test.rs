//! `cargo xtask test`: everything that has to hold, cheapest first; CI runs this and nothing else.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use argh::FromArgs;

use crate::bpf::{Build, OBJECTS};
use crate::setup::{self, Group};
use crate::toolchain::Machine;
use crate::{command, privilege, tidy, vm_test, workspace};

/// Check and test everything, as root; installs what that needs.
#[derive(FromArgs)]
#[argh(subcommand, name = "test")]
pub(crate) struct Test {}

/// A name to announce, and what to do.
type Step = (&'static str, fn() -> Result<()>);

/// The steps, in order. The first that fails ends the run.
const STEPS: &[Step] = &[
    ("setup", || setup::ensure(&[Group::Build, Group::Test])),
    ("fmt", || command::run(workspace::cargo("fmt")?.args(["--all", "--check"]))),
    ("tidy", || tidy::run(&tidy::Tidy {})),
    ("bpf", bpf),
    ("clippy", clippy),
    ("doc", || command::run(workspace::cargo("doc")?.arg("--no-deps").env("RUSTDOCFLAGS", "-Dwarnings"))),
    ("peer", || cargo_test(&["--package=peer"])),
    ("test", || cargo_test(&[])),
    ("vm-test", || vm_test::run(&vm_test::VmTest::default())),
];

pub(crate) fn run(_: &Test) -> Result<()> {
    if !privilege::is_root() {
        bail!("the tests load BPF programs and start the agent: run `cargo xtask test` as root");
    }
    let start = Instant::now();
    for (name, step) in STEPS {
        println!("== {name}");
        let step_start = Instant::now();
        step().with_context(|| format!("step {name} failed"))?;
        println!("== {name}: passed in {:.1} s", step_start.elapsed().as_secs_f32());
    }
    println!("== all steps passed in {:.0} s", start.elapsed().as_secs_f32());
    Ok(())
}

/// Builds the BPF programs for both architectures, where clippy and the host's compiler do not reach.
fn bpf() -> Result<()> {
    let (workspace, target_dir, machine) = (workspace::root()?, workspace::target_dir()?, Machine::this());
    for arch in ["x86_64", "aarch64"] {
        let build = Build { workspace: &workspace, target_dir: &target_dir, arch, deny_warnings: true };
        for object in &OBJECTS {
            let built = build.run(&machine, object)?;
            print!("{}", built.messages);
            println!("{} for {arch}: {}", object.name, built.path.display());
        }
    }
    Ok(())
}

/// The server for tests is built apart from the agent, which must not have its runtime.
fn clippy() -> Result<()> {
    for packages in [&[][..], &["--package=peer"]] {
        let mut clippy = workspace::cargo("clippy")?;
        command::run(clippy.args(packages).args(["--all-targets", "--", "-Dwarnings"]))?;
    }
    Ok(())
}

fn cargo_test(packages: &[&str]) -> Result<()> {
    let mut total = Tally::default();
    let result = command::run_watching(workspace::cargo("test")?.args(packages), |line| total.add(line));
    println!("{} passed, {} failed, {} ignored", total.passed, total.failed, total.ignored);
    result
}

/// The results of several test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tally {
    /// Adds a line like `test result: ok. 3 passed; 0 failed; 1 ignored; …`; passes over any other.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split(['.', ';']) {
            let Some((count, what)) = part.trim().split_once(' ') else { continue };
            let Ok(count) = count.parse::<u32>() else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_test_programs_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 5 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.03s",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.50s",
            "my own 7 passed",
        ] {
            tally.add(line);
        }
        assert_eq!(tally, Tally { passed: 7, failed: 2, ignored: 1 });
    }
}
