//! `cargo xtask setup`: finds what the other jobs need and installs what is not there.
//!
//! `need` says what is missing, the other modules install it. Every job calls [`ensure`] first, so nobody
//! has to call `setup` by hand; where all is there it costs a few process starts.

mod apt;
mod bpf;
mod grpc;
mod need;
mod venv;
mod zig;

use anyhow::{Result, bail};
use argh::FromArgs;

use crate::command;
use crate::privilege;
use crate::toolchain::Machine;
use need::{Missing, Remedy};

pub(crate) use need::Group;
pub(crate) use zig::venv as zig_venv;

/// Install what building and testing need; prints what and why.
#[derive(FromArgs)]
#[argh(subcommand, name = "setup")]
pub(crate) struct Setup {
    /// only say what is missing, and fail if anything is
    #[argh(switch)]
    check: bool,
    /// what to prepare for: build, test, dist, foreign, bench; build and test unless given
    #[argh(positional)]
    groups: Vec<Group>,
}

pub(crate) fn run(job: &Setup) -> Result<()> {
    let groups = if job.groups.is_empty() { &[Group::Build, Group::Test] } else { job.groups.as_slice() };
    if job.check {
        let missing = need::missing(&Machine::this(), groups);
        print(&missing);
        if !missing.is_empty() {
            bail!("{} missing; `cargo xtask setup` installs what it can", missing.len());
        }
    } else {
        ensure(groups)?;
    }
    println!("{}", bpf::describe(&Machine::this()));
    println!("ready");
    Ok(())
}

/// Installs what is missing for some groups; says nothing where nothing is.
pub(crate) fn ensure(groups: &[Group]) -> Result<()> {
    let missing = need::missing(&Machine::this(), groups);
    if missing.is_empty() {
        return Ok(());
    }
    print(&missing);
    install(missing)?;
    let left = need::missing(&Machine::this(), groups);
    if !left.is_empty() {
        print(&left);
        bail!("installing left {} missing", left.len());
    }
    Ok(())
}

fn print(missing: &[Missing]) {
    for one in missing {
        println!("missing: {} ({})", one.what, one.why);
    }
}

fn install(missing: Vec<Missing>) -> Result<()> {
    let machine = Machine::this();
    // One call for all packages, and before everything that may be built with them.
    let packages: Vec<&str> = missing.iter().filter_map(|one| one.remedy.package()).collect();
    apt::install(&machine, &packages)?;
    for one in missing {
        match one.remedy {
            Remedy::Package(_) => {}
            Remedy::BpfCompiler => bpf::install_compiler(&machine)?,
            Remedy::BpfLinker => bpf::install_linker(&machine)?,
            Remedy::MuslSource => zig::install_source(&machine)?,
            Remedy::Venv(venv) => venv.install(&machine)?,
            Remedy::Mount { kind, target } => mount(&machine, kind, target)?,
            Remedy::ByHand(advice) => bail!("{} is missing: {advice}", one.what),
        }
    }
    Ok(())
}

fn mount(machine: &Machine, kind: &str, target: &str) -> Result<()> {
    match privilege::as_root(machine, "mount") {
        Some(mut mount) => command::run(mount.args(["-t", kind, kind, target])),
        None => bail!("{target} is not mounted: as root, run `mount -t {kind} {kind} {target}`"),
    }
}
