//! The agent's worker.

use anyhow::Context;
use std::path::PathBuf;

/// The program that it is: the one that `AGENT` names, or `parca-agent` beside the folder of the example.
pub(crate) fn agent() -> anyhow::Result<PathBuf> {
    if let Some(program) = std::env::var_os("AGENT") {
        return Ok(program.into());
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(|examples| examples.parent()).context("no folder")?;
    Ok(folder.join("parca-agent"))
}

/// Most memory that a process has had, KiB; 0 if it is gone.
pub(crate) fn peak(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
