//! From processes in cgroups, containers and units to targets, as those meet it who run the built program.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "../common/mod.rs"]
mod common;

mod cgroup;

mod attribution;
mod frequency;
mod machine;
mod selection;
