//! Stacks as they are: programs whose calls are known, and what the agent's profiles say of them.
//!
//! [`cases`] is the table of programs: how each is built and started, and which chain of calls it has.
//! [`chain`] compares a stack with a chain. One agent samples all programs in the same windows.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "../common/mod.rs"]
mod common;

mod build;
mod cases;
mod chain;
mod names;
mod target;
mod verdict;

mod elf;
mod hostile;
mod hostile_files;
mod reference;
mod report;
mod short_lived;
mod stacks;
