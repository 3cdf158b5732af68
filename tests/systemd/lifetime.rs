//! Units that come, go and come back.

use super::process;
use super::source::{LIMIT, Source};
use super::systemd::{Systemd, service};
use std::time::Duration;

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[test]
fn a_unit_starts_stops_and_starts_again() {
    let systemd = Systemd::start();
    systemd.write("web.service", &service(&SLEEP, ""));
    let source = Source::start_working(systemd.address(), &["web.service"]);
    assert_eq!((source.count("stopped"), source.count("missing")), (1.0, 0.0));
    for _ in 0..3 {
        systemd.systemctl(&["start", "web.service"]);
        source.await_unit(systemd.main_process("web.service"), "web.service");
        assert_eq!(source.count("running"), 1.0);
        let revision = source.units.revision();
        systemd.stop("web.service");
        process::eventually("it is stopped", LIMIT, || source.count("running") == 0.0);
        assert_ne!(source.units.revision(), revision);
    }
}

#[test]
fn a_restart_is_another_main_process() {
    let systemd = Systemd::start();
    let first = systemd.start_service("web.service", &SLEEP);
    let source = Source::start_working(systemd.address(), &["web.service"]);
    assert_eq!(source.meta(first, "main_pid"), Some(first.to_string()));
    for _ in 0..3 {
        let revision = source.units.revision();
        let next = systemd.restart("web.service");
        // By its name it belongs to the unit from its first moment.
        assert_eq!(source.unit_of(next).unwrap().name.as_str(), "web.service");
        process::eventually("the new main process is known", LIMIT, || {
            source.meta(next, "main_pid") == Some(next.to_string())
        });
        assert_ne!(source.units.revision(), revision);
    }
}

#[test]
fn a_service_that_dies_is_started_by_systemd() {
    let systemd = Systemd::start();
    let text = service(&SLEEP, "[Unit]\nStartLimitIntervalSec=0\n") + "Restart=always\nRestartSec=0\n";
    systemd.write("web.service", &text);
    let source = Source::start_working(systemd.address(), &["w*.service"]);
    systemd.systemctl(&["start", "web.service"]);
    let first = systemd.main_process("web.service");
    source.await_unit(first, "web.service");
    process::signal(first, rustix::process::Signal::KILL);
    let next = || {
        let shown = systemd.systemctl(&["show", "--property=MainPID", "--value", "web.service"]);
        shown.trim().parse::<u32>().ok().filter(|process| *process != first && *process != 0)
    };
    process::eventually("the new main process is known", LIMIT, || {
        next().is_some_and(|next| source.meta(next, "main_pid") == Some(next.to_string()))
    });
}

#[test]
fn a_unit_moves_to_another_slice() {
    let systemd = Systemd::start();
    let first = systemd.start_service("web.service", &SLEEP);
    let source = Source::start_working(systemd.address(), &["web.service"]);
    assert_eq!(source.meta(first, "slice").as_deref(), Some("app.slice"));
    systemd.write("web.service", &(service(&SLEEP, "") + "Slice=other.slice\n"));
    systemd.systemctl(&["daemon-reload"]);
    let next = systemd.restart("web.service");
    process::eventually("it is in the other slice", LIMIT, || {
        source.meta(next, "slice").as_deref() == Some("other.slice")
            && source.meta(next, "main_pid") == Some(next.to_string())
    });
}

#[test]
fn other_units_do_not_wake_the_source() {
    let systemd = Systemd::start();
    let main = systemd.start_service("web.service", &SLEEP);
    let source = Source::start_working(systemd.address(), &["web.service", "none.service"]);
    source.await_unit(main, "web.service");
    // What systemd says of the missing unit, which it loaded to answer, comes after the answer.
    let begun = std::time::Instant::now();
    let signals = || source.metric("parca_agent_systemd_signals_total");
    let mut before = signals();
    while begun.elapsed() < Duration::from_secs(1) {
        for number in 0..3 {
            systemd.start_service(&format!("other{number}.service"), &SLEEP);
            systemd.stop(&format!("other{number}.service"));
        }
        if begun.elapsed() < Duration::from_millis(500) {
            before = signals();
        }
    }
    assert_eq!(signals(), before);
}

#[test]
fn with_globs_other_units_are_heard_of_and_not_asked_about() {
    let systemd = Systemd::start();
    let source = Source::start_working(systemd.address(), &["web*.service"]);
    let main = systemd.start_service("web.service", &SLEEP);
    source.await_unit(main, "web.service");
    let signals = || source.metric("parca_agent_systemd_signals_total");
    let mut before = (signals(), source.status.snapshot().last_success);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        systemd.start_service("other.service", &SLEEP);
        systemd.stop("other.service");
        // What is said of the unit itself comes before that.
        if begun.elapsed() < Duration::from_millis(500) {
            before = (signals(), source.status.snapshot().last_success);
        }
    }
    assert!(signals() > before.0);
    assert_eq!(source.status.snapshot().last_success, before.1);
}
