//! Changes in the lives of processes, as the kernel tells them.

use super::comm::Comm;
use super::id::{BootTime, ProcessId};

/// A change in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessEvent {
    /// When it happened.
    pub time: BootTime,
    /// Whom it happened to.
    pub process: ProcessId,
    /// Its name after the event.
    pub comm: Comm,
    /// What happened.
    pub change: ProcessChange,
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessChange {
    /// It executed another program.
    Exec,
    /// It exited.
    Exit,
    /// It was created as a copy of another.
    Fork {
        /// The other.
        parent: ProcessId,
    },
}
