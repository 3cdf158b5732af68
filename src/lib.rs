//! parca-agent

pub mod address;
pub mod label;
pub mod metrics;
pub mod sys;
pub mod text;

pub mod object;
pub mod process;
pub mod symbolize;

pub mod sample;

pub mod discovery;
pub mod profile;

pub mod collector;

pub mod pprof;

pub mod http;
