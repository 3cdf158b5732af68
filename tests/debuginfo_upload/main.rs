//! Debug files on their way to a server that checks what it gets.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "shared by test programs, of which each uses a part")]
#[path = "../common/peer.rs"]
mod peer;
#[allow(dead_code, reason = "shared by test programs, of which each uses a part")]
#[path = "../common/process.rs"]
mod process;
#[allow(dead_code, reason = "shared by test programs, of which each uses a part")]
#[path = "../common/proxy.rs"]
mod proxy;

mod answers;
mod interruptions;
mod large;
mod pages;
mod proxies;
mod sender;
mod statuses;
mod urls;
mod ways;
