//! What is known of the units that were asked for: told by systemd, and by the names of cgroups where it is silent.
//! Pure but for the time, which is given.

use super::pattern::UnitPatterns;
use super::unit::UnitName;
use super::units_on_path::{Depth, Owner, UnitsOnPath, depth, slice_above};
use crate::discovery::target::Discovered;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Units that are told apart. A host has some hundreds; one with a mount for each of many containers has thousands.
pub(super) const MAX_UNITS: usize = 16_384;
/// For how long a unit that systemd has unloaded is still known: its last samples come late.
pub(super) const KEEP: Duration = Duration::from_secs(60);

/// What systemd told of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The line that people read.
    pub(super) description: Box<str>,
    /// `active`, `inactive`, `failed`, or on the way from one to another.
    pub(super) active_state: Box<str>,
    /// Path of its cgroup; `None` while it has none.
    pub(super) control_group: Option<Box<[u8]>>,
    /// A service's first process.
    pub(super) main_process: Option<u32>,
}

impl Facts {
    /// Whether a unit in this state may have processes.
    pub(super) fn is_running(&self) -> bool {
        !matches!(&*self.active_state, "inactive" | "failed")
    }
}

#[derive(Debug)]
struct Entry {
    facts: Facts,
    /// When systemd unloaded it.
    gone: Option<Instant>,
}

impl Entry {
    /// False if it was unloaded before. systemd keeps whatever has processes.
    fn unload(&mut self, now: Instant) -> bool {
        let was_loaded = self.gone.is_none();
        if was_loaded {
            self.gone = Some(now);
            self.facts.active_state = "inactive".into();
            self.facts.main_process = None;
        }
        was_loaded
    }
}

/// Whether there was room for what was told, and whether it was news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    News,
    Known,
    NoRoom,
}

/// How many units there are of each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) running: usize,
    pub(super) stopped: usize,
    pub(super) missing: usize,
}

/// The units that were asked for, as far as systemd told of them.
#[derive(Debug, Default)]
pub(super) struct Known {
    units: HashMap<UnitName, Entry>,
    by_control_group: HashMap<Box<[u8]>, UnitName>,
    /// The unit that each name leads to which is an alias.
    aliases: HashMap<Box<str>, UnitName>,
    /// Names that no unit has.
    missing: BTreeSet<Box<str>>,
}

impl Known {
    /// Takes in what systemd told of a unit. One that has stopped keeps the cgroup that it last had.
    pub(super) fn put(&mut self, name: &UnitName, mut facts: Facts) -> Put {
        let known = self.units.get(name);
        if facts.control_group.is_none() {
            facts.control_group = known.and_then(|entry| entry.facts.control_group.clone());
        }
        if known.is_some_and(|entry| entry.gone.is_none() && entry.facts == facts) {
            return Put::Known;
        }
        if known.is_none() && self.units.len() >= MAX_UNITS {
            return Put::NoRoom;
        }
        self.remove(name);
        if let Some(path) = &facts.control_group {
            self.by_control_group.insert(path.clone(), name.clone());
        }
        self.missing.remove(name.as_str());
        self.units.insert(name.clone(), Entry { facts, gone: None });
        Put::News
    }

    /// Takes in that systemd has unloaded a unit.
    pub(super) fn unload(&mut self, name: &UnitName, now: Instant) -> bool {
        self.units.get_mut(name).is_some_and(|entry| entry.unload(now))
    }

    /// Takes in that systemd has unloaded all but those of which `is_there` says otherwise.
    pub(super) fn retain(&mut self, now: Instant, is_there: impl Fn(&UnitName) -> bool) -> bool {
        let mut changed = false;
        for (name, entry) in &mut self.units {
            changed |= !is_there(name) && entry.unload(now);
        }
        changed
    }

    /// Forgets what has been unloaded for long. To be called whenever something was told.
    pub(super) fn purge(&mut self, now: Instant) -> bool {
        let is_old = |entry: &Entry| entry.gone.is_some_and(|gone| now.duration_since(gone) >= KEEP);
        let old: Vec<_> =
            self.units.iter().filter(|(_, entry)| is_old(entry)).map(|(name, _)| name.clone()).collect();
        for name in &old {
            self.remove(name);
        }
        !old.is_empty()
    }

    /// Takes in which names are aliases, and which no unit has.
    pub(super) fn set_names(
        &mut self,
        aliases: HashMap<Box<str>, UnitName>,
        missing: BTreeSet<Box<str>>,
    ) -> bool {
        let changed = aliases != self.aliases || missing != self.missing;
        (self.aliases, self.missing) = (aliases, missing);
        changed
    }

    /// What systemd told of a unit that it has not unloaded.
    pub(super) fn get(&self, name: &UnitName) -> Option<&Facts> {
        self.units.get(name).filter(|entry| entry.gone.is_none()).map(|entry| &entry.facts)
    }

    /// Whether a unit was asked for, by its name or an alias.
    pub(super) fn is_asked_for(&self, name: &UnitName, patterns: &UnitPatterns) -> bool {
        patterns.matches(name) || self.aliases.values().any(|unit| unit == name)
    }

    /// Names that no unit has.
    pub(super) fn missing(&self) -> impl Iterator<Item = &str> {
        self.missing.iter().map(|name| &**name)
    }

    pub(super) fn counts(&self) -> Counts {
        let present = self.units.values().filter(|entry| entry.gone.is_none());
        let running = present.clone().filter(|entry| entry.facts.is_running()).count();
        Counts { running, stopped: present.count() - running, missing: self.missing.len() }
    }

    /// The innermost unit of those asked for that a cgroup is in, and what is to be told of it.
    ///
    /// What systemd told of the cgroups of units counts. A unit of which it told none is known by its name: it may
    /// have started just now, or belong to a user's manager, or there is no bus.
    pub(super) fn find(&self, path: &[u8], patterns: &UnitPatterns) -> Option<(UnitName, Discovered)> {
        let on_path = UnitsOnPath::parse(path);
        let told = self.told_of(path);
        let named = on_path.units.iter().rev().find(|unit| {
            self.is_asked_for(&unit.name, patterns) && !self.is_elsewhere(&unit.name, unit.owner, path)
        });
        let (name, depth, owner) = match (told, named) {
            (Some((name, depth)), Some(named)) if named.depth <= depth => (name, depth, Owner::System),
            (_, Some(named)) => (&named.name, named.depth, named.owner),
            (Some((name, depth)), None) => (name, depth, Owner::System),
            (None, None) => return None,
        };
        Some((name.clone(), self.describe(name, depth, owner, path, &on_path)))
    }

    /// The innermost unit of whose cgroup systemd told.
    fn told_of(&self, path: &[u8]) -> Option<(&UnitName, Depth)> {
        let ends = (0..=path.len()).rev().filter(|end| path.get(*end).is_none_or(|byte| *byte == b'/'));
        ends.map(|end| path.get(..end).filter(|prefix| !prefix.is_empty()).unwrap_or(b"/"))
            .find_map(|prefix| Some((self.by_control_group.get(prefix)?, depth(prefix))))
    }

    /// Whether systemd has a unit of this name, and its cgroup is another one: then who gave the name to this
    /// cgroup is a user, or a manager in a container. Paths relative to another namespace cannot be compared.
    fn is_elsewhere(&self, name: &UnitName, owner: Owner, path: &[u8]) -> bool {
        let is_relative = path.starts_with(b"/..");
        let is_told = |facts: &Facts| owner == Owner::User || facts.control_group.is_some();
        !is_relative && self.get(name).is_some_and(is_told)
    }

    fn describe(
        &self,
        name: &UnitName,
        depth: Depth,
        owner: Owner,
        path: &[u8],
        on_path: &UnitsOnPath,
    ) -> Discovered {
        let mut discovered = Discovered::default();
        discovered.labels.set("systemd_unit", name.as_str());
        let meta = &mut discovered.meta;
        // Of a user's unit the system's manager knows only the service that it is in.
        let (system_unit, facts) = match owner {
            Owner::System => (Some(name), self.units.get(name).map(|entry| &entry.facts)),
            Owner::User => (on_path.user_manager(), None),
        };
        meta.set("__meta_systemd_unit", system_unit.map_or("", UnitName::as_str));
        let slice = slice_above(path, depth);
        meta.set("__meta_systemd_slice", slice.as_ref().map_or("", UnitName::as_str));
        meta.set("__meta_systemd_user_unit", on_path.user_unit().map_or("", UnitName::as_str));
        if let Some(facts) = facts {
            meta.set("__meta_systemd_unit_description", &*facts.description);
            meta.set("__meta_systemd_unit_active_state", &*facts.active_state);
            let process = facts.main_process.map(|process| process.to_string());
            meta.set("__meta_systemd_main_pid", process.unwrap_or_default());
        }
        discovered
    }

    fn remove(&mut self, name: &UnitName) {
        let Some(entry) = self.units.remove(name) else { return };
        if let Some(path) = entry.facts.control_group
            && self.by_control_group.get(&path) == Some(name)
        {
            self.by_control_group.remove(&path);
        }
    }
}

#[cfg(test)]
#[path = "known/tests.rs"]
mod tests;
