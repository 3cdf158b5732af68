//! System calls that no safe library wraps. The only unsafe code of this crate.
#![allow(unsafe_code)]

pub mod kernfs;
pub mod perf_event;
