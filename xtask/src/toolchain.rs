//! Which compiler and linker on this machine build BPF programs.
//!
//! The build script of the agent includes this file too, so that the choice is made in one place; it
//! therefore uses the standard library alone and holds nothing that only one of the two needs.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of every BPF object: all Linux machines the agent runs on are little-endian.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";

/// Where Debian's compilers live. They are named by path because rustup's proxies come first in `PATH`.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// rustup's toolchain for BPF programs: a nightly, for it builds `core` itself, of one day, for the linker reads
/// no bitcode of an LLVM newer than its own. Both have LLVM 22.
pub(crate) const NIGHTLY: &str = "nightly-2026-05-15";

/// The places where programs and toolchains are looked for.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Folders of `PATH`, then cargo's own folder for installed programs, which need not be in it.
    folders: Vec<PathBuf>,
    /// Debian's sysroot: `/usr`, except under test.
    debian_sysroot: PathBuf,
}

impl Machine {
    /// This machine, as `PATH`, `CARGO_HOME` and `HOME` describe it.
    pub(crate) fn this() -> Self {
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain(cargo_home.map(|home| home.join("bin"))).collect();
        Self { folders, debian_sysroot: PathBuf::from("/usr") }
    }

    /// The full path of a program.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
    }

    /// The compiler to build BPF programs with. Debian's goes first where it is complete: its `core` is
    /// prebuilt and it does not change from night to night.
    pub(crate) fn bpf_compiler(&self) -> Result<BpfCompiler, Missing> {
        let core = self.debian_sysroot.join("lib/rustlib").join(BPF_TARGET);
        if core.is_dir() && Path::new(DEBIAN_RUSTC).is_file() && Path::new(DEBIAN_CARGO).is_file() {
            return Ok(BpfCompiler::Debian);
        }
        self.nightly_with_source().map(BpfCompiler::Nightly).ok_or(Missing::BpfCompiler)
    }

    /// The linker to build BPF programs with.
    pub(crate) fn bpf_linker(&self) -> Result<PathBuf, Missing> {
        self.find("bpf-linker").ok_or(Missing::BpfLinker)
    }

    /// The path of `rustup`, if it has [`NIGHTLY`] with the source of `core`.
    fn nightly_with_source(&self) -> Option<PathBuf> {
        let rustup = self.find("rustup")?;
        let mut sysroot = Command::new(&rustup);
        isolate(&mut sysroot);
        let answer = sysroot.args(["run", NIGHTLY, "rustc", "--print", "sysroot"]).output().ok()?;
        let sysroot = String::from_utf8(answer.stdout).ok()?;
        let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
        (answer.status.success() && source.is_dir()).then_some(rustup)
    }
}

/// A compiler that can build for [`BPF_TARGET`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BpfCompiler {
    /// Debian's, with the prebuilt `core` of the package `libstd-rust-web-dev-bpf`.
    Debian,
    /// rustup's [`NIGHTLY`], which builds `core` from the component `rust-src`. Holds the path of `rustup`.
    Nightly(PathBuf),
}

impl BpfCompiler {
    /// A cargo command of this toolchain that knows nothing of a cargo around it.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        match self {
            Self::Debian => {
                let mut cargo = Command::new(DEBIAN_CARGO);
                isolate(&mut cargo);
                // aya-ebpf uses one unstable feature.
                cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").arg(subcommand);
                cargo
            }
            Self::Nightly(rustup) => {
                let mut cargo = Command::new(rustup);
                isolate(&mut cargo);
                cargo.args(["run", NIGHTLY, "cargo", subcommand, "-Zbuild-std=core"]);
                cargo
            }
        }
    }
}

impl fmt::Display for BpfCompiler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian => write!(formatter, "Debian's rustc with prebuilt core ({DEBIAN_RUSTC})"),
            Self::Nightly(_) => write!(formatter, "rustup's {NIGHTLY} with rust-src"),
        }
    }
}

/// What has to be installed before BPF programs can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// No compiler has `core` for [`BPF_TARGET`].
    BpfCompiler,
    /// No `bpf-linker`.
    BpfLinker,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::BpfCompiler => {
                "no compiler for BPF: neither Debian's rustc with core for bpfel-unknown-none \
                 nor rustup's nightly with rust-src"
            }
            Self::BpfLinker => "bpf-linker is neither in PATH nor in cargo's bin folder",
        };
        write!(formatter, "{what}; `cargo xtask setup` installs it")
    }
}

impl std::error::Error for Missing {}

/// Removes what an outer cargo or rustup left in the environment and would misdirect an inner one.
/// Settings of the user's about network, registries and output stay.
pub(crate) fn isolate(command: &mut Command) {
    for (name, _) in env::vars_os().filter(|(name, _)| leaks(name)) {
        command.env_remove(name);
    }
}

fn leaks(name: &OsString) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    const PREFIXES: [&str; 5] = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "DEP_"];
    const NAMES: [&str; 9] = [
        "DEBUG",
        "HOST",
        "LD_LIBRARY_PATH",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTUP_TOOLCHAIN",
        "TARGET",
    ];
    let name = name.to_string_lossy();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    NAMES.contains(&name.as_ref()) || (starts(&PREFIXES) && !starts(&KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn bare_machine(name: &str) -> Machine {
        let folder = env::temp_dir().join(format!("xtask-toolchain-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Machine { folders: vec![folder.clone()], debian_sysroot: folder }
    }

    #[test]
    fn a_bare_machine_has_neither_compiler_nor_linker() {
        let machine = bare_machine("bare");
        assert_eq!(machine.bpf_compiler(), Err(Missing::BpfCompiler));
        assert_eq!(machine.bpf_linker(), Err(Missing::BpfLinker));
    }

    #[test]
    fn a_program_is_found_in_a_folder_that_is_searched() {
        let machine = bare_machine("program");
        let linker = machine.folders[0].join("bpf-linker");
        fs::write(&linker, "").unwrap();
        assert_eq!(machine.bpf_linker(), Ok(linker));
    }

    #[test]
    fn what_is_missing_names_the_command_that_installs_it() {
        for missing in [Missing::BpfCompiler, Missing::BpfLinker] {
            assert!(missing.to_string().contains("cargo xtask setup"), "{missing}");
        }
    }

    #[test]
    fn an_outer_cargo_leaks_but_the_users_settings_do_not() {
        let cases = [
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_MAKEFLAGS", true),
            ("RUSTC_WRAPPER", true),
            ("RUSTFLAGS", true),
            ("RUSTUP_TOOLCHAIN", true),
            ("TARGET", true),
            ("CARGO_HOME", false),
            ("CARGO_HTTP_PROXY", false),
            ("CARGO_REGISTRIES_MINE_INDEX", false),
            ("RUSTUP_HOME", false),
            ("PATH", false),
        ];
        for (name, expected) in cases {
            assert_eq!(leaks(&OsString::from(name)), expected, "{name}");
        }
    }
}
