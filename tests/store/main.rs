//! From the agent to a store, as it is there, down, slow, strange or gone: what becomes of every sample.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "../common/mod.rs"]
mod common;

mod account;
mod credentials;
mod debuginfo;
mod delivery;
mod faults;
mod local;
mod names;
mod outages;
mod proxy;
mod spool;
