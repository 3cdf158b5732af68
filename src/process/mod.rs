//! Processes: who runs, where their code comes from, and which cgroup holds them.

pub mod cgroup;
pub mod comm;
pub mod details;
pub mod event;
pub mod id;
pub mod image;
pub mod inspect;
pub mod mapping;
pub mod stat;
pub mod table;
