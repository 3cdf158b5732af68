//! Unwind rows from object files: bytes in, rows out. Nothing here opens a file or knows a process.

pub mod go;
pub mod row;
