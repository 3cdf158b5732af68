//! How the BPF programs are compiled and linked. The build script of the agent includes this file too,
//! so it uses the standard library alone.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::toolchain::{BPF_TARGET, Machine, Missing};

/// One BPF object: a binary of the crate `ebpf`.
pub(crate) struct Object {
    /// The name of the binary.
    pub(crate) name: &'static str,
    /// The instruction set it may use. Set for the linked binary only: the crates below it are bitcode
    /// for any instruction set.
    pub(crate) cpu: &'static str,
    /// Whether it describes its own types (BTF), which maps of maps need, and old kernels do not know.
    pub(crate) btf: bool,
}

/// Every object that the agent carries.
pub(crate) const OBJECTS: [Object; 2] = [
    // 32-bit arithmetic and jumps came with kernel 5.1; this object needs 5.8 for other reasons.
    Object { name: "modern", cpu: "v3", btf: true },
    // Kernel 4.18 knows no 32-bit jumps (v3), and its verifier tracks 32-bit arithmetic badly.
    Object { name: "baseline", cpu: "v1", btf: false },
];

/// Where and for which machine to build.
pub(crate) struct Build<'a> {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) workspace: &'a Path,
    /// Cargo's target folder; the objects get one of their own below it, shared by all profiles.
    pub(crate) target_dir: &'a Path,
    /// The architecture whose registers the programs read, as rustc names it.
    pub(crate) arch: &'a str,
    /// Whether a warning fails the build.
    pub(crate) deny_warnings: bool,
}

/// A finished object.
pub(crate) struct Built {
    pub(crate) path: PathBuf,
    /// What the compiler had to say: warnings.
    pub(crate) messages: String,
}

impl Build<'_> {
    /// Compiles and links one object.
    pub(crate) fn run(&self, machine: &Machine, object: &Object) -> Result<Built, BuildError> {
        let compiler = machine.bpf_compiler()?;
        let linker = machine.bpf_linker()?;
        let target_dir = self.target_dir.join("bpf").join(self.arch);
        let mut cargo = compiler.cargo("rustc");
        cargo
            .current_dir(self.workspace)
            .env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{}\"", self.arch))
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker)
            .args(["--quiet", "--package", "parca-agent-ebpf", "--bin", object.name])
            .args(["--profile", "bpf", "--target", BPF_TARGET, "--target-dir"])
            .arg(&target_dir)
            .args(["--", "-C", &format!("target-cpu={}", object.cpu)]);
        if object.btf {
            cargo.args(["-C", "debuginfo=2", "-C", "link-arg=--btf"]);
        }
        if self.deny_warnings {
            cargo.arg("-Dwarnings");
        }
        let output = cargo.output().map_err(BuildError::Start)?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(BuildError::Failed { object: object.name, messages });
        }
        Ok(Built { path: target_dir.join(BPF_TARGET).join("bpf").join(object.name), messages })
    }
}

/// Why an object was not built.
#[derive(Debug)]
pub(crate) enum BuildError {
    /// The machine lacks a part of the toolchain.
    Missing(Missing),
    /// Cargo did not start.
    Start(io::Error),
    /// The compiler or linker refused.
    Failed { object: &'static str, messages: String },
}

impl From<Missing> for BuildError {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => write!(formatter, "{missing}"),
            Self::Start(_) => write!(formatter, "cannot start cargo for the BPF programs"),
            Self::Failed { object, messages } => {
                write!(formatter, "BPF object {object} does not build:\n{messages}")
            }
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Missing(_) | Self::Failed { .. } => None,
            Self::Start(source) => Some(source),
        }
    }
}
