//! The server of the tests (`tests/peer`), which takes commands as lines of JSON and answers each with one.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// A running server. It ends with its input.
pub(super) struct Server {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// `host:port`
    pub(super) address: String,
}

/// What it got.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// Samples in profiles that it acknowledged.
    pub(super) samples: u64,
    /// Bytes of all requests.
    pub(super) bytes: u64,
    pub(super) requests: u64,
}

impl Server {
    pub(super) fn start(program: &Path) -> Result<Self> {
        let mut process = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let commands = process.stdin.take().context("no input")?;
        let mut answers = BufReader::new(process.stdout.take().context("no output")?);
        let address = line(&mut answers)?["listening"].as_str().context("no address")?.to_owned();
        Ok(Self { process, commands, answers, address })
    }

    /// Refuses connections from now on, or not any more.
    pub(super) fn set_open(&mut self, is_open: bool) -> Result<()> {
        let how = if is_open { "open" } else { "close" };
        self.ask(&json!({ "do": "behave", "how": how })).map(drop)
    }

    pub(super) fn taken(&mut self) -> Result<Taken> {
        let state = self.ask(&json!({ "do": "state" }))?;
        ensure!(state["violations"].as_array().is_some_and(Vec::is_empty), "{}", state["violations"]);
        let number = |value: &Value| value.as_u64().context("no number");
        let series = state["series"].as_array().context("no series")?;
        Ok(Taken {
            samples: series.iter().map(|series| number(&series["samples"])).sum::<Result<_>>()?,
            bytes: number(&state["bytes"])?,
            requests: number(&state["requests"])?,
        })
    }

    fn ask(&mut self, command: &Value) -> Result<Value> {
        writeln!(self.commands, "{command}").context("the server has ended")?;
        let answer = line(&mut self.answers)?;
        ensure!(answer.get("error").is_none(), "the server does not understand: {answer}");
        Ok(answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line(answers: &mut impl BufRead) -> Result<Value> {
    let mut line = String::new();
    answers.read_line(&mut line).context("the server does not answer")?;
    serde_json::from_str(&line).with_context(|| format!("no JSON: {line:?}"))
}
