//! What discovery tells of itself: its sources, and every target of late with what became of it.

use super::Facts;
use super::claim::{Claim, Unclaimed};
use super::naming::Naming;
use super::policy::{LeftOut, Outcome};
use super::status::Snapshot;
use super::target::{Discovered, Source};
use crate::label::LabelSet;
use crate::process::cgroup::Cgroups;
use crate::relabel::Rules;
use std::collections::HashMap;

/// All of it, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every source.
    pub sources: Vec<Snapshot>,
    /// Profiled ones first, by source and then in the order of labels.
    pub targets: Vec<TargetEntry>,
}

/// One target, for the processes of one claimant that share its labels.
#[derive(Clone, Debug)]
pub struct TargetEntry {
    /// Who claims it, if anyone.
    pub source: Option<Source>,
    /// All labels that rules may read; those of a process are of one of them.
    pub discovered: LabelSet,
    /// What became of it.
    pub outcome: Outcome,
    /// The rule that dropped it, in words.
    pub rule: Option<String>,
    /// Names of processes in cgroups: many of one name in one cgroup are one.
    pub names: usize,
}

/// One entry for each claim and what became of it. Those that are profiled first, each kind by source and then in the
/// order of labels.
pub(super) fn entries<'a>(
    known: &'a [(Claim, Facts, Outcome)],
    naming: &Naming,
    rules: &Rules,
) -> Vec<TargetEntry> {
    let rule = |outcome: &Outcome| match outcome {
        Outcome::LeftOut { why: LeftOut::Rule { rule }, .. } => rules.get(*rule).map(ToString::to_string),
        _ => None,
    };
    // Of a pod that is left out there is nothing but its cgroup to tell it from others.
    let cgroups = |claim: &Claim, facts: &'a Facts| match claim {
        Claim::Nobody(Unclaimed::PodNotSelected) => facts.cgroups.as_deref(),
        _ => None,
    };
    let mut entries: HashMap<(Option<&Discovered>, Option<&Cgroups>, &Outcome), TargetEntry> = HashMap::new();
    for (claim, facts, outcome) in known {
        let key = (claim.discovered(), cgroups(claim, facts), outcome);
        let entry = entries.entry(key).or_insert_with(|| TargetEntry {
            source: claim.source(),
            discovered: naming.discovered(claim, facts),
            outcome: outcome.clone(),
            rule: rule(outcome),
            names: 0,
        });
        entry.names += 1;
    }
    let mut entries: Vec<_> = entries.into_values().collect();
    entries.sort_by_cached_key(|entry| match &entry.outcome {
        Outcome::Profiled { target, .. } => (0, entry.source, target.labels.clone(), LabelSet::default()),
        Outcome::LeftOut { labels, .. } => {
            (1, entry.source, LabelSet::clone(labels), entry.discovered.clone())
        }
    });
    entries
}
