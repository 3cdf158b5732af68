//! Targets: what profiles are named after.

use crate::label::LabelSet;

/// What found a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Not claimed by anything else: grouped by executable and cgroup.
    Host,
}

impl Source {
    /// As a label and in the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
        }
    }
}

/// Something that runs on this host and gets a profile of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The final labels, `__name__` among them.
    pub labels: LabelSet,
    /// What found it.
    pub source: Source,
}
