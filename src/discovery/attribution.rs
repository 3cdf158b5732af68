//! What became of processes lately, so that it need not be decided for each sample.

use super::Facts;
use super::claim::Claim;
use super::policy::Outcome;
use crate::metrics::Exposition;
use crate::process::cgroup::Cgroups;
use crate::process::comm::Comm;
use crate::process::details::Details;
use crate::process::id::ProcessId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Names of processes in cgroups that are remembered. One more makes room for itself by forgetting all: they have to
/// be decided on again, and who has no samples is not reported meanwhile.
const MAX_ENTRIES: usize = 32 * 1024;
/// Who is not seen for so long is forgotten.
const KEEP: Duration = Duration::from_secs(300);

/// For how long a decision holds if nothing is known to have changed: of a container that has a name, and of one that
/// no source knows.
const HOLDS: Duration = Duration::from_secs(60);
/// See [`HOLDS`].
const HOLDS_NAMELESS: Duration = Duration::from_secs(5);

/// What becomes of the samples of a process.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// As of now.
    pub outcome: Outcome,
    /// Its container has been met only just now and may get its name at any moment.
    pub is_waiting: bool,
    /// Nothing is missing that could change it.
    pub is_final: bool,
    /// The same holds for every process in the same cgroups.
    pub is_of_cgroup: bool,
    /// The same holds for what runs in the same container later, whatever that is.
    pub is_of_container: bool,
}

/// Processes that cannot be told apart by what decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) comm: Comm,
    pub(super) cgroups: Option<Arc<Cgroups>>,
    /// Only where a rule may tell one from the other.
    pub(super) process: Option<ProcessId>,
}

/// For how long a decision holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    /// As long as the sources know what they knew at this revision; `None` for no time at all.
    pub(super) revision: Option<[u64; 4]>,
    /// It is of a container that no source knows.
    pub(super) is_nameless: bool,
    /// When there was last a sample of it.
    pub(super) seen: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Attributions {
    entries: HashMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    claim: Claim,
    facts: Facts,
    attribution: Attribution,
    /// What the sources knew when it was decided; `None` if it has to be decided again in any case.
    revision: Option<[u64; 4]>,
    /// When the sources are asked again although they know nothing new: asking is what makes them look.
    until: Instant,
    seen: Instant,
}

/// On whom it was decided when the sources knew something else.
pub(super) struct Outdated {
    pub(super) key: Key,
    pub(super) facts: Facts,
    /// When there was last a sample of it.
    pub(super) seen: Instant,
}

impl Entry {
    /// Whether it was decided for a program of which the same was read: a process can execute another one under the
    /// same name.
    fn is_about(&self, details: Option<&Arc<Details>>) -> bool {
        self.facts.details.as_ref() == details
    }
}

impl Attributions {
    /// What was decided, if nothing has changed since.
    pub(super) fn get(
        &mut self,
        key: &Key,
        details: Option<&Arc<Details>>,
        revision: [u64; 4],
        now: Instant,
    ) -> Option<Attribution> {
        let entry = self.entries.get_mut(key)?;
        entry.seen = now;
        let holds = entry.revision == Some(revision) && now < entry.until && entry.is_about(details);
        holds.then(|| entry.attribution.clone())
    }

    /// What was decided for the same claim.
    pub(super) fn same(&self, key: &Key, details: Option<&Arc<Details>>, claim: &Claim) -> Option<Outcome> {
        let entry = self.entries.get(key)?;
        let holds = entry.revision.is_some() && entry.is_about(details) && entry.claim.is_same(claim);
        holds.then(|| entry.attribution.outcome.clone())
    }

    /// What is kept of the samples of the same program, if that was decided for good.
    pub(super) fn kept(&self, key: &Key, details: Option<&Arc<Details>>) -> Option<u32> {
        let entry = self.entries.get(key)?;
        let is_final = entry.revision.is_some() && entry.is_about(details);
        is_final.then(|| entry.attribution.outcome.kept())
    }

    /// Whether anything is known of a name.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.entries.contains_key(key)
    }

    /// Those on whom it was decided when the sources knew something else, and of whose attribution something holds.
    pub(super) fn outdated(&self, revision: [u64; 4], holds: impl Fn(&Attribution) -> bool) -> Vec<Outdated> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.revision != Some(revision) && holds(&entry.attribution))
            .map(|(key, entry)| Outdated { key: key.clone(), facts: entry.facts.clone(), seen: entry.seen })
            .collect()
    }

    pub(super) fn insert(
        &mut self,
        key: Key,
        claim: Claim,
        facts: &Facts,
        attribution: Attribution,
        validity: Validity,
        now: Instant,
    ) {
        let Validity { revision, is_nameless, seen } = validity;
        let until = now + if is_nameless { HOLDS_NAMELESS } else { HOLDS };
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(&key) {
            self.entries.clear();
        }
        self.entries.insert(key, Entry { claim, facts: facts.clone(), attribution, revision, until, seen });
    }

    pub(super) fn purge(&mut self, now: Instant) {
        self.entries.retain(|_, entry| now.duration_since(entry.seen) < KEEP);
        self.entries.shrink_to(2 * self.entries.len());
    }

    /// Whose each is, and what became of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Claim, Facts, Outcome)> {
        let of =
            |entry: &Entry| (entry.claim.clone(), entry.facts.clone(), entry.attribution.outcome.clone());
        self.entries.values().map(of)
    }

    pub(super) fn collect(&self, exposition: &mut Exposition) {
        exposition.gauge(
            "attributions_known",
            "Names of processes in cgroups whose target is remembered.",
            [(&[][..], self.entries.len() as f64)],
        );
    }
}
