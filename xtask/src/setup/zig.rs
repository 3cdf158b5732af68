//! Zig, which links static binaries for both architectures, and the standard library for musl.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::apt;
use super::need::{Missing, Remedy};
use crate::dist::musl;
use crate::toolchain::Machine;
use crate::{command, workspace};

/// Both as Python packages: they bring binaries and need no root.
const PACKAGES: [&str; 2] = ["ziglang==0.17.1", "cargo-zigbuild==0.24.0"];

/// The virtual environment that holds them; another pair of versions gets another folder.
pub(crate) fn venv() -> Result<PathBuf> {
    let versions = PACKAGES.map(|package| package.replace("==", "-")).join("-");
    Ok(workspace::cache_dir()?.join(versions))
}

pub(super) fn missing(machine: &Machine) -> Vec<Missing> {
    let mut missing = Vec::new();
    if !venv().is_ok_and(|venv| is_complete(&venv)) {
        if machine.find("python3").is_none() {
            missing.push(python("python3"));
        }
        if !command::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
            missing.push(python("python3-venv"));
        }
        missing.push(Missing {
            what: PACKAGES.join(" and "),
            why: "links static binaries for both architectures",
            remedy: Remedy::ZigVenv,
        });
    }
    if musl::road().is_none() {
        missing.push(Missing {
            what: "Rust's standard library for musl".to_owned(),
            why: "static binaries contain it",
            remedy: Remedy::MuslSource,
        });
    }
    missing
}

fn python(package: &'static str) -> Missing {
    let why = "its packages bring Zig without root";
    Missing { what: package.to_owned(), why, remedy: Remedy::Package(package) }
}

/// pip writes the programs of a package after its files, and the packages in one go.
fn is_complete(venv: &Path) -> bool {
    ["cargo-zigbuild", "python-zig"].iter().all(|program| venv.join("bin").join(program).is_file())
}

pub(super) fn install(machine: &Machine) -> Result<()> {
    let venv = venv()?;
    let python = machine.find("python3").context("python3 is not in PATH")?;
    command::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv))?;
    command::run(Command::new(venv.join("bin/pip")).args(["install", "--quiet"]).args(PACKAGES))
}

/// rustup's libraries for musl where it can reach its server, else the source from Debian.
pub(super) fn install_source(machine: &Machine) -> Result<()> {
    if let Some(rustup) = machine.find("rustup") {
        match command::run(Command::new(rustup).args(["target", "add"]).args(musl::TRIPLES)) {
            Ok(()) => return Ok(()),
            Err(error) => println!("rustup cannot ({error}); trying the distribution's source"),
        }
    }
    apt::install(machine, &["rustc-web", "cargo-web", "rust-web-src"])
}
