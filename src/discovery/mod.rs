//! Who runs on this host: from a process to the target that its samples are named after.
//!
//! ```text
//! /proc/PID/cgroup -> membership -\
//! API server, container runtimes --> claim -> labels -> policy -> target, or why there is none
//! systemd's bus ------------------/
//! ```
//! The sources fill what they know in their own time. [`Discovery::attribute`] puts it together for one process; it
//! does no I/O and may be called from any thread.

pub mod attribution;
pub mod cardinality;
pub mod catalogue;
pub mod claim;
pub mod container;
pub mod kubernetes;
pub mod membership;
mod naming;
pub mod policy;
mod process_labels;
pub mod report;
pub mod runtime;
pub mod status;
pub mod systemd;
pub mod target;
pub mod unknown;

use crate::label::LabelSet;
use crate::metrics::{Counter, Exposition};
use crate::object::Object;
use crate::process::cgroup::Cgroups;
use crate::process::comm::Comm;
use crate::process::details::{Details, DetailsWanted};
use crate::process::id::ProcessId;
use attribution::{Attribution, Attributions, Key, Outdated, Validity};
use cardinality::Cardinality;
use claim::{Claim, Claimed, Sources, Unclaimed};
use container::ContainerId;
use naming::Naming;
use policy::{LeftOut, Outcome, Policy};
use process_labels::Wanted;
use report::Report;
use status::Snapshot;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Value of `__name__` on every profile.
pub const PROFILE_NAME: &str = "parca_agent_cpu";

/// What is known of a process.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Who it is; `None` if that does not matter to anyone.
    pub process: Option<ProcessId>,
    /// Its name.
    pub comm: Comm,
    /// Its cgroups, if known.
    pub cgroups: Option<Arc<Cgroups>>,
    /// What rules wanted read of it.
    pub details: Option<Arc<Details>>,
    /// The file that it executes.
    pub executable: Option<Arc<Object>>,
}

/// What can change while the agent runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// Which targets are profiled, and how.
    pub policy: Policy,
    /// Value of the label `node`.
    pub node: String,
    /// Labels on every target.
    pub external_labels: LabelSet,
    /// Variables of the environment that rules may read.
    pub environment: Vec<String>,
}

/// Names the targets of processes.
#[derive(Debug)]
pub struct Discovery {
    sources: Sources,
    state: Mutex<State>,
    /// Processes of whose cgroups nothing was known.
    unattributed: Counter,
}

#[derive(Debug)]
struct State {
    labels_cut: u64,
    terms: Terms,
    /// How often they were set.
    terms_set: u64,
    /// Something was decided otherwise than before, of which the BPF programs may have been told, since that was last
    /// asked.
    is_outdated: bool,
    naming: Naming,
    wanted: Wanted,
    attributions: Attributions,
    cardinality: Cardinality,
}

impl Discovery {
    /// Discovers by these sources on these terms.
    pub fn new(sources: Sources, terms: Terms) -> Self {
        Self { sources, state: Mutex::new(State::new(terms)), unattributed: Counter::default() }
    }

    /// Changes the terms. Everything is decided anew.
    pub fn set_terms(&self, terms: Terms) {
        let mut state = self.state();
        if state.terms != terms {
            let terms_set = state.terms_set + 1;
            let labels_cut = state.labels_cut;
            *state = State { terms_set, is_outdated: true, labels_cut, ..State::new(terms) };
        }
    }

    /// What is to be read of a process, beside what is always read.
    pub fn wanted(&self) -> DetailsWanted {
        self.state().wanted.details.clone()
    }

    /// What becomes of the samples of a process.
    pub fn attribute(&self, facts: &Facts) -> Attribution {
        let now = Instant::now();
        let mut state = self.state();
        let key = Key {
            comm: facts.comm,
            cgroups: facts.cgroups.clone(),
            process: facts.process.filter(|_| state.wanted.of_process),
        };
        let revision = self.sources.revision();
        if let Some(known) = state.attributions.get(&key, facts.details.as_ref(), revision, now) {
            return known;
        }
        if facts.cgroups.is_none() && !state.attributions.contains(&key) {
            self.unattributed.increment();
        }
        let claimed = self.sources.claim(facts.cgroups.as_deref(), now);
        state.attribute(key, claimed, facts, revision, (now, now))
    }

    /// Takes in that no container runtime knows a container.
    pub fn deny(&self, container: &ContainerId) {
        self.sources.unknown.deny(container);
    }

    /// Takes in that the runtime that may know a container cannot be asked at the moment.
    pub fn fail(&self, container: &ContainerId) {
        self.sources.unknown.fail(container);
    }

    /// Ends a window: forgets who has not been seen for long.
    pub fn end_window(&self) {
        let now = Instant::now();
        for catalogue in [&self.sources.kubernetes, &self.sources.runtimes] {
            catalogue.purge(now);
        }
        let mut state = self.state();
        state.attributions.purge(now);
        state.cardinality.purge(now);
    }

    /// Another number whenever an earlier decision may not hold any more.
    pub fn revision(&self) -> [u64; 5] {
        let [kubernetes, runtimes, units, pods] = self.sources.revision();
        [kubernetes, runtimes, units, pods, self.state().terms_set]
    }

    /// Whether the same claims both: what is decided of a process in these cgroups is decided of one in those.
    pub fn claims_alike(&self, these: &Arc<Cgroups>, those: &Arc<Cgroups>) -> bool {
        let claim = |cgroups: &Arc<Cgroups>| self.sources.claim(Some(cgroups), Instant::now()).claim;
        these == those || claim(these).is_same(&claim(those))
    }

    /// Decides again on who was left out or is sampled less often. True if anyone is not any more, or was not for a
    /// while.
    pub fn reconsider(&self) -> bool {
        let mut state = self.state();
        self.decide_again(&mut state, |attribution| attribution.is_final && attribution.outcome.kept() != 1);
        std::mem::take(&mut state.is_outdated)
    }

    /// Decides again on those who have no sample that would, of whose attribution something holds.
    fn decide_again(&self, state: &mut State, holds: impl Fn(&Attribution) -> bool) {
        let (now, revision) = (Instant::now(), self.sources.revision());
        for Outdated { key, facts, seen } in state.attributions.outdated(revision, holds) {
            let claimed = self.sources.claim(facts.cgroups.as_deref(), now);
            state.attribute(key, claimed, &facts, revision, (now, seen));
        }
    }

    /// How each source does.
    pub fn sources(&self) -> Vec<Snapshot> {
        self.sources.statuses.iter().map(|status| status.snapshot()).collect()
    }

    /// The sources, and every target of late with what became of it.
    pub fn report(&self) -> Report {
        let sources = self.sources();
        let mut state = self.state();
        // Who had no samples since the sources told something may be another target by now.
        self.decide_again(&mut state, |_| true);
        let known: Vec<_> = state.attributions.iter().collect();
        let (naming, rules) = (state.naming.clone(), state.terms.policy.rules.clone());
        // Putting thousands of names together takes longer than samples should wait.
        drop(state);
        Report { sources, targets: report::entries(&known, &naming, &rules) }
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        self.sources.unknown.collect(exposition);
        let statuses = self.sources();
        let labels: Vec<_> = statuses.iter().map(|status| [("source", status.name)]).collect();
        exposition.gauge(
            "target_source_working",
            "1 if a source of targets tells all it knows, 0 if it is off or fails.",
            labels.iter().zip(&statuses).map(|(labels, status)| {
                (&labels[..], f64::from(u8::from(status.state == status::State::Working)))
            }),
        );
        exposition.counter(
            "target_source_errors",
            "Times that a source of targets failed.",
            labels.iter().zip(&statuses).map(|(labels, status)| (&labels[..], status.errors)),
        );
        let state = self.state();
        exposition.counter(
            "processes_unattributed",
            "Names of processes in cgroups that could not be found, whose samples went to the host.",
            [(&[][..], self.unattributed.get())],
        );
        exposition.counter(
            "target_labels_cut",
            "Labels of targets that were dropped because there were too many, or cut because they were too long.",
            [(&[][..], state.labels_cut)],
        );
        state.cardinality.collect(exposition);
        state.attributions.collect(exposition);
        let catalogues = [("kubernetes", &self.sources.kubernetes), ("runtime", &self.sources.runtimes)];
        let labels = catalogues.map(|(name, _)| [("source", name)]);
        let each = || labels.iter().zip(&catalogues).map(|(labels, (_, catalogue))| (&labels[..], catalogue));
        exposition.gauge(
            "containers_known",
            "Containers that a source told of.",
            each().map(|(labels, catalogue)| (labels, catalogue.len() as f64)),
        );
        exposition.gauge(
            "containers_known_bytes",
            "Bytes of what sources told of containers.",
            each().map(|(labels, catalogue)| (labels, catalogue.bytes() as f64)),
        );
        exposition.counter(
            "containers_refused",
            "Containers that a source told of and for which there was no room.",
            each().map(|(labels, catalogue)| (labels, catalogue.refused())),
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(terms: Terms) -> Self {
        let naming = Naming::new(&terms);
        let wanted = Wanted::by(&terms.policy.rules, &terms.environment);
        let cardinality = Cardinality::new(naming.base());
        let attributions = Attributions::default();
        Self {
            terms,
            naming,
            wanted,
            attributions,
            cardinality,
            terms_set: 0,
            is_outdated: false,
            labels_cut: 0,
        }
    }

    fn attribute(
        &mut self,
        key: Key,
        claimed: Claimed,
        facts: &Facts,
        revision: [u64; 4],
        (now, seen): (Instant, Instant),
    ) -> Attribution {
        let Claimed { claim, is_waiting, is_nameless } = claimed;
        let details = facts.details.as_ref();
        let outcome = match self.attributions.same(&key, details, &claim) {
            Some(outcome) => outcome,
            None => self.decide(&claim, facts, now),
        };
        let kept = self.attributions.kept(&key, details).unwrap_or(1);
        self.is_outdated |= kept != 1 && kept != outcome.kept();
        let is_of_cgroup = !matches!(claim, Claim::Host) && !self.wanted.of_process;
        let is_of_container = is_of_cgroup
            && matches!(claim, Claim::Container { .. } | Claim::Nobody(Unclaimed::PodNotSelected));
        let is_final = !is_waiting && self.wanted.is_there(facts);
        let attribution = Attribution { outcome, is_waiting, is_final, is_of_cgroup, is_of_container };
        self.attributions.insert(
            key,
            claim,
            facts,
            attribution.clone(),
            Validity { revision: is_final.then_some(revision), is_nameless, seen },
            now,
        );
        attribution
    }

    fn decide(&mut self, claim: &Claim, facts: &Facts, now: Instant) -> Outcome {
        let Some(source) = claim.source() else {
            let why = match claim {
                Claim::Nobody(Unclaimed::PodNotSelected) => LeftOut::PodNotSelected,
                _ => LeftOut::NotDiscovered,
            };
            return Outcome::LeftOut { why, labels: Arc::default() };
        };
        let labels = self.naming.discovered(claim, facts);
        let (outcome, labels_cut) = self.terms.policy.decide(source, labels);
        self.labels_cut += labels_cut;
        match outcome {
            Outcome::Profiled { target, divisor } => {
                Outcome::Profiled { target: self.cardinality.admit(target, now), divisor }
            }
            left_out @ Outcome::LeftOut { .. } => left_out,
        }
    }
}

#[cfg(test)]
mod tests;
