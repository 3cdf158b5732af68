//! The source of systemd units beside a real systemd: which unit every process is told to be in.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![allow(dead_code, reason = "helpers are shared by test programs, of which each uses a part")]

#[path = "../common/process.rs"]
mod process;
#[path = "../common/systemd.rs"]
mod systemd;

mod absent;
mod source;

mod lifetime;
mod names;
mod restarts;
