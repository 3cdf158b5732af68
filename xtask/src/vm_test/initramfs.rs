//! What is in the virtual machine: a shell, the agent, programs to profile, and a script that brings them
//! together.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::cpio::Archive;
use crate::elf::{self, Linkage};

/// The BPF objects that the script has the agent take, one after the other.
pub(super) const OBJECTS: [&str; 2] = ["modern", "baseline"];

/// How long one profile takes.
pub(super) const PROFILE_SECONDS: u32 = 3;

/// The script that the kernel starts. It knows the programs by the names they get here.
const INIT: &str = include_str!("init.sh");

/// The programs, where this machine has them. All have to be static.
pub(super) struct Contents {
    pub(super) busybox: PathBuf,
    pub(super) agent: PathBuf,
    pub(super) chain: PathBuf,
    pub(super) syscalls: PathBuf,
}

impl Contents {
    /// The archive for the kernel to unpack.
    pub(super) fn pack(&self) -> Result<Vec<u8>> {
        let mut archive = Archive::new(Vec::new());
        archive.folder("bin")?;
        archive.program("init", script().as_bytes())?;
        archive.program("bin/busybox", &program(&self.busybox)?)?;
        archive.program("bin/chain", &program(&self.chain)?)?;
        archive.program("bin/syscalls", &program(&self.syscalls)?)?;
        archive.program("parca-agent", &program(&self.agent)?)?;
        Ok(archive.finish()?)
    }
}

fn script() -> String {
    INIT.replace("@OBJECTS@", &OBJECTS.join(" ")).replace("@PROFILE_SECONDS@", &PROFILE_SECONDS.to_string())
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
        assert!(!script.contains('@'), "{script}");
    }

    #[test]
    fn a_program_that_needs_libraries_is_refused() {
        let error = program(&std::env::current_exe().unwrap()).unwrap_err();
        assert!(error.to_string().contains("is not static"), "{error}");
    }
}
