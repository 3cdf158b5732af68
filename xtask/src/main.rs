//! The build front door: `cargo xtask help` lists what it does. One module holds one job.

mod bench;
mod bpf;
mod build;
mod cache;
mod command;
mod dist;
mod elf;
mod inner_cargo;
mod job;
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

fn main() -> ExitCode {
    let arguments: job::Arguments = argh::from_env();
    match arguments.job.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
