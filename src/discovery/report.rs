//! What discovery tells of itself: its sources, and every target of late with what became of it.

use super::policy::Outcome;
use super::status::Snapshot;
use super::target::Source;
use crate::label::LabelSet;

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
    /// Names of processes in cgroups.
    pub processes: usize,
}

/// Those that are profiled first, each kind by source and then in the order of labels.
pub(super) fn sort(targets: &mut [TargetEntry]) {
    targets.sort_by_cached_key(|entry| match &entry.outcome {
        Outcome::Profiled { target, .. } => (0, entry.source, target.labels.clone(), LabelSet::default()),
        Outcome::LeftOut { labels, .. } => {
            (1, entry.source, LabelSet::clone(labels), entry.discovered.clone())
        }
    });
}
