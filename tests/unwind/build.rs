//! How the programs are built. What is built for one case is used by others too.

use super::common::compiler::{self, C, CPP, Compiler, GO, MUSL, RUST};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program, and how it is made of its sources in `tests/unwind/programs`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Build {
    /// Sources, flags, and libraries of [`LIBRARIES`] to link.
    Compiled(Compiler, &'static [&'static str], &'static [&'static str], &'static [&'static str]),
    Rust(&'static str),
    /// A folder with a package, and whether it calls C.
    Go(&'static str, bool),
    /// A program of the distribution, found by this command.
    Installed(&'static [&'static str], Package),
}

/// The package of Debian that has a program.
pub(crate) type Package = &'static str;

/// No frame pointers, unless flags that follow say otherwise; and no function without a frame of its own.
const C_FLAGS: &[&str] = &["-O2", "-g", "-fomit-frame-pointer", "-fno-optimize-sibling-calls", "-pthread"];

/// Flags of a program that keeps frame pointers in every function.
pub(crate) const FRAME_POINTERS: &[&str] =
    &["-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer", "-static"];

/// The same for a program that realigns its stack.
pub(crate) const AVX_AND_FRAME_POINTERS: &[&str] =
    &["-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer", "-static", "-mavx"];

/// Libraries that programs link or load: name, source and flags. None is in a place that the loader knows.
const LIBRARIES: &[(&str, &str, &[&str])] = &[
    ("libstub.so", "stub_library.c", &[]),
    ("libfirst.so", "reload_library.c", &["-fno-toplevel-reorder", "-DFIRST"]),
    ("libsecond.so", "reload_library.c", &["-fno-toplevel-reorder"]),
];

/// A program in C.
pub(crate) const fn c(source: &'static [&'static str], flags: &'static [&'static str]) -> Build {
    Build::Compiled(C, source, flags, &[])
}

/// The same with the C library musl.
pub(crate) const fn musl(source: &'static [&'static str], flags: &'static [&'static str]) -> Build {
    Build::Compiled(MUSL, source, flags, &[])
}

/// A program in C++.
pub(crate) const fn cpp(source: &'static [&'static str], flags: &'static [&'static str]) -> Build {
    Build::Compiled(CPP, source, flags, &[])
}

/// A program in C that is linked with one of the libraries.
pub(crate) const fn linked(
    source: &'static [&'static str],
    flags: &'static [&'static str],
    libraries: &'static [&'static str],
) -> Build {
    Build::Compiled(C, source, flags, libraries)
}

impl Build {
    /// Builds the program of a case, or finds it.
    pub(crate) fn executable(self, case: &str) -> PathBuf {
        let output = folder().join(case);
        match self {
            Self::Compiled(compiler, sources, flags, libraries) => {
                let mut command = in_c(compiler, flags, &output);
                command
                    .args(sources.iter().map(|name| source(name)))
                    .args(libraries.iter().map(|it| library(it)));
                compiler.run(command);
            }
            Self::Rust(name) => {
                let mut command = RUST.command();
                command.args(["--edition=2021", "-O", "-g", "-Cpanic=unwind", "-o"]);
                command.arg(&output).arg(source(name));
                RUST.run(command);
            }
            Self::Go(package, calls_c) => {
                let mut command = GO.command();
                command.env("GO111MODULE", "off").env("CGO_ENABLED", if calls_c { "1" } else { "0" });
                command.current_dir(source(package)).args(["build", "-o"]).arg(&output).arg(".");
                GO.run(command);
            }
            Self::Installed(line, package) => {
                let found = Command::new(line[0]).args(&line[1..]).output();
                let found =
                    found.unwrap_or_else(|error| panic!("no {} ({error}): install {package}", line[0]));
                assert!(found.status.success(), "{line:?} failed: install {package}");
                return std::fs::canonicalize(String::from_utf8(found.stdout).unwrap().trim()).unwrap();
            }
        }
        output
    }
}

/// Builds a library, and gives its path.
pub(crate) fn library(name: &str) -> PathBuf {
    let (_, text, flags) = LIBRARIES.iter().find(|(known, _, _)| *known == name).unwrap();
    let output = folder().join(name);
    let mut command = in_c(C, flags, &output);
    command.args(["-shared", "-fPIC"]).arg(source(text));
    C.run(command);
    output
}

fn in_c(compiler: Compiler, flags: &[&str], output: &Path) -> Command {
    let workloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workloads");
    let mut command = compiler.command();
    command.args(C_FLAGS).args(flags).arg("-I").arg(workloads).arg("-o").arg(output);
    command
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unwind/programs").join(name)
}

fn folder() -> PathBuf {
    compiler::folder("unwind")
}
