use super::{
    BUS, MANAGER, PROPERTIES, SERVICE, SYSTEMD, Signal, UNIT, broad_rules, manager_rules, unit_rules,
};
use crate::discovery::systemd::unit::UnitName;
use std::collections::HashMap;
use zbus::message::Message;
use zbus::{MatchRule, ObjectPath, Variant};

const OWNER: &str = ":1.1";
const OBJECT: &str = "/org/freedesktop/systemd1/unit/web_2eservice";

fn web() -> UnitName {
    UnitName::new("web.service").unwrap()
}

fn message<B: serde::Serialize + zbus::DynamicType>(
    sender: &str,
    path: &str,
    interface: &str,
    member: &str,
    body: &B,
) -> Message {
    Message::signal(path, interface, member).sender(sender).build(body).unwrap()
}

fn manager<B: serde::Serialize + zbus::DynamicType>(member: &str, body: &B) -> Message {
    message(OWNER, "/org/freedesktop/systemd1", MANAGER, member, body)
}

fn changed(interface: &str, properties: &[(&str, Variant<'_>)]) -> Message {
    let changed: HashMap<&str, &Variant<'_>> =
        properties.iter().map(|(name, value)| (*name, value)).collect();
    let invalidated: &[&str] = &["Conditions"];
    message(OWNER, OBJECT, PROPERTIES, "PropertiesChanged", &(interface, changed, invalidated))
}

fn owner_changed(sender: &str, name: &str, owner: &str) -> Message {
    message(sender, "/org/freedesktop/DBus", BUS, "NameOwnerChanged", &(name, ":1.0", owner))
}

fn state(active_state: Option<&str>, main_process: Option<u32>) -> Option<Signal> {
    Some(Signal::State { unit: web(), active_state: active_state.map(str::to_owned), main_process })
}

#[test]
fn signals_are_read() {
    let object = ObjectPath::try_from(OBJECT).unwrap();
    for (name, message, expected) in [
        ("new", manager("UnitNew", &("web.service", &object)), Some(Signal::Loaded(web()))),
        ("removed", manager("UnitRemoved", &("web.service", &object)), Some(Signal::Loaded(web()))),
        ("no unit's name", manager("UnitNew", &("web", &object)), None),
        ("another form", manager("UnitNew", &7_u32), None),
        ("reload begins", manager("Reloading", &true), None),
        ("reload is over", manager("Reloading", &false), Some(Signal::Reloaded)),
        ("another signal", manager("JobNew", &(7_u32, &object, "web.service")), None),
        ("state", changed(UNIT, &[("ActiveState", "active".into())]), state(Some("active"), None)),
        ("main process", changed(SERVICE, &[("MainPID", 7_u32.into())]), state(None, Some(7))),
        ("its end", changed(SERVICE, &[("MainPID", 0_u32.into())]), state(None, Some(0))),
        ("another property", changed(SERVICE, &[("StatusText", "x".into())]), None),
        ("of another interface", changed(UNIT, &[("MainPID", 7_u32.into())]), None),
        ("of another type", changed(UNIT, &[("ActiveState", 7_u32.into())]), None),
        ("owner", owner_changed(BUS, SYSTEMD, ":1.2"), Some(Signal::Owner(Some(":1.2".to_owned())))),
        ("no owner", owner_changed(BUS, SYSTEMD, ""), Some(Signal::Owner(None))),
        ("another's owner", owner_changed(BUS, "org.example", ":1.2"), None),
    ] {
        assert_eq!(Signal::read(&message, Some(OWNER)), expected, "{name}");
    }
}

#[test]
fn who_passes_for_systemd_is_not_heard() {
    let object = ObjectPath::try_from(OBJECT).unwrap();
    let body = ("web.service", &object);
    let other = message(":1.66", "/org/freedesktop/systemd1", MANAGER, "UnitNew", &body);
    assert_eq!(Signal::read(&other, Some(OWNER)), None);
    assert_eq!(Signal::read(&owner_changed(":1.66", SYSTEMD, ":1.66"), Some(OWNER)), None);
    assert_eq!(Signal::read(&owner_changed(OWNER, SYSTEMD, ":1.66"), Some(OWNER)), None);
    assert_eq!(Signal::read(&manager("UnitNew", &body), None), None);
    let call = Message::method_call("/", "UnitNew").interface(MANAGER);
    let call = call.sender(OWNER).build(&body).unwrap();
    assert_eq!(Signal::read(&call, Some(OWNER)), None);
}

#[test]
fn rules_ask_for_what_is_read() {
    let odd = UnitName::new(r"busy@a\x2db.service").unwrap();
    let rules = manager_rules().into_iter().chain(unit_rules(&odd)).chain(broad_rules());
    for rule in rules {
        let parsed = MatchRule::try_from(rule.as_str()).unwrap_or_else(|error| panic!("{rule}: {error}"));
        assert_eq!(parsed.to_string(), rule);
    }
}
