//! A running agent, programs to profile, and the profiles that come of both: what all black-box tests share.
#![allow(dead_code, reason = "shared by test programs, of which each uses a part")]

pub(crate) mod agent;
pub(crate) mod compiler;
pub(crate) mod daemons;
pub(crate) mod disk;
pub(crate) mod http;
pub(crate) mod meter;
pub(crate) mod metrics;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod profile;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod symbols;
pub(crate) mod systemd;
pub(crate) mod workload;
