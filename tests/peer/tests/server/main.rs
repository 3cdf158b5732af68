//! The servers for tests, met by clients that are not the agent's: each way to behave, each rule.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod faults;
#[path = "../../../common/peer.rs"]
#[allow(dead_code, reason = "shared with the agent's tests; each uses a part")]
mod peer;
mod rules;
mod tls;
mod uploads;
mod writes;
