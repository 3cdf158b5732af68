//! The programs to profile, and how each is compiled. Their sources in `tests/workloads` say what stacks
//! they make.
//!
//! The black-box tests include this file too, so it uses the standard library alone; its own tests are
//! among them.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// One program to profile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// The name of the program's file, and so its command name unless it is interpreted.
    pub(crate) name: &'static str,
    source: &'static str,
    language: Language,
}

#[derive(Clone, Copy, Debug)]
enum Language {
    /// Compiled into a static executable, which also starts where nothing else is installed.
    C(FramePointers),
    Go,
    /// Started as it is by this interpreter.
    Script(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum FramePointers {
    Kept,
    Omitted,
}

/// Every workload.
pub(crate) const WORKLOADS: [Workload; 15] = [
    c("chain", "chain.c", FramePointers::Kept),
    c("nofp", "chain.c", FramePointers::Omitted),
    c("deep", "deep.c", FramePointers::Kept),
    c("deep-nofp", "deep.c", FramePointers::Omitted),
    c("syscalls", "syscalls.c", FramePointers::Kept),
    c("moment", "moment.c", FramePointers::Kept),
    c("moment-nofp", "moment.c", FramePointers::Omitted),
    c("churn", "churn.c", FramePointers::Kept),
    c("threads", "threads.c", FramePointers::Kept),
    c("hostile", "hostile.c", FramePointers::Kept),
    c("signal", "signal.c", FramePointers::Omitted),
    c("member", "member.c", FramePointers::Kept),
    Workload { name: "gospin", source: "gospin/main.go", language: Language::Go },
    Workload { name: "spin.py", source: "spin.py", language: Language::Script("python3") },
    Workload { name: "spin.js", source: "spin.js", language: Language::Script("node") },
];

const fn c(name: &'static str, source: &'static str, frame_pointers: FramePointers) -> Workload {
    Workload { name, source, language: Language::C(frame_pointers) }
}

/// Symbols stay, so that a test can compare addresses with them. Neither inlining across the frames nor
/// turning a last call into a jump may hide a function.
const C_FLAGS: [&str; 6] = ["-std=gnu11", "-O2", "-g", "-static", "-pthread", "-fno-optimize-sibling-calls"];

/// Leaf functions keep theirs too: else the caller of a leaf is missing in every stack.
const FRAME_POINTERS: [&str; 2] = ["-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"];

/// Where there are no frame pointers, CFI has to say all, at every instruction.
const NO_FRAME_POINTERS: [&str; 2] = ["-fomit-frame-pointer", "-fasynchronous-unwind-tables"];

/// The C compiler for this machine: what `CC` names, or `cc`.
pub(crate) fn host_compiler() -> Vec<OsString> {
    vec![std::env::var_os("CC").unwrap_or_else(|| "cc".into())]
}

/// Builds workloads from the sources in one folder into another.
#[derive(Clone, Debug)]
pub(crate) struct Builder {
    sources: PathBuf,
    output: PathBuf,
    /// The C compiler and its first arguments.
    compiler: Vec<OsString>,
}

impl Builder {
    /// `workspace` is the folder of the workspace's `Cargo.toml`.
    pub(crate) fn new(workspace: &Path, output: PathBuf, compiler: Vec<OsString>) -> Self {
        Self { sources: workspace.join("tests/workloads"), output, compiler }
    }

    /// Builds the workload of that name and gives the command that starts it, without its own arguments.
    pub(crate) fn command(&self, name: &str) -> Result<Command, WorkloadError> {
        let workload = find(name)?;
        let program = self.build(name)?;
        Ok(match workload.language {
            Language::C(_) | Language::Go => Command::new(program),
            Language::Script(interpreter) => {
                let mut command = Command::new(interpreter);
                command.arg(program);
                command
            }
        })
    }

    /// Builds the workload of that name. A script is its own program.
    pub(crate) fn build(&self, name: &str) -> Result<PathBuf, WorkloadError> {
        let workload = find(name)?;
        let source = self.sources.join(workload.source);
        if let Language::Script(_) = workload.language {
            return Ok(source);
        }
        fs::create_dir_all(&self.output).map_err(WorkloadError::Write)?;
        let program = self.output.join(workload.name);
        // Another test, or another thread of this one, may be building or running the same program: it is put in
        // place whole.
        static BUILDS: AtomicU64 = AtomicU64::new(0);
        let number = BUILDS.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.output.join(format!("{}.{}.{number}", workload.name, std::process::id()));
        let mut compiler = match workload.language {
            Language::C(frame_pointers) => self.c(frame_pointers),
            Language::Go | Language::Script(_) => go(),
        };
        compiler.arg("-o").arg(&unfinished).arg(&source);
        let output =
            compiler.output().map_err(|source| WorkloadError::Start { name: workload.name, source })?;
        if !output.status.success() {
            let messages = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(WorkloadError::Compile { name: workload.name, messages });
        }
        fs::rename(&unfinished, &program).map_err(WorkloadError::Write)?;
        Ok(program)
    }

    fn c(&self, frame_pointers: FramePointers) -> Command {
        let (program, arguments) = self
            .compiler
            .split_first()
            .map_or((OsString::new(), &[][..]), |(first, rest)| (first.clone(), rest));
        let mut compiler = Command::new(program);
        compiler.args(arguments).args(C_FLAGS);
        match frame_pointers {
            FramePointers::Kept => compiler.args(FRAME_POINTERS),
            FramePointers::Omitted => compiler.args(NO_FRAME_POINTERS),
        };
        compiler
    }
}

fn go() -> Command {
    let mut go = Command::new("go");
    go.env("GO111MODULE", "off").env("CGO_ENABLED", "0").arg("build");
    go
}

fn find(name: &str) -> Result<Workload, WorkloadError> {
    let found = WORKLOADS.into_iter().find(|workload| workload.name == name);
    found.ok_or_else(|| WorkloadError::Unknown(name.to_owned()))
}

/// Why a workload was not built.
#[derive(Debug)]
pub(crate) enum WorkloadError {
    /// No workload has this name.
    Unknown(String),
    /// Its compiler did not start.
    Start { name: &'static str, source: io::Error },
    /// Its compiler refused.
    Compile { name: &'static str, messages: String },
    /// The output folder cannot be written.
    Write(io::Error),
}

impl WorkloadError {
    /// Whether the compiler of the workload's language is not installed.
    pub(crate) fn is_absent_language(&self) -> bool {
        matches!(self, Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for WorkloadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(formatter, "there is no workload {name}"),
            Self::Start { name, .. } => write!(formatter, "cannot start the compiler of workload {name}"),
            Self::Compile { name, messages } => {
                write!(formatter, "workload {name} does not build:\n{messages}")
            }
            Self::Write(_) => write!(formatter, "cannot write the workloads' folder"),
        }
    }
}

impl std::error::Error for WorkloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start { source, .. } | Self::Write(source) => Some(source),
            Self::Unknown(_) | Self::Compile { .. } => None,
        }
    }
}
