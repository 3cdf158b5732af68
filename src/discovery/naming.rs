//! All labels of a process, before any rule.

use super::claim::Claim;
use super::process_labels::{put_machine, put_process};
use super::{Facts, PROFILE_NAME, Terms};
use crate::label::LabelSet;

/// Puts labels together.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    /// Labels that all targets have.
    base: LabelSet,
}

impl Naming {
    pub(super) fn new(terms: &Terms) -> Self {
        let mut base = terms.external_labels.clone();
        base.set("__name__", PROFILE_NAME);
        base.set("node", terms.node.as_str());
        put_machine(&mut base);
        Self { base }
    }

    /// Labels that all targets have.
    pub(super) fn base(&self) -> &LabelSet {
        &self.base
    }

    /// Labels of a process.
    pub(super) fn discovered(&self, claim: &Claim, facts: &Facts) -> LabelSet {
        let mut labels = self.base.clone();
        claim.put(&mut labels);
        if matches!(claim, Claim::Host) {
            labels.set("comm", facts.comm.to_string());
            if let Some(cgroups) = &facts.cgroups {
                labels.set("cgroup", crate::text::display(&cgroups.main().0).to_string());
            }
        }
        put_process(&mut labels, facts);
        labels
    }
}
