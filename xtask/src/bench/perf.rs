//! `perf record`, whose samples are counted by `perf script` afterwards.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::child::Owned;
use super::contender::{Running, Tools};
use super::figure::Figures;
use crate::command;

/// It has opened its events by then; nothing says when.
const START: Duration = Duration::from_secs(2);

/// It writes the build ids of all programs it saw.
const STOP_LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Perf {
    process: Owned,
    file: PathBuf,
    /// Seconds since boot.
    window: Range<f64>,
}

pub(super) fn start(tools: &Tools, frequency: u32) -> Result<Perf> {
    let file = tools.folder.join("perf.data");
    let mut perf = Command::new("perf");
    perf.args(["record", "-g", "-a", "-F", &frequency.to_string()]);
    // A clock that can be read elsewhere too.
    perf.args(["--clockid", "CLOCK_BOOTTIME", "-o"]).arg(&file);
    Ok(Perf { process: Owned::start_silent(&mut perf)?, file, window: 0.0..0.0 })
}

impl Running for Perf {
    fn id(&self) -> u32 {
        self.process.id()
    }

    fn start_up(&mut self) -> Result<Figures> {
        thread::sleep(START);
        self.process.check_alive()?;
        Ok(Figures::new())
    }

    fn begin(&mut self) -> Result<()> {
        self.window.start = boot_time()?;
        Ok(())
    }

    fn end(&mut self) -> Result<Figures> {
        self.window.end = boot_time()?;
        Ok(Figures::new())
    }

    #[expect(clippy::cast_precision_loss, reason = "a measurement has thousands of samples")]
    fn stop(mut self: Box<Self>) -> Result<f64> {
        self.process.signal("INT")?;
        // It ends by the signal that it was told to end with.
        self.process.wait(STOP_LIMIT)?;
        let mut script = Command::new("perf");
        let text = command::output(
            script.args(["script", "-F", "pid,time", "-i"]).arg(&self.file).stdin(Stdio::null()),
        );
        let _ = fs::remove_file(&self.file); // tens of megabytes
        Ok(text?.lines().filter(|line| is_sample_in(line, &self.window)).count() as f64)
    }
}

/// Whether a line of process and time is of a sample in the window, and not of the idle task.
fn is_sample_in(line: &str, window: &Range<f64>) -> bool {
    let mut words = line.split_whitespace();
    let process = words.next().and_then(|word| word.parse::<i32>().ok());
    let time = words.next().and_then(|word| word.strip_suffix(':')?.parse().ok());
    process.is_some_and(|process| process != 0) && time.is_some_and(|time| window.contains(&time))
}

/// `CLOCK_BOOTTIME`, in seconds.
fn boot_time() -> Result<f64> {
    let text = fs::read_to_string("/proc/uptime").context("cannot read /proc/uptime")?;
    let seconds = text.split(' ').next().and_then(|word| word.parse().ok());
    seconds.context("/proc/uptime holds no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_count_by_their_time_and_process() {
        let cases = [
            ("   4711 12.500000:", true),
            ("   4711 10.000000:", true),
            ("   4711 20.000000:", false),
            ("   4711  9.999999:", false),
            ("      0 12.500000:", false),
            ("", false),
            ("        7f0011223344 leaf", false),
        ];
        for (line, expected) in cases {
            assert_eq!(is_sample_in(line, &(10.0..20.0)), expected, "{line}");
        }
    }
}
