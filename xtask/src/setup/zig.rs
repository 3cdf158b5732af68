//! Zig, which links static binaries for both architectures, and the standard library for musl.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::apt;
use super::need::{Missing, Remedy};
use super::venv::Venv;
use crate::command;
use crate::dist::musl;
use crate::toolchain::Machine;

const VENV: Venv = Venv {
    packages: &["ziglang==0.17.1", "cargo-zigbuild==0.24.0"],
    programs: &["cargo-zigbuild", "python-zig"],
    why: "links static binaries for both architectures",
};

/// The virtual environment that holds it.
pub(crate) fn venv() -> Result<PathBuf> {
    VENV.folder()
}

pub(super) fn missing(machine: &Machine) -> Vec<Missing> {
    let mut missing = VENV.missing(machine);
    if musl::road().is_none() {
        missing.push(Missing {
            what: "Rust's standard library for musl".to_owned(),
            why: "static binaries contain it",
            remedy: Remedy::MuslSource,
        });
    }
    missing
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
