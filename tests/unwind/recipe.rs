//! How a program to profile is made from its source in `tests/unwind/programs` or `tests/workloads`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Symbols stay, nothing is turned into a jump, and no function keeps a frame pointer unless its recipe
/// says so.
const C_FLAGS: [&str; 6] =
    ["-std=gnu11", "-O2", "-g", "-pthread", "-fno-optimize-sibling-calls", "-fomit-frame-pointer"];
const CXX_FLAGS: [&str; 5] =
    ["-std=gnu++17", "-O2", "-g", "-fno-optimize-sibling-calls", "-fomit-frame-pointer"];

/// A file to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) tool: Tool,
    /// The first names the recipe's kind of source, all are compiled into one file.
    pub(crate) sources: &'static [&'static str],
    pub(crate) flags: &'static [&'static str],
}

/// What makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    C,
    Musl,
    Cxx,
    Rust,
    /// Of a folder, without C.
    Go,
    /// Of a folder, with C.
    Cgo,
    /// Into a folder of classes.
    Java,
    /// A script: nothing.
    None,
}

impl Tool {
    /// The command, and the Debian package that has it.
    fn command(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::C => Some(("gcc", "gcc")),
            Self::Musl => Some(("musl-gcc", "musl-tools")),
            Self::Cxx => Some(("g++", "g++")),
            Self::Rust => Some(("rustc", "rustc")),
            Self::Go | Self::Cgo => Some(("go", "golang-go")),
            Self::Java => Some(("javac", "default-jdk-headless")),
            Self::None => None,
        }
    }
}

/// The folder of everything that is made.
pub(crate) fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unwind");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A text with that folder in the place of `{folder}`.
pub(crate) fn in_folder(text: &str) -> String {
    text.replace("{folder}", folder().to_str().unwrap())
}

fn source(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let own = tests.join("unwind/programs").join(name);
    if own.exists() { own } else { tests.join("workloads").join(name) }
}

impl Recipe {
    /// Makes the file `name`, and says where it is. One that is newer than its source and its recipe stays.
    pub(crate) fn make(&self, name: &str) -> PathBuf {
        let sources: Vec<PathBuf> = self.sources.iter().map(|name| source(name)).collect();
        let Some((program, package)) = self.tool.command() else { return sources[0].clone() };
        let output = folder().join(name);
        let flags: Vec<String> = self.flags.iter().map(|flag| in_folder(flag)).collect();
        if is_current(&output, &sources) {
            return output;
        }
        let mut command = Command::new(program);
        command.current_dir(folder());
        match self.tool {
            Tool::C => command.args(C_FLAGS).arg("-o").arg(&output).args(&sources).args(&flags),
            Tool::Musl => command.args(C_FLAGS).arg("-o").arg(&output).args(&sources).args(&flags),
            Tool::Cxx => command.args(CXX_FLAGS).arg("-o").arg(&output).args(&sources).args(&flags),
            Tool::Rust => command
                .args(["--edition=2024", "-O", "-C", "force-frame-pointers=no", "-o"])
                .arg(&output)
                .args(&sources)
                .args(&flags),
            Tool::Go | Tool::Cgo => {
                let cgo = if self.tool == Tool::Cgo { "1" } else { "0" };
                command.env("GO111MODULE", "off").env("CGO_ENABLED", cgo).current_dir(&sources[0]);
                command.args(["build", "-o"]).arg(&output).args(&flags)
            }
            Tool::Java => {
                std::fs::create_dir_all(&output).unwrap();
                command.arg("-d").arg(&output).args(&sources).args(&flags)
            }
            Tool::None => return output,
        };
        let result = command.output().unwrap_or_else(|error| {
            panic!("cannot start {program} ({error}): install the Debian package {package}")
        });
        let messages = String::from_utf8_lossy(&result.stderr);
        assert!(result.status.success(), "{program} does not make {name}: {messages}");
        output
    }
}

/// Whether a file is newer than its sources and than this program, which holds its recipe.
fn is_current(output: &Path, sources: &[PathBuf]) -> bool {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(made) = changed(output) else { return false };
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workloads/spin.h");
    let inputs = sources.iter().flat_map(|source| files(source)).chain([headers]);
    let newest = inputs.chain(std::env::current_exe()).filter_map(|path| changed(&path)).max();
    newest.unwrap_or_else(SystemTime::now) < made
}

/// A file, or the files of a folder.
fn files(path: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => vec![path.to_owned()],
    }
}
