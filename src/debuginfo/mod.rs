//! Debug information for a store: what of an object file a server needs to name addresses, and nothing else of it.
//!
//! ```text
//! window -> seen: most sampled first -> upload: does the store want it? -> find: the best file of it
//!                                                                             |
//!                    the store <- upload <- reader <- plan of a debug file <--+
//! ```
//! The worker writes nothing and the agent parses nothing: the worker answers with a [`plan::Plan`], the agent
//! checks that it asks for bytes of the file only, and copies them from the open descriptor ([`reader`]). Nothing is
//! written to disk. [`dispatch`] has the threads that do all that.

pub mod dispatch;
pub mod find;
pub mod plan;
pub mod reader;
pub mod seen;
pub mod selection;
pub mod stamp;
pub mod upload;
