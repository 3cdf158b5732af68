//! `cargo xtask dist`: the static binaries that are shipped.

pub(crate) mod musl;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use argh::FromArgs;

use crate::elf::{self, Linkage};
use crate::setup::{self, Group};
use crate::toolchain::Machine;
use crate::{command, workspace};

/// A shipped binary is copied to every node of a fleet; past this size something crept in.
const MAX_SIZE: usize = 8 << 20;

/// Build static binaries into `target/dist`.
#[derive(FromArgs)]
#[argh(subcommand, name = "dist")]
pub(crate) struct Dist {
    /// x86_64 or aarch64, may be given twice; this machine's unless given
    #[argh(option)]
    arch: Vec<Arch>,
}

/// The architectures the agent is shipped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    X86_64,
    Aarch64,
}

impl Arch {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// What runs its programs on this machine; none if the machine itself does.
    fn emulator(self) -> Option<&'static str> {
        let emulator = match self {
            Self::X86_64 => "qemu-x86_64-static",
            Self::Aarch64 => "qemu-aarch64-static",
        };
        (self.name() != std::env::consts::ARCH).then_some(emulator)
    }

    /// The number of the architecture in an ELF header.
    fn machine(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::X86_64, Self::Aarch64].into_iter().find(|arch| arch.name() == text);
        known.ok_or_else(|| format!("`{text}` is neither x86_64 nor aarch64"))
    }
}

pub(crate) fn run(job: &Dist) -> Result<()> {
    let own = || std::env::consts::ARCH.parse().map_err(anyhow::Error::msg);
    let arches = if job.arch.is_empty() { vec![own()?] } else { job.arch.clone() };
    for arch in arches {
        binary(arch)?;
    }
    Ok(())
}

/// Installs what building needs, builds, and returns the path of the binary.
pub(crate) fn binary(arch: Arch) -> Result<PathBuf> {
    setup::ensure(&[Group::Dist])?;
    let road = musl::road().context("there is no standard library for musl")?;
    println!("{}", road.describe(&Machine::this()));
    let target_dir = workspace::target_dir()?;
    let triple = format!("{}-unknown-linux-musl", arch.name());
    let mut zigbuild = road.build(&triple)?;
    zigbuild.args(["--package", "parca-agent", "--bin", "parca-agent", "--profile", "dist", "--target-dir"]);
    command::run(zigbuild.arg(&target_dir))?;

    let built = target_dir.join(triple).join("dist/parca-agent");
    let size = verify(&built, arch)?;
    start(&built, arch)?;
    let shipped = target_dir.join("dist").join(format!("parca-agent-{}", arch.name()));
    fs::create_dir_all(target_dir.join("dist")).context("cannot make target/dist")?;
    fs::copy(&built, &shipped).with_context(|| format!("cannot write {}", shipped.display()))?;
    println!("{}: static, {:.2} MB", shipped.display(), megabytes(size));
    Ok(shipped)
}

/// Starts a binary for the first time, on another architecture in an emulator.
fn start(path: &Path, arch: Arch) -> Result<()> {
    let mut command = match arch.emulator() {
        None => Command::new(path),
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.arg(path);
            command
        }
    };
    command::run(command.arg("--version")).context("it does not start")
}

/// Refuses a binary that needs anything of the machine it starts on, or is too large; returns its size.
fn verify(path: &Path, arch: Arch) -> Result<usize> {
    let file = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    check(&file, arch).with_context(|| format!("{} cannot be shipped", path.display()))?;
    Ok(file.len())
}

fn check(file: &[u8], arch: Arch) -> Result<()> {
    let Some((machine, linkage)) = elf::inspect(file) else { bail!("it is no 64-bit ELF file") };
    if machine != arch.machine() {
        bail!("it is for ELF machine {machine}, not for {}", arch.name());
    }
    match linkage {
        Linkage::Static => {}
        Linkage::Interpreter => bail!("it needs a program interpreter"),
        Linkage::Libraries => bail!("it needs shared libraries"),
    }
    if file.len() > MAX_SIZE {
        bail!("it has {:.2} MB, more than {:.2}", megabytes(file.len()), megabytes(MAX_SIZE));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A static ELF file without segments.
    fn elf(machine: u16, size: usize) -> Vec<u8> {
        let mut file = vec![0; size];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file
    }

    #[test]
    fn only_a_small_static_binary_of_the_architecture_is_shipped() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let host: Arch = std::env::consts::ARCH.parse().unwrap();
        let cases = [
            (elf(62, 64), Arch::X86_64, None),
            (elf(183, MAX_SIZE), Arch::Aarch64, None),
            (elf(62, 64), Arch::Aarch64, Some("ELF machine 62")),
            (elf(62, MAX_SIZE + 1), Arch::X86_64, Some("more than")),
            (b"#!/bin/sh".to_vec(), Arch::X86_64, Some("no 64-bit ELF")),
            (own, host, Some("needs a program interpreter")),
        ];
        for (file, arch, refusal) in cases {
            let answer = check(&file, arch).map_err(|error| error.to_string());
            match refusal {
                None => assert_eq!(answer, Ok(())),
                Some(refusal) => assert!(answer.unwrap_err().contains(refusal), "{refusal}"),
            }
        }
    }
}
