//! The floor: the loader `xtask/floor` with its BPF program.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::child::Owned;
use super::contender::{Running, Tools};
use super::figure::Figures;

pub(super) struct Floor {
    process: Owned,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    begin: u64,
    end: u64,
}

pub(super) fn start(tools: &Tools, frequency: u32) -> Result<Floor> {
    let mut floor = Command::new(&tools.floor);
    floor.arg(&tools.floor_object).arg(frequency.to_string());
    let mut process = Owned::start(floor.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let input = process.child().stdin.take().context("the floor has no input")?;
    let output = process.child().stdout.take().context("the floor has no output")?;
    Ok(Floor { process, input, output: BufReader::new(output), begin: 0, end: 0 })
}

impl Floor {
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("cannot read what the floor says")?;
        Ok(line.trim().to_owned())
    }

    /// Samples so far.
    fn samples(&mut self) -> Result<u64> {
        writeln!(self.input).context("the floor does not listen")?;
        let line = self.line()?;
        line.parse().with_context(|| format!("the floor says `{line}`"))
    }
}

impl Running for Floor {
    fn id(&self) -> u32 {
        self.process.id()
    }

    fn start_up(&mut self) -> Result<Figures> {
        match self.line()?.as_str() {
            "ready" => Ok(Figures::new()),
            other => bail!("the floor does not start: {other}"),
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.begin = self.samples()?;
        Ok(())
    }

    fn end(&mut self) -> Result<Figures> {
        self.end = self.samples()?;
        Ok(Figures::new())
    }

    #[expect(clippy::cast_precision_loss, reason = "a measurement has thousands of samples")]
    fn stop(self: Box<Self>) -> Result<f64> {
        Ok(self.end.saturating_sub(self.begin) as f64)
    }
}
