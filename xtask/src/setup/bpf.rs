//! The compiler and the linker of the BPF programs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt;
use super::need::{Missing, Remedy};
use crate::command;
use crate::toolchain::{self, Machine, NIGHTLY};

/// The version the project is built with. Another may choose other instructions, which the verifiers of
/// old kernels may refuse.
const LINKER_VERSION: &str = "0.13.0";

/// Debian's LLVM that reads the bitcode of both compilers.
const LLVM: &str = "/usr/lib/llvm-22";

const COMPILER_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];
const LINKER_PACKAGES: [&str; 4] = ["llvm-22-dev", "libpolly-22-dev", "zlib1g-dev", "libzstd-dev"];

pub(super) fn missing(machine: &Machine) -> Vec<Missing> {
    let mut missing = Vec::new();
    if machine.bpf_compiler().is_err() {
        missing.push(Missing {
            what: "a compiler with core for bpfel-unknown-none".to_owned(),
            why: "compiles the BPF programs",
            remedy: Remedy::BpfCompiler,
        });
    }
    if !machine.bpf_linker().is_ok_and(|linker| has_version(&linker)) {
        missing.push(Missing {
            what: format!("bpf-linker {LINKER_VERSION}"),
            why: "links the BPF programs",
            remedy: Remedy::BpfLinker,
        });
    }
    missing
}

/// One line: which road the BPF programs take on this machine.
pub(super) fn describe(machine: &Machine) -> String {
    match machine.bpf_compiler() {
        Ok(compiler) => format!("BPF programs: {compiler}"),
        Err(missing) => format!("BPF programs: {missing}"),
    }
}

fn has_version(linker: &Path) -> bool {
    let version = command::output(Command::new(linker).arg("--version"));
    version.is_ok_and(|version| version.trim() == format!("bpf-linker {LINKER_VERSION}"))
}

/// rustup's nightly of one day where rustup is and can reach its server, else Debian's packages.
pub(super) fn install_compiler(machine: &Machine) -> Result<()> {
    if let Some(rustup) = machine.find("rustup") {
        let mut install = Command::new(rustup);
        toolchain::isolate(&mut install);
        install.args(["toolchain", "install", NIGHTLY, "--profile=minimal", "--component=rust-src"]);
        match command::run(&mut install) {
            Ok(()) => return Ok(()),
            Err(error) => println!("rustup cannot ({error}); trying the distribution's compiler"),
        }
    } else {
        println!("there is no rustup; trying the distribution's compiler");
    }
    apt::install(machine, &COMPILER_PACKAGES).context(
        "no compiler for the BPF programs: either install rustup, with access to its server, for a \
         nightly toolchain with rust-src, or use a Debian release that has rustc-web and \
         libstd-rust-web-dev-bpf",
    )
}

/// Against Debian's LLVM where that is to be had, else against the LLVM of the Rust compiler itself.
pub(super) fn install_linker(machine: &Machine) -> Result<()> {
    let cargo = machine.find("cargo").context("cargo is not in PATH")?;
    let mut install = Command::new(cargo);
    toolchain::isolate(&mut install);
    install.args(["install", "--locked", "--force", "bpf-linker", "--version", LINKER_VERSION]);
    match linker_libraries(machine) {
        Ok(()) => {
            // Without the prefix it takes the first llvm-config in PATH, whatever its version.
            install.env("LLVM_PREFIX", LLVM).args(["--no-default-features", "--features=llvm-22"]);
        }
        Err(error) => println!("no LLVM 22 of the distribution ({error:#}); using the Rust compiler's own"),
    }
    command::run(&mut install).context("cannot install bpf-linker")
}

fn linker_libraries(machine: &Machine) -> Result<()> {
    if machine.find("apt-get").is_none() && !Path::new(LLVM).join("bin/llvm-config").is_file() {
        bail!("there is no apt");
    }
    let absent: Vec<&str> =
        LINKER_PACKAGES.into_iter().filter(|package| !apt::is_installed(package)).collect();
    apt::install(machine, &absent)
}
