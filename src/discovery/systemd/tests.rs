use super::known::Facts;
use super::pattern::UnitPatterns;
use super::signal::Signal;
use super::unit::UnitName;
use super::{MAX_ANSWERS, Units};
use crate::metrics::{Format, Registry};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

fn name(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

fn units(patterns: &[&str]) -> Units {
    Units::new(UnitPatterns::new(patterns))
}

fn told(unit: &str, control_group: &str, main_process: u32) -> HashMap<UnitName, Facts> {
    let facts = Facts {
        active_state: "active".into(),
        control_group: Some(control_group.as_bytes().into()),
        main_process: Some(main_process),
        ..Facts::default()
    };
    [(name(unit), facts)].into()
}

fn found(units: &Units, paths: &[&str]) -> Option<String> {
    let paths: Vec<&[u8]> = paths.iter().map(|path| path.as_bytes()).collect();
    units.unit_of(&paths).map(|unit| unit.name.to_string())
}

#[test]
fn the_first_path_that_leads_into_a_unit_counts() {
    let units = units(&["web.service", "docker.service"]);
    for (paths, expected) in [
        (&["/system.slice/web.service", "/system.slice/docker.service"][..], Some("web.service")),
        (&["/", "/docker/A", "/system.slice/docker.service"], Some("docker.service")),
        (&["/"], None),
        (&[], None),
    ] {
        assert_eq!(found(&units, paths).as_deref(), expected, "{paths:?}");
        // The same when it is remembered.
        assert_eq!(found(&units, paths).as_deref(), expected, "{paths:?}");
    }
}

#[test]
fn only_a_change_makes_a_revision_and_forgets_answers() {
    let units = units(&["web.service"]);
    let now = Instant::now();
    assert_eq!(found(&units, &["/x"]), None);
    let before = units.revision();
    units.update_some(&[&name("web.service")], told("web.service", "/x", 7), now);
    assert_ne!(units.revision(), before);
    assert_eq!(found(&units, &["/x"]).as_deref(), Some("web.service"));

    let (before, unit) = (units.revision(), units.unit_of(&[b"/x"]).unwrap());
    units.update_some(&[&name("web.service")], told("web.service", "/x", 7), now);
    assert_eq!(units.revision(), before);
    assert!(Arc::ptr_eq(&unit, &units.unit_of(&[b"/x"]).unwrap()));

    units.update_some(&[&name("web.service")], told("web.service", "/x", 8), now);
    let meta = &units.unit_of(&[b"/x"]).unwrap().discovered.meta;
    assert_eq!(meta.get("__meta_systemd_main_pid"), Some("8"));
    units.update_some(&[&name("web.service")], HashMap::new(), now);
    let meta = &units.unit_of(&[b"/x"]).unwrap().discovered.meta;
    assert_eq!(meta.get("__meta_systemd_unit_active_state"), Some("inactive"));
}

#[test]
fn a_state_is_news_if_it_is_another() {
    let units = units(&["w*.service"]);
    let signal = |unit: &str, state: Option<&str>, main_process| Signal::State {
        unit: name(unit),
        active_state: state.map(str::to_owned),
        main_process,
    };
    assert!(units.is_news(&signal("web.service", Some("inactive"), None)));
    assert!(!units.is_news(&signal("mail.service", Some("active"), None)));
    assert!(units.is_news(&Signal::Loaded(name("web.service"))));
    // With globs systemd tells of every unit of the host.
    assert!(!units.is_news(&Signal::Loaded(name("mail.service"))));
    units.update_some(&[&name("web.service")], told("web.service", "/x", 7), Instant::now());
    for (state, process, expected) in [
        (Some("active"), None, false),
        (Some("active"), Some(7), false),
        (None, Some(7), false),
        (None, None, false),
        (Some("failed"), None, true),
        (None, Some(8), true),
        (None, Some(0), true),
    ] {
        assert_eq!(units.is_news(&signal("web.service", state, process)), expected, "{state:?} {process:?}");
    }
}

#[test]
fn without_units_there_are_no_answers() {
    let units = units(&[]);
    assert!(units.is_empty());
    assert_eq!(found(&units, &["/system.slice/web.service"]), None);
}

#[test]
fn answers_are_bounded() {
    let units = units(&["*.service"]);
    for index in 0..MAX_ANSWERS + 10 {
        let path = format!("/{index}.service");
        assert_eq!(found(&units, &[&path]).unwrap(), path[1..]);
    }
    assert!(units.state().answers.len() <= MAX_ANSWERS);
}

#[test]
fn the_numbers_are_told() {
    let units = Arc::new(units(&["web.service", "none.service"]));
    let missing = ["none.service".into()].into();
    units.update(HashMap::new(), missing, told("web.service", "/x", 7), Instant::now());
    assert_eq!(units.missing(), ["none.service"]);
    let registry = Registry::default();
    registry.register(move |exposition| units.collect(exposition));
    let text = registry.scrape(Format::Prometheus);
    for line in [
        "parca_agent_systemd_units{state=\"running\"} 1\n",
        "parca_agent_systemd_units{state=\"stopped\"} 0\n",
        "parca_agent_systemd_units{state=\"missing\"} 1\n",
        "parca_agent_systemd_unit_missing{unit=\"none.service\"} 1\n",
        "parca_agent_systemd_units_refused_total 0\n",
        "parca_agent_systemd_signals_total 0\n",
    ] {
        assert!(text.contains(line), "{line} {text}");
    }
}
