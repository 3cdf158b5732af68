//! The agent as those meet it who run it: the built program, as root, on this machine's kernel.
//!
//! Whoever starts an agent holds the machine until it ends ([`agent::Agent`]), so tests with an agent run
//! one after another, also where cargo starts several at once.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

#[path = "../common/mod.rs"]
mod common;

use common::{agent, http, process, profile, program, symbols, workload};

mod bpf;
mod readers;

mod accounting;
mod attack;
mod bad_input;
mod calls;
mod hostile_names;
mod hotplug;
mod kernel_time;
mod late_library;
mod moment;
mod pid_namespace;
mod pid_reuse;
mod privileges;
mod reload;
mod shutdown;
mod table_cache;
