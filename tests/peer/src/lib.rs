//! A Parca-compatible server for tests: it keeps account of what it gets, checks it by the rules of the real
//! server, and misbehaves on order.
//!
//! ```text
//! listener -> connection -> exchange -> profile_store -> profile      -> record
//!                                    -> debuginfo     -> upload       -> record
//! put (signed URLs)                                   -> upload       -> record
//! command (JSON lines) -> order, record
//! ```
//!
//! [`order`] says how it is to behave. Orders for whole connections are carried out in `connection`, those for
//! the HTTP/2 side of a request in `exchange`, and those that a handler can carry out in [`order::How::before`].
//! `README.md` lists the commands.

pub mod command;
pub mod flags;
pub mod listener;
pub mod order;
pub mod peer;
pub mod profile;
pub mod proto;
pub mod record;
pub mod upload;

mod connection;
mod debuginfo;
mod exchange;
mod profile_store;
mod put;
mod tls;
