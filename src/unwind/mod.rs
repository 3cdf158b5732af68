//! Unwind rows from object files: bytes in, rows out. Nothing here opens a file or knows a process.

pub mod go;
pub mod row;

use parca_agent_common::unwind::rule::{Row, Rule};

/// Rules and rows of one object file.
pub struct Table {
    /// Rules, which rows name by their index.
    pub rules: Vec<Rule>,
    /// Pages, ascending.
    pub pages: Vec<Page>,
}

/// Rows of one page of a file.
pub struct Page {
    /// File offset in units of pages.
    pub number: u32,
    /// The rows.
    pub rows: Vec<Row>,
}
