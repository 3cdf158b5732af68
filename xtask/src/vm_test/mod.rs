//! `cargo xtask vm-test [KERNEL...]`: the agent on kernels older and newer than this machine's.
//!
//! `kernel` fetches Debian's kernels, `initramfs` packs the agent and programs to profile around a script,
//! `qemu` boots that, `report` reads what the script sent, and `check` compares the profiles with the
//! programs' own symbols: `unaided` those of programs without frame pointers, whose stacks `chain` judges. `placement`
//! says in which cgroups programs are, and compares the labels of their targets.

mod apt;
mod chain;
mod check;
mod cpio;
mod initramfs;
mod kernel;
mod placement;
mod qemu;
mod report;
mod unaided;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use argh::FromArgs;

use crate::dist;
use crate::setup::{self, Group};
use crate::workload::{self, Builder};
use crate::workspace;
use check::Check;
use initramfs::Contents;
use kernel::Kernel;
use qemu::{Accelerator, Machine};
use report::Report;

/// Kernels that are tested when none is named: the oldest that Debian still has, in which the agent does without
/// `bpf_loop` (5.17), the first in which it reads the kernel's list of mappings, and Debian's stable one.
const DEFAULT: [&str; 3] = ["5.10", "6.1", "6.12"];

/// Boot other kernels in virtual machines and let the agent profile known programs there.
#[derive(FromArgs, Default)]
#[argh(subcommand, name = "vm-test")]
pub(crate) struct VmTest {
    /// kernels: 5.10, 6.1, 6.12, newest, 6.12-arm64; the first three unless given
    #[argh(positional)]
    kernels: Vec<String>,
    /// a static agent binary to test, instead of building one
    #[argh(option)]
    binary: Option<PathBuf>,
    /// fetch the kernels again, also those that are there
    #[argh(switch)]
    refresh: bool,
}

pub(crate) fn run(job: &VmTest) -> Result<()> {
    let names =
        if job.kernels.is_empty() { DEFAULT.map(str::to_owned).to_vec() } else { job.kernels.clone() };
    let kernels = names.iter().map(|name| kernel::named(name)).collect::<Result<Vec<_>>>()?;
    let is_foreign = kernels.iter().any(|kernel| kernel.arch.name() != std::env::consts::ARCH);
    setup::ensure(if is_foreign { &[Group::Test, Group::Foreign] } else { &[Group::Test] })?;
    let mut failed = 0;
    for kernel in kernels {
        let outcome = test(kernel, job).with_context(|| format!("{}: the test did not run", kernel.name))?;
        println!("{}", outcome.summary());
        for (name, reason) in outcome.failures() {
            println!("{}: FAIL {name}: {reason}", kernel.name);
        }
        if outcome.failures().next().is_some() {
            println!("{}: what the machine said is in {}", kernel.name, outcome.log.display());
            failed += 1;
        }
    }
    if failed > 0 {
        bail!("failed on {failed} of {} kernels", names.len());
    }
    Ok(())
}

/// The results on one kernel.
struct Outcome {
    kernel: &'static str,
    release: String,
    checks: Vec<Check>,
    accelerator: Accelerator,
    took: Duration,
    log: PathBuf,
}

impl Outcome {
    fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.checks
            .iter()
            .filter_map(|check| Some((check.name.as_str(), check.result.as_ref().err()?.as_str())))
    }

    fn summary(&self) -> String {
        let failed = self.failures().count();
        format!(
            "{}: {} passed, {failed} failed ({}; {}; {}, {:.0} s)",
            self.kernel,
            self.checks.len() - failed,
            initramfs::OBJECTS.join(", "),
            self.release,
            self.accelerator,
            self.took.as_secs_f32(),
        )
    }
}

fn test(kernel: &'static Kernel, job: &VmTest) -> Result<Outcome> {
    let image = kernel.fetch(job.refresh)?;
    let busybox = kernel.busybox(job.refresh)?;
    let agent = match &job.binary {
        Some(binary) => binary.clone(),
        None => dist::binary(kernel.arch)?,
    };
    let folder = workspace::target_dir()?.join("vm-test");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let compiler = match kernel.arch {
        arch if arch.name() == std::env::consts::ARCH => workload::host_compiler(),
        arch => kernel::cross_compiler(arch)?,
    };
    let workloads = Builder::new(&workspace::root()?, folder.join(kernel.arch.name()), compiler);
    let built = initramfs::PROGRAMS.iter().map(|name| Ok((*name, workloads.build(name)?)));
    let contents = Contents { busybox, agent, programs: built.collect::<Result<_>>()? };
    let initramfs = folder.join(format!("{}.cpio", kernel.name));
    fs::write(&initramfs, contents.pack()?)
        .with_context(|| format!("cannot write {}", initramfs.display()))?;

    let machine = Machine { arch: kernel.arch, kernel: &image.path, initramfs: &initramfs };
    let start = Instant::now();
    let boot = machine.boot()?;
    let took = start.elapsed();
    let log = folder.join(format!("{}.log", kernel.name));
    fs::write(&log, &boot.console).with_context(|| format!("cannot write {}", log.display()))?;
    let report = Report::read(&boot.console);
    let checks = check::all(&report, &contents)?;
    let _ = fs::remove_file(&initramfs); // a copy of what is elsewhere
    if checks.iter().all(|check| check.result.is_ok()) {
        let _ = fs::remove_file(&log); // nobody needs it
    }
    let release = report.release.unwrap_or_else(|| image.release.clone());
    Ok(Outcome { kernel: kernel.name, release, checks, accelerator: boot.accelerator, took, log })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_passed_and_what_failed() {
        let check = |result: Result<(), String>| Check { name: "modern: stacks".to_owned(), result };
        let outcome = Outcome {
            kernel: "5.10",
            release: "5.10.0-32-cloud-amd64".to_owned(),
            checks: vec![check(Ok(())), check(Err("no main".to_owned())), check(Ok(()))],
            accelerator: Accelerator::Emulation,
            took: Duration::from_millis(9_200),
            log: PathBuf::new(),
        };
        let summary = "5.10: 2 passed, 1 failed (modern, baseline; 5.10.0-32-cloud-amd64; emulated, 9 s)";
        assert_eq!(outcome.summary(), summary);
        assert_eq!(outcome.failures().collect::<Vec<_>>(), [("modern: stacks", "no main")]);
    }
}
