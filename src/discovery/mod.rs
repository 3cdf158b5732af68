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
use policy::{Divisor, LeftOut, Outcome, Policy};
use process_labels::{Wanted, put_machine, put_process};
use report::{Report, TargetEntry};
use status::Snapshot;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use target::Discovered;

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
    terms: Terms,
    /// How often they were set.
    terms_set: u64,
    /// They were, since it was last decided again.
    terms_changed: bool,
    /// Labels that all targets have.
    base: LabelSet,
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
            *state = State { terms_set, terms_changed: true, ..State::new(terms) };
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
        if let Some(known) = state.attributions.get(&key, revision, now) {
            return known;
        }
        if facts.cgroups.is_none() {
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

    /// Decides again on who was left out or is sampled less often. True if anyone is not any more.
    pub fn reconsider(&self) -> bool {
        let mut state = self.state();
        let have_terms_changed = std::mem::take(&mut state.terms_changed);
        self.decide_again(&mut state, is_not_whole) | have_terms_changed
    }

    /// Decides again on those who have no sample that would, of whose outcome something holds. True if any is another.
    fn decide_again(&self, state: &mut State, holds: impl Fn(&Outcome) -> bool) -> bool {
        let (now, revision) = (Instant::now(), self.sources.revision());
        let mut has_changed = false;
        for Outdated { key, facts, outcome, seen } in state.attributions.outdated(revision, holds) {
            let claimed = self.sources.claim(facts.cgroups.as_deref(), now);
            has_changed |= state.attribute(key, claimed, &facts, revision, (now, seen)).outcome != outcome;
        }
        has_changed
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
        let mut targets = state.entries();
        drop(state);
        report::sort(&mut targets);
        Report { sources, targets }
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

/// Whether a process is left out, or sampled less often.
fn is_not_whole(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Profiled { divisor: Divisor::ONE, .. })
}

impl State {
    fn new(terms: Terms) -> Self {
        let mut base = terms.external_labels.clone();
        base.set("__name__", PROFILE_NAME);
        base.set("node", terms.node.as_str());
        put_machine(&mut base);
        let wanted = Wanted::by(&terms.policy.rules, &terms.environment);
        let cardinality = Cardinality::new(base.clone());
        let attributions = Attributions::default();
        Self { terms, terms_set: 0, terms_changed: false, base, wanted, attributions, cardinality }
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
        let outcome = match self.attributions.same(&key, &claim) {
            Some(outcome) => outcome,
            None => self.decide(&claim, facts, now),
        };
        let is_of_cgroup = !matches!(claim, Claim::Host) && !self.wanted.of_process;
        let is_of_container = is_of_cgroup
            && matches!(claim, Claim::Container { .. } | Claim::Nobody(Unclaimed::PodNotSelected));
        // The executable of a process is known some time after its name.
        let is_final = !is_waiting
            && (!self.wanted.details.executable
                || facts.executable.as_ref().is_some_and(|object| object.info.get().is_some()));
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
        let labels = self.discovered(claim, facts);
        match self.terms.policy.decide(source, labels) {
            Outcome::Profiled { target, divisor } => {
                Outcome::Profiled { target: self.cardinality.admit(target, now), divisor }
            }
            left_out @ Outcome::LeftOut { .. } => left_out,
        }
    }

    /// All labels of a process, before any rule.
    fn discovered(&self, claim: &Claim, facts: &Facts) -> LabelSet {
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

    fn rule_of(&self, outcome: &Outcome) -> Option<String> {
        match outcome {
            Outcome::LeftOut { why: LeftOut::Rule { rule }, .. } => {
                self.terms.policy.rules.get(*rule).map(ToString::to_string)
            }
            _ => None,
        }
    }

    /// One entry for each claim and what became of it.
    fn entries(&self) -> Vec<TargetEntry> {
        let mut entries: HashMap<(Option<&Discovered>, &Outcome), TargetEntry> = HashMap::new();
        for (claim, facts, outcome) in self.attributions.iter() {
            entries
                .entry((claim.discovered(), outcome))
                .and_modify(|entry| entry.processes += 1)
                .or_insert_with(|| TargetEntry {
                    source: claim.source(),
                    discovered: self.discovered(claim, facts),
                    outcome: outcome.clone(),
                    rule: self.rule_of(outcome),
                    processes: 1,
                });
        }
        entries.into_values().collect()
    }
}

#[cfg(test)]
mod tests;
