//! What systemd says by itself, and how the bus is asked to pass it on.

use super::bus::{BUS, MANAGER, PROPERTIES, SERVICE, SYSTEMD, UNIT};
use super::object_path;
use super::unit::UnitName;
use std::collections::HashMap;
use zbus::OwnedVariant;
use zbus::message::{Message, Type};

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// A unit was loaded or unloaded.
    Loaded(UnitName),
    /// A unit that is loaded has this state or main process now. systemd says so of every unit that was touched.
    State { unit: UnitName, active_state: Option<String>, main_process: Option<u32> },
    /// systemd has read its configuration anew.
    Reloaded,
    /// systemd is another connection now; `None` if it is none.
    Owner(Option<String>),
}

impl Signal {
    /// Reads a message. Anyone on the bus may send one like those of systemd: only what comes from its connection
    /// counts.
    pub(super) fn read(message: &Message, systemd: Option<&str>) -> Option<Self> {
        let header = message.header();
        if header.message_type() != Type::Signal {
            return None;
        }
        let (sender, interface, member) = (header.sender()?, header.interface()?, header.member()?);
        let body = message.body();
        match (interface.as_str(), member.as_str()) {
            (BUS, "NameOwnerChanged") if sender.as_str() == BUS => {
                let (name, _, owner): (&str, &str, &str) = body.deserialize().ok()?;
                (name == SYSTEMD)
                    .then(|| Self::Owner(Some(owner.to_owned()).filter(|owner| !owner.is_empty())))
            }
            _ if Some(sender.as_str()) != systemd => None,
            (MANAGER, "UnitNew" | "UnitRemoved") => {
                let (name, _): (&str, zbus::ObjectPath<'_>) = body.deserialize().ok()?;
                UnitName::new(name).map(Self::Loaded)
            }
            (MANAGER, "Reloading") => {
                let begins: bool = body.deserialize().ok()?;
                (!begins).then_some(Self::Reloaded)
            }
            (PROPERTIES, "PropertiesChanged") => {
                let unit = object_path::unit(header.path()?.as_str())?;
                let (of, mut changed, _): (String, HashMap<String, OwnedVariant>, Vec<String>) =
                    body.deserialize().ok()?;
                let mut take = |interface: &str, name: &str| changed.remove(name).filter(|_| of == interface);
                let active_state = take(UNIT, "ActiveState").and_then(|value| String::try_from(value).ok());
                let main_process = take(SERVICE, "MainPID").and_then(|value| u32::try_from(value).ok());
                let is_news = active_state.is_some() || main_process.is_some();
                is_news.then_some(Self::State { unit, active_state, main_process })
            }
            _ => None,
        }
    }
}

/// Of systemd itself: these are few.
pub(super) fn manager_rules() -> [String; 2] {
    [
        format!("type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{SYSTEMD}'"),
        format!("type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='Reloading'"),
    ]
}

/// Of one unit, by its real name or another. Names of units hold no quote that would have to be escaped.
pub(super) fn unit_rules(name: &UnitName) -> [String; 3] {
    [
        format!("type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='UnitNew',arg0='{name}'"),
        format!("type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='UnitRemoved',arg0='{name}'"),
        format!(
            "type='signal',sender='{SYSTEMD}',interface='{PROPERTIES}',member='PropertiesChanged',path='{}'",
            object_path::of_unit(name)
        ),
    ]
}

/// Of every unit: each wakes the agent, which only globs and long lists are worth.
pub(super) fn broad_rules() -> [String; 4] {
    let changed = |interface| {
        format!(
            "type='signal',sender='{SYSTEMD}',interface='{PROPERTIES}',member='PropertiesChanged',path_namespace='{}',arg0='{interface}'",
            object_path::UNITS
        )
    };
    [
        format!("type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='UnitNew'"),
        format!("type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='UnitRemoved'"),
        changed(UNIT),
        changed(SERVICE),
    ]
}

#[cfg(test)]
#[path = "signal/tests.rs"]
mod tests;
