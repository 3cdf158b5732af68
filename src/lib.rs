//! parca-agent
#![warn(missing_docs)]

pub mod label;
pub mod metrics;
pub mod text;

pub mod object;
pub mod process;
pub mod symbolize;

pub mod discovery;
pub mod profile;

pub mod http;
