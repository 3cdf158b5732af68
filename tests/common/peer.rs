//! A server to send profiles and debug information to: `tests/peer`, whose `README.md` lists what it can be told.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

#[path = "../../xtask/src/cache.rs"]
mod cache;
#[path = "../../xtask/src/inner_cargo.rs"]
mod inner_cargo;

/// A running server. It ends with the test.
pub(crate) struct Peer {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    address: SocketAddr,
    put_address: Option<SocketAddr>,
}

impl Peer {
    /// Starts the Rust server; it listens when this returns.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::run(Command::new(program()).args(flags))
    }

    /// Starts the Python server, which takes the same flags and knows some of the orders.
    pub(crate) fn start_python(flags: &[&str]) -> Self {
        let python = cache::venv(&cache::GRPC_PACKAGES).unwrap().join("bin/python");
        assert!(python.exists(), "no {}: `cargo xtask setup` makes it", python.display());
        let server = workspace().join("tests/peer/python/server.py");
        // Without folders of bytecode beside the sources.
        Self::run(Command::new(python).arg("-B").arg(server).args(flags))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let hello = read(&mut output);
        let address = |name: &str| hello[name].as_str().map(|text| text.parse().unwrap());
        let pipes = Mutex::new((child.stdin.take().unwrap(), output));
        Self { child, pipes, address: address("listening").unwrap(), put_address: address("put") }
    }

    /// Where it takes gRPC.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its own signed URLs lead.
    pub(crate) fn put_address(&self) -> SocketAddr {
        self.put_address.unwrap()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it was asked and has.
    pub(crate) fn state(&self) -> Value {
        self.command(&json!({ "do": "state" }))
    }

    /// Says how to behave from now on: `json!("hang")`, `json!({"status": 14})`.
    pub(crate) fn behave(&self, how: Value) {
        self.command(&json!({ "do": "behave", "how": how }));
    }

    /// The same for so many requests or connections, then as it should.
    pub(crate) fn behave_times(&self, how: Value, times: u64) {
        self.command(&json!({ "do": "behave", "how": how, "times": times }));
    }

    /// The same for one method, such as `WriteRaw`.
    pub(crate) fn behave_for(&self, how: Value, method: &str) {
        self.command(&json!({ "do": "behave", "how": how, "method": method }));
    }

    /// Changes the token that it asks for.
    pub(crate) fn set_token(&self, token: &str) {
        self.command(&json!({ "do": "token", "token": token }));
    }

    /// All samples that were written and acknowledged.
    pub(crate) fn samples(&self) -> u64 {
        let state = self.state();
        state["series"].as_array().unwrap().iter().map(|series| series["samples"].as_u64().unwrap()).sum()
    }

    /// Fails unless everything that came was by the rules.
    pub(crate) fn assert_no_violations(&self) {
        assert_eq!(self.state()["violations"], json!([]));
    }

    /// Says something and returns the answer, which must not be an error.
    pub(crate) fn command(&self, command: &Value) -> Value {
        let answer = self.ask(command);
        assert_eq!(answer.get("error"), None, "answer to {command}");
        answer
    }

    /// The same, where the answer may be one.
    pub(crate) fn ask(&self, command: &Value) -> Value {
        let mut pipes = self.pipes.lock().unwrap();
        let (input, output) = &mut *pipes;
        // One write, so that a server that is killed does not see half of it.
        input.write_all(format!("{command}\n").as_bytes()).unwrap();
        read(output)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have been killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(output: &mut impl BufRead) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "the server ended");
    serde_json::from_str(&line).unwrap()
}

fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = manifest.ancestors();
    folders.find(|folder| folder.join("tests/peer").is_dir()).unwrap()
}

/// The built server. Cargo makes it for its own tests; those of the agent have it made, once a test program: they
/// cannot depend on it, or its runtime would be built into the agent that they test.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| option_env!("CARGO_BIN_EXE_peer").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace()).args(["build", "--quiet", "--package=peer", "--message-format=json"]);
    cargo.arg("--target-dir").arg(target);
    inner_cargo::forget_package(&mut cargo);
    let output = cargo.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the server does not build: {}", output.status);
    let messages = output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    let executable = |message: Value| message["executable"].as_str().map(PathBuf::from);
    messages.filter_map(executable).next().unwrap()
}
