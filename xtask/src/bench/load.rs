//! The sets of programs that the machine runs while profilers are measured.

use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;

use super::child::Owned;
use crate::workload::Builder;

/// A set of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Set {
    /// None.
    Idle,
    /// Two native loops.
    Busy,
    /// Stacks of 5 to 60 frames, with frame pointers and without.
    Deep,
    /// Native with and without frame pointers, Go, Python, Node, and 200 short processes a second.
    Mix,
}

impl Set {
    pub(super) const ALL: [Self; 4] = [Self::Idle, Self::Busy, Self::Deep, Self::Mix];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Deep => "deep",
            Self::Mix => "mix",
        }
    }

    /// Names and arguments of the workloads. Each ends by itself should nobody end it.
    fn workloads(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Self::Idle => &[],
            Self::Busy => &[("deep", &[LIFE]), ("nofp", &[LIFE])],
            Self::Deep => &[("deep", &[LIFE, "5", "60"]), ("deep-nofp", &[LIFE, "5", "60"])],
            Self::Mix => &[
                ("chain", &[LIFE]),
                ("nofp", &[LIFE]),
                ("gospin", &[LIFE]),
                ("spin.py", &[LIFE]),
                ("spin.js", &[LIFE]),
                ("churn", &[LIFE, "200", MOMENT, "2"]),
            ],
        }
    }
}

/// Seconds: longer than any bench.
pub(super) const LIFE: &str = "86400";

/// Stands for the program that lives for milliseconds.
const MOMENT: &str = "{moment}";

impl fmt::Display for Set {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Builds and starts a set; it ends when the result is dropped. A program whose language is not installed
/// is left out, and said to be.
pub(super) fn start(set: Set, workloads: &Builder) -> Result<Vec<Owned>> {
    start_all(set.workloads(), workloads)
}

/// The same for workloads by name, with arguments.
pub(super) fn start_all(programs: &[(&str, &[&str])], workloads: &Builder) -> Result<Vec<Owned>> {
    let mut running = Vec::new();
    for (name, arguments) in programs {
        let moment = workloads.build("moment").context("cannot build workload moment")?;
        let mut command = match workloads.command(name) {
            Ok(command) => command,
            Err(error) if error.is_absent_language() => {
                eprintln!("without {name}: {error}");
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot build workload {name}")),
        };
        for argument in *arguments {
            if *argument == MOMENT {
                command.arg(&moment)
            } else {
                command.arg(argument)
            };
        }
        match Owned::start_silent(&mut command) {
            Ok(process) => running.push(process),
            Err(error) => eprintln!("without {name}: {error:#}"),
        }
    }
    Ok(running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_made_of_workloads_that_exist() {
        for (name, _) in Set::ALL.into_iter().flat_map(|set| set.workloads()) {
            assert!(crate::workload::WORKLOADS.iter().any(|workload| workload.name == *name), "{name}");
        }
    }
}
