//! Debug files as a server gets them: planned by the real worker, read from the file, and judged by other people's
//! programs; and the files that they are made of, found among others.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[expect(dead_code, reason = "shared by test programs, of which each uses a part")]
#[path = "../common/compiler.rs"]
mod compiler;

#[path = "../support/fuse.rs"]
mod fuse;

mod change;
mod claim;
mod extracted;
mod find;
mod large;
mod linters;
mod programs;
mod separate;
mod symbolizers;
mod system;
mod target;
