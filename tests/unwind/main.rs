//! Whole stacks: programs whose calls are known, and the stacks that the agent gives them.
//!
//! ```text
//! table::CASES --recipe--> executable --target--> running process --> the agent's pprof
//!      |                                                               |
//!      +---- chain: the stacks that are right -----> judge <---- names: functions of addresses
//! ```
//! All cases run at once under one agent. The variable `UNWIND_CASES` names the cases to run, separated by
//! commas; without it all run.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

#[path = "../common/agent.rs"]
mod agent;
#[path = "../common/http.rs"]
mod http;
#[path = "../common/meter.rs"]
mod meter;
#[path = "../common/metrics.rs"]
mod metrics;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/profile.rs"]
mod profile;
#[path = "../common/program.rs"]
mod program;
#[path = "../common/symbols.rs"]
mod symbols;
#[path = "../common/workload.rs"]
mod workload;

mod chain;
mod judge;
mod names;
mod padded;
mod recipe;
mod table;
mod target;

mod debugger;
mod stacks;
