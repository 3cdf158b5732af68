//! Targets: what profiles are named after.

use crate::label::LabelSet;

/// What found a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A container of a pod of this node.
    Kubernetes,
    /// A container that belongs to no pod.
    Container,
    /// A systemd unit that was asked for.
    Systemd,
    /// Not claimed by anything else: grouped by executable and cgroup.
    Host,
}

impl Source {
    /// Every source, in the order in which they claim a process.
    pub const ALL: [Self; 4] = [Self::Kubernetes, Self::Container, Self::Systemd, Self::Host];

    /// As a label and in the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Container => "container",
            Self::Systemd => "systemd",
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

/// What a source knows of something that may become a target, before relabelling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Discovered {
    /// Labels that its profiles have unless a rule changes them, such as `namespace` and `pod`.
    pub labels: LabelSet,
    /// `__meta_*` labels, for rules alone.
    pub meta: LabelSet,
}

impl Discovered {
    /// Bytes of both sets of labels.
    pub fn bytes(&self) -> usize {
        self.labels.bytes() + self.meta.bytes()
    }

    /// Gives back what it does not need as long as it stays as it is.
    pub fn shrink(&mut self) {
        self.labels.shrink();
        self.meta.shrink();
    }
}
