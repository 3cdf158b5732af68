//! Where the project lies and where cargo puts what it builds.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cache, command, inner_cargo};

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> Result<PathBuf> {
    let xtask = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = xtask.as_deref().and_then(|folder| folder.parent());
    root.map(PathBuf::from).context("cannot tell where the project lies: start with `cargo xtask`")
}

/// A command of the cargo that started this program, in the workspace.
pub(crate) fn cargo(subcommand: &str) -> Result<Command> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()?).arg(subcommand);
    inner_cargo::forget_package(&mut cargo);
    Ok(cargo)
}

/// Cargo's target folder, wherever the user's settings put it.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let mut metadata = cargo("metadata")?;
    let text = command::output(metadata.args(["--no-deps", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target folder")?;
    Ok(PathBuf::from(folder))
}

/// A folder of this project's in the user's cache, for what outlives a checkout.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    cache::folder().context("neither XDG_CACHE_HOME nor HOME is set")
}
