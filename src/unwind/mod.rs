//! placeholder until merge
use parca_agent_common::unwind::rule::{Row, Rule};
/// t
pub struct Table {
    /// r
    pub rules: Vec<Rule>,
    /// p
    pub pages: Vec<Page>,
}
/// p
pub struct Page {
    /// n
    pub number: u32,
    /// r
    pub rows: Vec<Row>,
}
