//! parca-agent

pub mod address;
pub mod choice;
pub mod exit;
pub mod label;
pub mod log;
pub mod metrics;
pub mod sys;
pub mod text;

pub mod object;
pub mod process;
pub mod symbolize;
pub mod worker;

pub mod sample;

pub mod discovery;
pub mod profile;

pub mod collector;

pub mod pprof;

pub mod http;

pub mod cli;
pub mod config;

pub mod agent;
pub mod own_usage;
