//! From processes in cgroups, containers and units to targets, as those meet it who run the built program.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "../common/mod.rs"]
mod common;

mod cgroup;

#[path = "../kubernetes/server.rs"]
#[allow(dead_code, reason = "shared with the tests of the source itself, which use more of it")]
mod api_server;

mod attribution;
mod frequency;
mod machine;
mod pods;
mod selection;
