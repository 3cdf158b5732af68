//! The jobs of the build front door, and which module does each.

use anyhow::Result;
use argh::FromArgs;

use crate::{bench, build, dist, run, setup, test, tidy, vm_test};

/// Builds, runs, tests and ships parca-agent.
#[derive(FromArgs)]
pub(crate) struct Arguments {
    #[argh(subcommand)]
    pub(crate) job: Job,
}

#[derive(FromArgs)]
#[argh(subcommand)]
pub(crate) enum Job {
    Setup(setup::Setup),
    Build(build::Build),
    Run(run::Run),
    Test(test::Test),
    VmTest(vm_test::VmTest),
    Bench(bench::Bench),
    Dist(dist::Dist),
    Tidy(tidy::Tidy),
}

impl Job {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Setup(job) => setup::run(job),
            Self::Build(job) => build::run(job),
            Self::Run(job) => run::run(job),
            Self::Test(job) => test::run(job),
            Self::VmTest(job) => vm_test::run(job),
            Self::Bench(job) => bench::run(job),
            Self::Dist(job) => dist::run(job),
            Self::Tidy(job) => tidy::run(job),
        }
    }
}
