//! Names for addresses.

pub mod kernel;
