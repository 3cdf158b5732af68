//! What is in the virtual machine: a shell, the agent, programs to profile, and a script that brings them
//! together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::cpio::Archive;
use super::placement::{BRIEF_CONTAINER, CONTAINER, SERVICE};
use crate::elf::{self, Linkage};
use crate::symbols::Symbols;

/// The BPF objects that the script has the agent take, one after the other.
pub(super) const OBJECTS: [&str; 2] = ["modern", "baseline"];

/// The agent that the script runs in a pid namespace, in the names of what it sends.
pub(super) const CONTAINED: &str = "contained";

/// How long one profile takes.
pub(super) const PROFILE_SECONDS: u32 = 5;

/// The programs to profile, by their names as workloads.
pub(super) const PROGRAMS: [&str; 8] =
    ["chain", "syscalls", "nofp", "deep-nofp", "signal", "churn", "moment-nofp", "moment"];

/// How many frames the deepest stack has besides the first and the last. Before 5.17 the agent reaches 256.
pub(super) const DEPTH: usize = 200;

/// The script that the kernel starts. It knows the programs by the names they get here.
const INIT: &str = include_str!("init.sh");

/// What runs there, where this machine has it. All has to be static.
pub(super) struct Contents {
    pub(super) busybox: PathBuf,
    pub(super) agent: PathBuf,
    /// Where each of [`PROGRAMS`] is.
    pub(super) programs: BTreeMap<&'static str, PathBuf>,
}

impl Contents {
    /// The functions of a program to profile.
    pub(super) fn symbols(&self, program: &str) -> Result<Symbols> {
        let path = self.programs.get(program).with_context(|| format!("there is no program {program}"))?;
        Symbols::of(path)
    }

    /// The archive for the kernel to unpack.
    pub(super) fn pack(&self) -> Result<Vec<u8>> {
        let mut archive = Archive::new(Vec::new());
        archive.folder("bin")?;
        archive.program("init", script().as_bytes())?;
        archive.program("bin/busybox", &program(&self.busybox)?)?;
        for (name, path) in &self.programs {
            archive.program(&format!("bin/{name}"), &program(path)?)?;
        }
        archive.program("parca-agent", &program(&self.agent)?)?;
        Ok(archive.finish()?)
    }
}

fn script() -> String {
    INIT.replace("@OBJECTS@", &OBJECTS.join(" "))
        .replace("@PROFILE_SECONDS@", &PROFILE_SECONDS.to_string())
        .replace("@DEPTH@", &DEPTH.to_string())
        .replace("@SERVICE@", SERVICE)
        .replace("@CONTAINER@", CONTAINER)
        .replace("@BRIEF_CONTAINER@", BRIEF_CONTAINER)
}

/// A program that needs nothing else to start.
fn program(path: &Path) -> Result<Vec<u8>> {
    let contents = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    match elf::inspect(&contents) {
        Some((_, Linkage::Static)) => Ok(contents),
        Some(_) => bail!("{} is not static: it cannot start alone in a machine", path.display()),
        None => bail!("{} is no 64-bit ELF program", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_complete() {
        let script = script();
        assert!(script.contains("for object in modern baseline;"), "{script}");
        assert!(!script.replace("\"$@\"", "").contains('@'), "{script}");
        for program in PROGRAMS {
            assert!(script.split([' ', '/', '\n']).any(|word| word == program), "{program}");
        }
    }

    #[test]
    fn a_program_that_needs_libraries_is_refused() {
        let error = program(&std::env::current_exe().unwrap()).unwrap_err();
        assert!(error.to_string().contains("is not static"), "{error}");
    }
}
