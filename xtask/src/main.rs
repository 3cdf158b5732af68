//! The build front door: `cargo xtask help` lists what it does. One module holds one job.

mod bench;
mod bpf;
mod build;
mod command;
mod dist;
mod elf;
mod metrics;
mod pprof;
mod privilege;
mod run;
mod setup;
mod symbols;
mod test;
mod tidy;
mod toolchain;
mod vm_test;
mod workload;
mod workspace;

use std::process::ExitCode;

use argh::FromArgs;

/// Builds, runs, tests and ships parca-agent.
#[derive(FromArgs)]
struct Arguments {
    #[argh(subcommand)]
    job: Job,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Job {
    Setup(setup::Setup),
    Build(build::Build),
    Run(run::Run),
    Test(test::Test),
    VmTest(vm_test::VmTest),
    Bench(bench::Bench),
    Dist(dist::Dist),
    Tidy(tidy::Tidy),
}

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    match run(&arguments.job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(job: &Job) -> anyhow::Result<()> {
    match job {
        Job::Setup(job) => setup::run(job),
        Job::Build(job) => build::run(job),
        Job::Run(job) => run::run(job),
        Job::Test(job) => test::run(job),
        Job::VmTest(job) => vm_test::run(job),
        Job::Bench(job) => bench::run(job),
        Job::Dist(job) => dist::run(job),
        Job::Tidy(job) => tidy::run(job),
    }
}
