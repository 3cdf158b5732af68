//! `cargo xtask build`: the release binary for this machine.

use std::path::PathBuf;

use anyhow::Result;
use argh::FromArgs;

use crate::setup::{self, Group};
use crate::{command, workspace};

/// Build the agent for this machine, optimised.
#[derive(FromArgs)]
#[argh(subcommand, name = "build")]
pub(crate) struct Build {}

pub(crate) fn run(_: &Build) -> Result<()> {
    let agent = release()?;
    println!("{}", agent.display());
    Ok(())
}

/// Installs what building needs, builds, and returns the path of the binary.
pub(crate) fn release() -> Result<PathBuf> {
    setup::ensure(&[Group::Build])?;
    command::run(workspace::cargo("build")?.args(["--release", "--package", "parca-agent"]))?;
    Ok(workspace::target_dir()?.join("release/parca-agent"))
}
