//! A program of the table while it runs.

use super::build;
use super::cases::{Case, Place};
use super::common::agent::{Agent, selector};
use super::common::http;
use super::common::profile::Profile;
use super::common::program::{Program, copy, unique};
use super::common::symbols::Symbols;
use super::elf;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Larger than anything that is read whole.
const HUGE: u64 = 1 << 30;

/// Behind everything that is not to be kept waiting, and gone when the test is, however it ends.
pub(crate) const BEHIND: [&str; 6] = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "5"];

/// Prints the line that says that work begins for programs that say nothing.
const ANNOUNCE: &str = "echo begins; exec \"$@\"";

/// A running program.
pub(crate) struct Target {
    pub(crate) case: &'static Case,
    /// Its command name.
    pub(crate) comm: String,
    /// What its file is called in its own mount namespace.
    pub(crate) path: String,
    /// The program's own functions.
    pub(crate) symbols: Symbols,
    pub(crate) program: Program,
}

impl Target {
    /// Starts a program that is built. `number` tells it from all others in the same test.
    pub(crate) fn start(case: &'static Case, executable: &Path, number: usize) -> Self {
        let comm = unique(&format!("u{number:02}"));
        let arguments: Vec<String> = case.arguments.iter().map(|argument| argument_of(argument)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let in_tmpfs = format!(
            "mount -t tmpfs none \"$(dirname \"$1\")\" && cp '{}' \"$1\" && exec \"$@\"",
            executable.display()
        );
        let launcher: Vec<&str> = match case.place {
            Place::OtherNamespace => {
                BEHIND.into_iter().chain(["unshare", "--mount", "sh", "-c", &in_tmpfs, "sh"]).collect()
            }
            Place::Linked => BEHIND.into_iter().chain(["sh", "-c", ANNOUNCE, "sh"]).collect(),
            Place::Copied | Place::Replaced | Place::Huge => BEHIND.to_vec(),
        };
        let program = Program::start_placed(&launcher, comm.as_ref(), &arguments, |path| match case.place {
            Place::OtherNamespace => {}
            Place::Linked => symlink(executable, path).unwrap(),
            Place::Copied | Place::Replaced => copy(executable, path),
            Place::Huge => elf::enlarge(executable, path, HUGE),
        });
        if case.place == Place::Replaced {
            std::fs::remove_file(&program.path).unwrap();
            // The test itself: its functions are elsewhere.
            copy(Path::new("/proc/self/exe"), &program.path);
        }
        let path = if case.place == Place::Linked { executable } else { &program.path };
        let path = path.to_str().unwrap().to_owned();
        Self { case, comm, path, symbols: Symbols::of(executable), program }
    }
}

/// An argument as the program gets it.
fn argument_of(argument: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workloads").join(argument);
    if argument.ends_with(".so") {
        build::library(argument).to_str().unwrap().to_owned()
    } else if script.is_file() {
        script.to_str().unwrap().to_owned()
    } else {
        argument.to_owned()
    }
}

/// The profile of a program in the last window that was closed.
pub(crate) fn latest(agent: &Agent, comm: &str) -> Option<Profile> {
    let answer = agent.get(&format!("/query?query={}&latest=1", http::encode(&selector(comm))));
    (answer.status != 404).then(|| Profile::decode(answer.expect_ok().body))
}
