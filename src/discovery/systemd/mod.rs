//! The units of systemd that were asked for, and which processes are in them.
//!
//! A process belongs to a unit by its cgroup. What systemd tells of the cgroups of units over the system bus counts
//! (`known`); without a bus, and until systemd has told, the names of the cgroups do ([`units_on_path`]). The task
//! that asks systemd waits for its signals, and never asks without a reason (`manager`).

mod bus;
mod changes;
mod known;
mod manager;
mod object_path;
pub mod pattern;
mod signal;
pub mod unit;
pub mod units_on_path;

use self::known::{Facts, Known, Put};
use self::pattern::UnitPatterns;
use self::signal::Signal;
use self::unit::UnitName;
use super::status::SourceStatus;
use super::target::Discovered;
use crate::metrics::{Counter, Exposition};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Cgroups whose unit is remembered; a host that has more starts anew.
const MAX_ANSWERS: usize = 4096;

/// Where systemd is on a bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BusAddress {
    /// What `DBUS_SYSTEM_BUS_ADDRESS` says, or where a system bus is by default.
    #[default]
    System,
    /// At an address such as `unix:path=/run/dbus/system_bus_socket`.
    At(String),
}

/// A unit that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// What it is really called, whatever alias was asked for.
    pub name: UnitName,
    /// What is known of it.
    pub discovered: Discovered,
}

/// The units that were asked for.
#[derive(Debug)]
pub struct Units {
    patterns: UnitPatterns,
    state: Mutex<State>,
    revision: AtomicU64,
    /// Units for which there was no room.
    refused: Counter,
    /// Signals about them.
    signals: Counter,
}

#[derive(Debug, Default)]
struct State {
    known: Known,
    answers: HashMap<Box<[u8]>, Option<Arc<Unit>>>,
    /// Names of which it was logged that no unit has them.
    warned: BTreeSet<Box<str>>,
}

impl Units {
    /// Nothing is known of them yet.
    pub fn new(patterns: UnitPatterns) -> Self {
        let (state, revision) = (Mutex::default(), AtomicU64::default());
        Self { patterns, state, revision, refused: Counter::default(), signals: Counter::default() }
    }

    /// Whether no units were asked for.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The unit, of those asked for, that a process with these cgroups belongs to, the most telling path first. The
    /// innermost one on the first path that leads into any.
    pub fn unit_of(&self, paths: &[&[u8]]) -> Option<Arc<Unit>> {
        if self.is_empty() {
            return None;
        }
        let state = &mut *self.state();
        paths.iter().find_map(|path| {
            if let Some(answer) = state.answers.get(*path) {
                return answer.clone();
            }
            let found = state.known.find(path, &self.patterns);
            let unit = found.map(|(name, discovered)| Arc::new(Unit { name, discovered }));
            if state.answers.len() >= MAX_ANSWERS {
                state.answers.clear();
            }
            state.answers.insert((*path).into(), unit.clone());
            unit
        })
    }

    /// Another number whenever an answer may be another one.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Names that were asked for and that no unit has, as far as systemd told.
    pub fn missing(&self) -> Vec<String> {
        self.state().known.missing().map(str::to_owned).collect()
    }

    /// Writes the numbers of this source.
    pub fn collect(&self, exposition: &mut Exposition) {
        let counts = self.state().known.counts();
        let missing = self.missing();
        let states = [("running", counts.running), ("stopped", counts.stopped), ("missing", counts.missing)];
        let labels = states.map(|(state, count)| ([("state", state)], count));
        exposition.gauge(
            "systemd_units",
            "Units of the list by state, as systemd tells; missing are names that no unit has.",
            labels.iter().map(|(labels, count)| (&labels[..], *count as f64)),
        );
        // No more than were asked for by name.
        let missing: Vec<_> = missing.iter().map(|unit| [("unit", unit.as_str())]).collect();
        exposition.gauge(
            "systemd_unit_missing",
            "Units that were asked for by name and that do not exist, as systemd tells.",
            missing.iter().map(|labels| (&labels[..], 1.0)),
        );
        exposition.counter(
            "systemd_units_refused",
            "Times that a unit of the list was not taken in because there are too many.",
            [(&[][..], self.refused.get())],
        );
        exposition.counter(
            "systemd_signals",
            "Signals of systemd about units, reloads and itself.",
            [(&[][..], self.signals.get())],
        );
    }

    /// Takes in all that systemd has: what it did not tell of is unloaded.
    fn update(
        &self,
        aliases: HashMap<Box<str>, UnitName>,
        missing: BTreeSet<Box<str>>,
        facts: HashMap<UnitName, Facts>,
        now: Instant,
    ) {
        self.apply(|state| {
            for name in &missing {
                if state.warned.insert(name.clone()) {
                    log::warn!(unit = &**name; "systemd has no such unit, waiting for it");
                }
            }
            let mut changed = state.known.retain(now, |name| facts.contains_key(name));
            changed |= self.put(&mut state.known, facts);
            changed |= state.known.set_names(aliases, missing);
            changed | state.known.purge(now)
        });
    }

    /// Takes in what systemd told of some units: of those that it left out, that they are unloaded.
    fn update_some(&self, asked: &[&UnitName], facts: HashMap<UnitName, Facts>, now: Instant) {
        self.apply(|state| {
            let gone = asked.iter().filter(|name| !facts.contains_key(**name));
            let mut changed = gone.fold(false, |changed, name| state.known.unload(name, now) | changed);
            changed |= self.put(&mut state.known, facts);
            changed | state.known.purge(now)
        });
    }

    fn put(&self, known: &mut Known, facts: HashMap<UnitName, Facts>) -> bool {
        let mut changed = false;
        for (name, facts) in facts {
            match known.put(&name, facts) {
                Put::News => changed = true,
                Put::Known => {}
                Put::NoRoom => self.refused.increment(),
            }
        }
        changed
    }

    /// Whether a signal says something of a unit of the list that is not known yet.
    fn is_news(&self, signal: &Signal) -> bool {
        let state = self.state();
        match signal {
            Signal::Loaded(unit) => state.known.is_asked_for(unit, &self.patterns),
            Signal::State { unit, active_state, main_process } => match state.known.get(unit) {
                None => state.known.is_asked_for(unit, &self.patterns),
                Some(facts) => {
                    active_state.as_ref().is_some_and(|active_state| **active_state != *facts.active_state)
                        || main_process
                            .is_some_and(|process| process != facts.main_process.unwrap_or_default())
                }
            },
            Signal::Reloaded | Signal::Owner(_) => true,
        }
    }

    fn is_asked_for(&self, name: &UnitName) -> bool {
        self.state().known.is_asked_for(name, &self.patterns)
    }

    fn apply(&self, change: impl FnOnce(&mut State) -> bool) {
        let mut state = self.state();
        if change(&mut state) {
            state.answers.clear();
            self.revision.fetch_add(1, Ordering::Release);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what is known of the units up to date. Never returns.
pub async fn run(units: Arc<Units>, status: Arc<SourceStatus>, address: BusAddress) {
    if units.is_empty() {
        status.off("no systemd units are asked for");
        std::future::pending::<()>().await;
    }
    let names = units.patterns.names().into_iter().filter_map(UnitName::new);
    for name in names.filter(|name| !name.kind().has_processes()) {
        log::warn!(unit = name.as_str(); "no process is ever in a unit of this kind");
    }
    manager::run(&units, &status, &address).await;
}

#[cfg(test)]
mod tests;
