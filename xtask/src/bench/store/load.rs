//! The example `store_load`, which sends made-up windows as the agent does and tells what that took.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Programs;
use crate::bench::child::Owned;
use crate::metrics::Metrics;

/// Windows to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) targets: u64,
    pub(super) number: u64,
    /// In each of them.
    pub(super) samples: u64,
}

/// The running example.
pub(super) struct Load {
    /// Killed when this is dropped.
    _process: Owned,
    lines: BufReader<ChildStdout>,
}

/// What it took up to a moment.
#[derive(Debug, Deserialize)]
pub(super) struct Phase {
    phase: String,
    /// Samples of all windows.
    pub(super) samples: u64,
    /// Without that of making windows.
    pub(super) cpu_seconds: f64,
    pub(super) peak_kib: u64,
    metrics: String,
}

impl Load {
    pub(super) fn start(
        programs: &Programs,
        store: &str,
        windows: Windows,
        spool: Option<&Path>,
    ) -> Result<Self> {
        let mut command = Command::new(&programs.load);
        command.arg(store);
        command.args([windows.targets, windows.number, windows.samples].map(|number| number.to_string()));
        command.args(spool).stdout(Stdio::piped());
        let mut process = Owned::start(&mut command)?;
        let lines = BufReader::new(process.child().stdout.take().context("no output")?);
        Ok(Self { _process: process, lines })
    }

    /// What it tells at the end of a phase, once it is there.
    pub(super) fn wait_for(&mut self, phase: &str) -> Result<Phase> {
        let mut line = String::new();
        self.lines.read_line(&mut line).context("the load cannot be read")?;
        let told: Phase =
            serde_json::from_str(&line).with_context(|| format!("the load ended before {phase}"))?;
        ensure!(told.phase == phase, "the load tells of {} and not of {phase}", told.phase);
        Ok(told)
    }
}

impl Phase {
    pub(super) fn metrics(&self) -> Metrics {
        Metrics::parse(&self.metrics)
    }
}
