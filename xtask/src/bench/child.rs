//! A process that ends when nobody looks after it any more.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command;

/// How often the end of a process is looked for.
const POLL: Duration = Duration::from_millis(20);

/// A started program; killed when dropped.
pub(super) struct Owned {
    name: String,
    child: Child,
}

impl Owned {
    /// Starts a program with nothing to read, unless the command says otherwise.
    pub(super) fn start(program: &mut Command) -> Result<Self> {
        let name = command::text(program);
        let child = program.spawn().with_context(|| format!("cannot start `{name}`"))?;
        Ok(Self { name, child })
    }

    /// The same for a program whose output nobody reads.
    pub(super) fn start_silent(program: &mut Command) -> Result<Self> {
        Self::start(program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its pipes.
    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Fails if it has ended already.
    pub(super) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("cannot wait for a process")? {
            bail!("`{}` has ended ({status})", self.name);
        }
        Ok(())
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("cannot wait for a process")?.is_some())
    }

    /// Waits until `ready` says so, or fails when the process ends or the time is over.
    pub(super) fn wait_until(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut(u32) -> Result<bool>,
    ) -> Result<()> {
        let start = Instant::now();
        while !ready(self.id())? {
            self.check_alive()?;
            if start.elapsed() > limit {
                bail!("`{}` is not ready after {} s", self.name, limit.as_secs());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Sends a signal by its name.
    pub(super) fn signal(&self, signal: &str) -> Result<()> {
        command::output(Command::new("kill").args(["-s", signal, &self.id().to_string()]))?;
        Ok(())
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for a process")? {
                return Ok(status);
            }
            if start.elapsed() > limit {
                bail!("`{}` does not end", self.name);
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
