//! The source of pods against an API server that behaves, and misbehaves, on the wire as a real one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod credentials;
mod faults;
mod gone;
mod real;
mod refusals;
mod server;
mod watch;
