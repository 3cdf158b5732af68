//! Processes: who runs, where their code comes from, and which cgroup holds them.

pub mod comm;
pub mod id;
