//! Programs to profile, compiled into cargo's folder for tests and killed when a test is over.
#![allow(dead_code, unreachable_pub, reason = "shared by test programs, of which each uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../../xtask/src/workload.rs"]
mod table;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// A running workload.
pub struct Workload {
    child: Child,
}

impl Workload {
    /// Builds and starts a workload, and returns when it says that its work begins.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = builder().command(name).unwrap();
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), child.id().to_string(), "{name} did not begin");
        Self { child }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds a workload that a test starts in its own way.
pub fn build(name: &str) -> PathBuf {
    builder().build(name).unwrap()
}

fn builder() -> table::Builder {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("workloads");
    table::Builder::new(Path::new(env!("CARGO_MANIFEST_DIR")), output, table::host_compiler())
}
