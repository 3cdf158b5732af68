//! What the BPF programs and the agent must agree on: the records that cross the kernel boundary, the
//! counters, and the bounds.
//!
//! The crate is `no_std` and compiled twice, for BPF and for the host. Every record is `repr(C)`, has no
//! implicit padding, and its size is asserted here, so the two sides cannot drift apart.
#![cfg_attr(not(feature = "user"), no_std)]

pub mod counter;
pub mod limits;
pub mod record;
pub mod settings;
