//! parca-agent
#![warn(missing_docs)]

pub mod choice;
pub mod exit;
pub mod label;
pub mod log;
pub mod metrics;
pub mod text;

pub mod object;
pub mod process;
pub mod symbolize;

pub mod discovery;
pub mod profile;

pub mod config;

pub mod cli;
