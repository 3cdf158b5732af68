//! What sending to a store costs, what an outage of it costs, and what debug information costs.
//!
//! | file | what it holds |
//! |---|---|
//! | `writing`, `outage` | what is measured, with windows that the example `store_load` makes |
//! | `uploads` | debug information of this machine's files |
//! | `load` | the example of windows, and what it tells |
//! | `server` | the server of the tests, which counts what it got |
//!
//! Times are for comparison within one run; only samples that do not arrive are judged.

mod load;
mod outage;
mod server;
mod uploads;
mod writing;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

use super::contender::Tools;
use super::verdict::Verdict;
use crate::{command, workspace};
use outage::Outage;
use uploads::Uploads;
use writing::Writing;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Store {
    writing: Writing,
    outage: Outage,
    uploads: Uploads,
}

/// What was built for it.
struct Programs {
    load: PathBuf,
    uploads: PathBuf,
    server: PathBuf,
}

impl Store {
    /// Builds what it takes, and measures one after the other.
    pub(super) fn measure(tools: &Tools) -> Result<Self> {
        let programs = Programs::build()?;
        Ok(Self {
            writing: writing::measure(&programs).context("cannot measure writing")?,
            outage: outage::measure(&programs).context("cannot measure an outage")?,
            uploads: uploads::measure(&programs, tools).context("cannot measure uploads")?,
        })
    }

    /// What the agent promises of a store.
    pub(super) fn verdicts(&self) -> [Verdict; 3] {
        [
            Verdict::at_most("samples that did not arrive", 0.0, Some(self.writing.missing())),
            Verdict::at_most("samples missing unsaid after an outage", 0.0, Some(self.outage.missing())),
            Verdict::at_most("samples dropped beside a spool", 0.0, Some(self.outage.dropped_with_spool())),
        ]
    }
}

impl Programs {
    fn build() -> Result<Self> {
        let examples = ["--example", "store_load", "--example", "debuginfo_load"];
        command::run(workspace::cargo("build")?.arg("--release").args(examples))?;
        command::run(workspace::cargo("build")?.args(["--release", "--package", "peer"]))?;
        let release = workspace::target_dir()?.join("release");
        let examples = release.join("examples");
        Ok(Self {
            load: examples.join("store_load"),
            uploads: examples.join("debuginfo_load"),
            server: release.join("peer"),
        })
    }
}

impl fmt::Display for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "store")?;
        self.writing.fmt(formatter)?;
        self.outage.fmt(formatter)?;
        self.uploads.fmt(formatter)
    }
}
