//! What the BPF programs and the agent must agree on: the records that cross the kernel boundary, the
//! counters, the bounds, and how a stack is unwound.
//!
//! The crate is `no_std` and compiled twice, for BPF and for the host. Every record is `repr(C)`, has no
//! implicit padding, and its size is asserted here, so the two sides cannot drift apart.
#![cfg_attr(not(feature = "user"), no_std)]

pub mod counter;
pub mod frame;
pub mod limits;
pub mod pid_namespace;
pub mod record;
pub mod selection;
pub mod settings;
pub mod table;
pub mod unwind;
