//! bpftrace with the one-line profiler of its own documentation.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::child::Owned;
use super::contender::Running;
use super::figure::Figures;
use super::program;

/// It compiles its program and reads the kernel's symbols.
const START_LIMIT: Duration = Duration::from_secs(30);

/// It names the functions of all stacks.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// A function that is in every stack of the idle task and in no other.
const IDLE: &str = "do_idle+";

pub(super) struct Bpftrace {
    process: Owned,
    /// Reads until the end, so that the pipe is never full.
    output: JoinHandle<std::io::Result<String>>,
}

pub(super) fn start(frequency: u32) -> Result<Bpftrace> {
    let program = format!("profile:hz:{frequency} {{ @[ustack, kstack] = count(); }}");
    let mut bpftrace = Command::new("bpftrace");
    // Else it reads a program's symbols again for each address, and does not end before the limit.
    bpftrace.env("BPFTRACE_CACHE_USER_SYMBOLS", "1");
    bpftrace.args(["-e", &program]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Owned::start(&mut bpftrace)?;
    let mut pipe = process.child().stdout.take().context("bpftrace has no output")?;
    let output = thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    Ok(Bpftrace { process, output })
}

impl Running for Bpftrace {
    fn id(&self) -> u32 {
        self.process.id()
    }

    /// It counts from the moment in which its program is attached, so the measurement begins then.
    fn start_up(&mut self) -> Result<Figures> {
        self.process.wait_until(START_LIMIT, |id| Ok(program::of_tree(id).is_sampling()))?;
        Ok(Figures::new())
    }

    #[expect(clippy::cast_precision_loss, reason = "a measurement has thousands of samples")]
    fn stop(mut self: Box<Self>) -> Result<f64> {
        self.process.signal("INT")?;
        self.process.wait(STOP_LIMIT)?;
        let output = self.output.join().map_err(|_| anyhow!("the reader of bpftrace's output died"))??;
        Ok(samples(&output) as f64)
    }
}

/// Adds up what follows each pair of stacks, `]: COUNT`, but for those of the idle task.
fn samples(output: &str) -> u64 {
    let mut total = 0;
    let mut is_idle = false;
    for line in output.lines() {
        is_idle = (is_idle && !line.starts_with("@[")) || line.trim_start().starts_with(IDLE);
        if let Some(count) = line.rsplit_once("]: ").and_then(|(_, count)| count.parse::<u64>().ok()) {
            total += if is_idle { 0 } else { count };
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_without_those_of_the_idle_task() {
        let output = "Attaching 1 probe...\n\n@[\n    leaf+14\n    main+3\n, \n    tick+1\n]: 12\n\
            @[, \n    pv_native_safe_halt+15\n    do_idle+3\n    cpu_startup_entry+41\n]: 1000\n\
            @[\n    a]: 7\n, \n    vfs_read+4\n]: 3\n@[, ]: 2\n";
        // A function name that looks like a count is one: bpftrace does not escape.
        assert_eq!(samples(output), 12 + 7 + 3 + 2);
    }
}
