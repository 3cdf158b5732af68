//! A change of a process's executable mappings, as the kernel tells it when it happens.

use super::id::{BootTime, Tgid, ThreadId};
use super::mapping::MapsEntry;

/// A change of one address space.
///
/// It has no start of the process, so [`super::id::ProcessId`] cannot name whom it happened to: the time
/// tells which of the processes of this id it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingRecord {
    /// When it happened.
    pub time: BootTime,
    /// The process.
    pub tgid: Tgid,
    /// The thread that did it.
    pub thread: ThreadId,
    /// What happened.
    pub change: MappingChange,
}

/// What happened to an address space. That something was unmapped is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingChange {
    /// Something executable was mapped, or something mapped became executable.
    Mapped(MapsEntry),
    /// An exec replaced the address space by an empty one; the mappings of the new program follow.
    Replaced,
}
