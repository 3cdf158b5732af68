//! Python packages, each set in a virtual environment of its own: they bring programs and need no root.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::need::{Missing, Remedy};
use crate::toolchain::Machine;
use crate::{cache, command};

/// Packages that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Venv {
    /// With their versions.
    pub(super) packages: &'static [&'static str],
    /// Programs of theirs. pip writes those of a package after its files, and the packages in one go.
    pub(super) programs: &'static [&'static str],
    pub(super) why: &'static str,
}

impl Venv {
    /// Where it is, or will be.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        cache::venv(self.packages).context("neither XDG_CACHE_HOME nor HOME is set")
    }

    pub(super) fn missing(self, machine: &Machine) -> Vec<Missing> {
        let mut missing = Vec::new();
        if !self.is_complete() {
            if machine.find("python3").is_none() {
                missing.push(python("python3"));
            }
            if !command::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
                missing.push(python("python3-venv"));
            }
            missing.push(Missing {
                what: self.packages.join(" and "),
                why: self.why,
                remedy: Remedy::Venv(self),
            });
        }
        missing
    }

    fn is_complete(&self) -> bool {
        let is_there =
            |program: &&str| self.folder().is_ok_and(|folder| folder.join("bin").join(program).is_file());
        self.programs.iter().all(is_there)
    }

    pub(super) fn install(&self, machine: &Machine) -> Result<()> {
        let folder = self.folder()?;
        let python = machine.find("python3").context("python3 is not in PATH")?;
        command::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
        command::run(Command::new(folder.join("bin/pip")).args(["install", "--quiet"]).args(self.packages))
    }
}

fn python(package: &'static str) -> Missing {
    let why = "its packages bring programs without root";
    Missing { what: package.to_owned(), why, remedy: Remedy::Package(package) }
}
