//! Who runs on this host: from a process to the target that its samples are named after.

pub mod catalogue;
pub mod container;
pub mod host;
pub mod membership;
pub mod runtime;
pub mod status;
pub mod target;
