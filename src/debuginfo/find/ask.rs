//! Questions to the worker, whose answers are waited for.

use crate::debuginfo::plan::{Extraction, NoExtraction};
use crate::object::{ObjectInfo, Unidentified};
use crate::worker::supervisor::Supervisor;
use rustix::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a stop may go unnoticed.
const ATTENTION: Duration = Duration::from_millis(100);

/// Why there is no answer. The file is not to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The worker has too much to do, or there is none, or there are no descriptors.
    Busy,
    /// The answer is wanted no longer.
    Stopped,
}

/// Asks, and waits.
pub(super) struct Asker {
    worker: Arc<Supervisor>,
    stopped: AtomicBool,
}

impl Asker {
    pub(super) fn new(worker: Arc<Supervisor>) -> Self {
        Self { worker, stopped: AtomicBool::new(false) }
    }

    /// From now on, there are no answers.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// What a file is.
    pub(super) fn identification(
        &self,
        file: &OwnedFd,
    ) -> Result<Result<ObjectInfo, Unidentified>, Unanswered> {
        let (sender, receiver) = channel();
        let file = file.try_clone().map_err(|_| Unanswered::Busy)?;
        self.worker.identify(file, move |result| {
            // Nobody waits any more when it was stopped.
            let _ = sender.send(result);
        });
        match self.wait(&receiver)? {
            Err(reason) if !reason.is_final() => Err(Unanswered::Busy),
            result => Ok(result),
        }
    }

    /// What there is in a file.
    pub(super) fn extraction(&self, file: &OwnedFd) -> Result<Result<Extraction, NoExtraction>, Unanswered> {
        let (sender, receiver) = channel();
        let file = file.try_clone().map_err(|_| Unanswered::Busy)?;
        self.worker.extract(file, move |result| {
            // Nobody waits any more when it was stopped.
            let _ = sender.send(result);
        });
        match self.wait(&receiver)? {
            Err(reason) if !reason.is_final() => Err(Unanswered::Busy),
            result => Ok(result),
        }
    }

    fn wait<T>(&self, receiver: &Receiver<T>) -> Result<T, Unanswered> {
        loop {
            if self.is_stopped() {
                return Err(Unanswered::Stopped);
            }
            match receiver.recv_timeout(ATTENTION) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Unanswered::Busy),
            }
        }
    }
}
