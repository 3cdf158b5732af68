//! Compilers of programs to profile, which must be there.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiler and the package of Debian that has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler {
    command: &'static str,
    package: &'static str,
}

pub(crate) const C: Compiler = Compiler { command: "gcc", package: "gcc" };
pub(crate) const CPP: Compiler = Compiler { command: "g++", package: "g++" };
/// C with the C library musl.
pub(crate) const MUSL: Compiler = Compiler { command: "musl-gcc", package: "musl-tools" };
pub(crate) const RUST: Compiler = Compiler { command: "rustc", package: "rustc" };
pub(crate) const GO: Compiler = Compiler { command: "go", package: "golang-go" };

impl Compiler {
    /// A call of it, to which arguments are added.
    pub(crate) fn command(self) -> Command {
        // `CC` may name another C compiler than gcc.
        let other = std::env::var_os("CC").filter(|_| self.command == "gcc");
        Command::new(other.unwrap_or_else(|| self.command.into()))
    }

    /// Runs a call of it, which must succeed.
    pub(crate) fn run(self, mut command: Command) {
        let Self { command: name, package } = self;
        let output = command.output();
        let output = output.unwrap_or_else(|error| panic!("no {name} ({error}): install {package}"));
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {messages}");
    }
}

/// Where programs of one group of tests are built.
pub(crate) fn folder(group: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(group);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
