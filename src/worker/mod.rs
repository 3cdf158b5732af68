//! The worker: this program a second time, without rights, to read what profiled processes control.
//!
//! A binary is input of a stranger. The agent opens it and hands the descriptor to the worker; the worker
//! parses it and answers with plain values. A file that crashes or stalls the parser costs its own
//! identification, unwind table or debug file, and one restart of the worker.
//!
//! ```text
//! agent: Supervisor -- request + descriptor --> worker: sandbox, then serve
//!                   <-- started, reply frames --
//! ```
//! The agent trusts nothing that the worker sends: [`protocol`] checks every length of it.

pub mod extract;
pub mod extraction;
pub mod identify;
mod making;
pub mod metrics;
pub mod pace;
pub mod protocol;
pub mod read_at;
pub mod sandbox;
pub mod serve;
pub mod supervisor;
pub mod table;

mod closer;
mod process;
mod queue;

pub use serve::run;
