//! A rule and where it begins.

use crate::object::ObjectAddress;
use parca_agent_common::unwind::rule::Rule;

/// From this address on, one rule is in force, until the next row. Rows are sorted by address;
/// [`Rule::UNCOVERED`] ends coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowAt {
    /// Where it begins.
    pub address: ObjectAddress,
    /// The rule.
    pub rule: Rule,
}
