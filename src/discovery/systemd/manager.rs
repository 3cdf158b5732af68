//! The source's task: asks systemd which units there are, and again about those of which it says that they changed.

use super::bus::{Bus, BusError, DEADLINE, Listed};
use super::changes::Changes;
use super::known::Facts;
use super::signal::{Signal, broad_rules, manager_rules, unit_rules};
use super::unit::UnitName;
use super::{BusAddress, Units};
use crate::backoff::{Backoff, random_fraction};
use crate::discovery::status::SourceStatus;
use crate::net::deadline::within;
use smol::Timer;
use smol::future::FutureExt;
use smol::stream::StreamExt;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use zbus::MessageStream;

/// Pauses between tries to reach systemd. A restart of the bus takes less than a second.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A connection that worked for so long did not fail: the pause after it is a short one again.
const LASTING: Duration = Duration::from_secs(10);
/// Units whose signals are asked for one by one; a bus takes some hundred rules from a connection.
const MAX_NARROW: usize = 40;
/// Names in one question.
const MAX_ASKED: usize = 256;
/// Characters of a description that are kept.
const MAX_DESCRIPTION: usize = 256;
/// Rounds in which new rules lead to new units.
const MAX_ROUNDS: usize = 4;

/// Keeps what is known of units up to date, for ever.
pub(super) async fn run(units: &Units, status: &SourceStatus, address: &BusAddress) {
    let mut backoff = Backoff::new(SHORTEST_PAUSE, LONGEST_PAUSE);
    loop {
        let mut works_since = None;
        let error = session(units, status, address, &mut works_since).await;
        status.failing(&error);
        let worked = works_since.map(|since: Instant| since.elapsed());
        Timer::after(pause(&mut backoff, worked, random_fraction())).await;
    }
}

/// The pause after a connection that worked for so long. One that soon breaks again and again is not to be made again
/// and again without pause.
fn pause(backoff: &mut Backoff, worked: Option<Duration>, fraction: f64) -> Duration {
    if worked.is_some_and(|worked| worked >= LASTING) {
        backoff.reset();
    }
    backoff.next(fraction)
}

/// One connection, from its beginning to its end. `works_since` is set when systemd has told all.
async fn session(
    units: &Units,
    status: &SourceStatus,
    address: &BusAddress,
    works_since: &mut Option<Instant>,
) -> BusError {
    let (bus, messages) = match Bus::connect(address).await {
        Ok(connected) => connected,
        Err(error) => return error,
    };
    let changes = Changes::new();
    let mut session = Session { bus, units, changes: &changes, rules: HashSet::new() };
    let asking = async {
        let Err(error) = session.work(status, works_since).await;
        error
    };
    listen(messages, units, &changes).or(asking).await
}

/// Takes all that comes in, until the connection ends.
async fn listen(mut messages: MessageStream, units: &Units, changes: &Changes) -> BusError {
    while let Some(message) = messages.next().await {
        let message = match message {
            Ok(message) => message,
            Err(error) => return BusError::Broken(error),
        };
        if let Some(signal) = Signal::read(&message, changes.owner().as_deref()) {
            units.signals.increment();
            changes.add(signal, |signal| units.is_news(signal));
        }
    }
    BusError::Closed
}

struct Session<'a> {
    bus: Bus,
    units: &'a Units,
    changes: &'a Changes,
    /// Asked of the bus.
    rules: HashSet<String>,
}

impl Session<'_> {
    /// Ends only by an error.
    async fn work(
        &mut self,
        status: &SourceStatus,
        works_since: &mut Option<Instant>,
    ) -> Result<Infallible, BusError> {
        // Before anything is asked, so that no change after the answer is missed.
        self.add_rules(manager_rules()).await?;
        self.begin().await?;
        *works_since = Some(Instant::now());
        status.working();
        loop {
            let changed = self.changes.next().await;
            if changed.owner {
                self.await_owner().await?;
                self.begin().await?;
            } else if changed.everything {
                self.ask_all().await?;
            } else if !self.ask_again(&changed.units).await? {
                continue;
            }
            status.working();
        }
    }

    /// Asks systemd anew, as after its start.
    async fn begin(&mut self) -> Result<(), BusError> {
        self.changes.set_owner(self.bus.owner().await?);
        self.add_unit_rules(&[]).await?;
        self.bus.subscribe().await?;
        self.ask_all().await
    }

    /// While systemd executes itself anew, it is not on the bus.
    async fn await_owner(&self) -> Result<(), BusError> {
        let back = async {
            while self.changes.owner().is_none() {
                self.changes.next().await;
            }
        };
        within(DEADLINE, back).await.ok_or(BusError::Left)
    }

    /// Asks for all units of the list.
    async fn ask_all(&mut self) -> Result<(), BusError> {
        for _ in 0..MAX_ROUNDS {
            let (aliases, missing, mut listed) = self.ask_names().await?;
            let globs = self.units.patterns.globs();
            listed.extend(self.bus.units_by_patterns(&globs).await?.into_iter().filter(is_there));
            let mut facts = HashMap::new();
            for unit in listed {
                if let Some(name) = unit.name.clone().filter(|name| name.kind().has_processes())
                    && !facts.contains_key(&name)
                {
                    let told = self.facts(&name, unit).await?;
                    facts.insert(name, told);
                }
            }
            let names: Vec<UnitName> = facts.keys().cloned().collect();
            self.units.update(aliases, missing, facts, Instant::now());
            // A change between the question and the rule would be missed.
            if !self.add_unit_rules(&names).await? {
                break;
            }
        }
        Ok(())
    }

    /// Asks for the names of the list: what is an alias, what no unit has, and the units of all others.
    async fn ask_names(
        &self,
    ) -> Result<(HashMap<Box<str>, UnitName>, BTreeSet<Box<str>>, Vec<Listed>), BusError> {
        let names = self.units.patterns.names();
        // One bad name would spoil the answer.
        let (good, bad): (Vec<&str>, Vec<&str>) =
            names.into_iter().partition(|name| UnitName::new(name).is_some());
        let mut missing: BTreeSet<Box<str>> = bad.into_iter().map(Into::into).collect();
        let (mut aliases, mut found) = (HashMap::new(), Vec::new());
        for names in good.chunks(MAX_ASKED) {
            for (asked, unit) in names.iter().zip(self.bus.units_by_names(names).await?) {
                match &unit.name {
                    Some(name) if is_there(&unit) => {
                        if name.as_str() != *asked {
                            aliases.insert((*asked).into(), name.clone());
                        }
                        found.push(unit);
                    }
                    _ => drop(missing.insert((*asked).into())),
                }
            }
        }
        Ok((aliases, missing, found))
    }

    /// Asks about some units. None is loaded by that: systemd would say of each that it was loaded, and it would be
    /// asked about again. False if none of them is of the list.
    async fn ask_again(&mut self, changed: &HashSet<UnitName>) -> Result<bool, BusError> {
        let changed: Vec<&UnitName> = changed
            .iter()
            .filter(|name| name.kind().has_processes() && self.units.is_asked_for(name))
            .collect();
        for names in changed.chunks(MAX_ASKED) {
            let asked: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let listed = self.bus.units_by_patterns(&asked).await?;
            let mut facts = HashMap::new();
            for unit in listed.into_iter().filter(is_there) {
                if let Some(name) = unit.name.clone() {
                    let told = self.facts(&name, unit).await?;
                    facts.insert(name, told);
                }
            }
            self.units.update_some(names, facts, Instant::now());
        }
        Ok(!changed.is_empty())
    }

    async fn facts(&self, name: &UnitName, unit: Listed) -> Result<Facts, BusError> {
        let mut facts = Facts {
            description: unit.description.chars().take(MAX_DESCRIPTION).collect(),
            active_state: unit.active_state.into(),
            ..Facts::default()
        };
        if facts.is_running() {
            let control_group = self.bus.control_group(name).await?;
            facts.control_group = control_group.map(|path| path.into_bytes().into());
            facts.main_process = self.bus.main_process(name).await?;
        }
        Ok(facts)
    }

    /// Asks the bus for the signals of the units of the list. True if some are new.
    async fn add_unit_rules(&mut self, found: &[UnitName]) -> Result<bool, BusError> {
        let names = self.units.patterns.names();
        if !self.units.patterns.globs().is_empty() || names.len() > MAX_NARROW {
            return self.add_rules(broad_rules()).await;
        }
        let mut added = false;
        for name in names.into_iter().filter_map(UnitName::new).chain(found.iter().cloned()) {
            added |= self.add_rules(unit_rules(&name)).await?;
        }
        Ok(added)
    }

    async fn add_rules(&mut self, rules: impl IntoIterator<Item = String>) -> Result<bool, BusError> {
        let mut added = false;
        for rule in rules {
            if !self.rules.contains(&rule) {
                self.bus.add_match(&rule).await?;
                self.rules.insert(rule);
                added = true;
            }
        }
        Ok(added)
    }
}

/// Whether there is more of a unit than its name, which another may mention. One whose file is gone may still run.
fn is_there(unit: &Listed) -> bool {
    unit.load_state != "not-found" || unit.active_state != "inactive"
}

#[cfg(test)]
mod tests {
    use super::{LASTING, LONGEST_PAUSE, SHORTEST_PAUSE, pause};
    use crate::backoff::Backoff;
    use std::time::Duration;

    #[test]
    fn a_connection_that_soon_breaks_is_made_again_ever_later() {
        let mut backoff = Backoff::new(SHORTEST_PAUSE, LONGEST_PAUSE);
        let soon = Some(LASTING - Duration::from_millis(1));
        let pauses: Vec<_> = [None, soon, soon, Some(LASTING), soon]
            .map(|worked| pause(&mut backoff, worked, 1.0).as_secs())
            .into();
        assert_eq!(pauses, [1, 2, 4, 1, 2]);
    }
}
