//! parca-agent
#![warn(missing_docs)]

pub mod label;
pub mod metrics;
pub mod sys;
pub mod text;

pub mod object;
pub mod process;
pub mod symbolize;
pub mod worker;

pub mod discovery;
pub mod profile;
