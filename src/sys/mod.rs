//! The system calls that have no safe wrapper: the only place of this crate with `unsafe`.
#![allow(unsafe_code)]

pub mod descriptor;
pub mod kernfs;
pub mod perf_event;
pub mod shared_array;
pub mod time_namespace;
