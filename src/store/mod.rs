//! Profiles on their way to a server that keeps them.
//!
//! ```text
//! window -> Entry -> Queue (in memory: merges, then drops the oldest) -> Batch -> the store
//!                      |                                                  ^
//!                      +-> Batch -> Spool (on disk, where there is one) --+
//! ```
//! Three threads work on it: one encodes windows (`delivery`), one sends (`dispatch`), and one has the spool (`keeper`), so
//! that nobody else waits for its disk. Queue and spool count every sample they were given: it is held, on its way,
//! delivered, or lost for a reason ([`loss::Loss`]); all that is entered under one lock (`account`).

mod account;
pub mod amount;
pub mod batch;
pub mod channel;
pub mod credential;
pub mod delivery;
mod dispatch;
pub mod entry;
mod evidence;
mod held;
mod home;
mod keeper;
pub mod loss;
pub mod merge;
pub mod message;
pub mod pace;
pub mod queue;
pub mod retry;
pub mod series;
pub mod spool;
pub mod status;

#[cfg(test)]
mod sample_entry;
#[cfg(test)]
mod tests;
