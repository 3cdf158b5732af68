//! Who runs on this host: from a process to the target that its samples are named after.

pub mod host;
pub mod target;
