//! systemd and its bus go and come back. What was told stays in force meanwhile.

use super::process;
use super::source::{LIMIT, Source};
use super::systemd::Systemd;
use parca_agent::discovery::status::State;

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[test]
fn the_bus_is_killed() {
    let systemd = Systemd::start();
    let main = systemd.start_service("web.service", &SLEEP);
    let source = Source::start_working(systemd.address(), &["web.service"]);
    source.await_unit(main, "web.service");
    let errors = source.status.snapshot().errors;
    systemd.kill_bus();
    process::eventually("the source fails", LIMIT, || source.status.snapshot().errors > errors);
    assert_eq!(source.meta(main, "main_pid"), Some(main.to_string()));
    // Who connects starts it, by its socket.
    source.await_state(State::Working);
    let next = systemd.restart("web.service");
    process::eventually("a change is heard", LIMIT, || {
        source.meta(next, "main_pid") == Some(next.to_string())
    });
}

#[test]
fn the_manager_is_killed_and_started_again() {
    let mut systemd = Systemd::start();
    let main = systemd.start_service("web.service", &SLEEP);
    let source = Source::start_working(systemd.address(), &["web.service"]);
    source.await_unit(main, "web.service");
    systemd.kill();
    source.await_state(State::Failing);
    // Its cgroup is still the unit's, and so is a new one of that name.
    for path in
        [format!("{}/app.slice/web.service", systemd.root()), "/system.slice/web.service/x".to_owned()]
    {
        let known = source.units.unit_of(&[path.as_bytes()]);
        assert_eq!(known.is_some(), path.starts_with(&systemd.root()), "{path}");
    }
    systemd.start_again();
    source.await_state(State::Working);
    let next = systemd.start_service("web.service", &SLEEP);
    source.await_unit(next, "web.service");
}

#[test]
fn systemd_executes_itself_anew() {
    let systemd = Systemd::start();
    let main = systemd.start_service("web.service", &SLEEP);
    let source = Source::start_working(systemd.address(), &["web.service", "late.service"]);
    source.await_unit(main, "web.service");
    systemd.systemctl(&["daemon-reexec"]);
    let late = systemd.start_service("late.service", &SLEEP);
    source.await_unit(late, "late.service");
    source.await_unit(main, "web.service");
    let next = systemd.restart("web.service");
    process::eventually("a change is heard", LIMIT, || {
        source.meta(next, "main_pid") == Some(next.to_string())
    });
}

#[test]
fn a_reload_loses_nothing() {
    let systemd = Systemd::start();
    let main = systemd.start_service("web.service", &SLEEP);
    let source = Source::start_working(systemd.address(), &["*.service"]);
    for _ in 0..3 {
        systemd.systemctl(&["daemon-reload"]);
        assert_eq!(source.unit_of(main).unwrap().name.as_str(), "web.service");
    }
    let next = systemd.restart("web.service");
    process::eventually("a change is heard", LIMIT, || {
        source.meta(next, "main_pid") == Some(next.to_string())
    });
}

#[test]
fn systemd_leaves_its_bus() {
    let mut systemd = Systemd::start();
    let main = systemd.start_service("web.service", &SLEEP);
    let source = Source::start_working(systemd.address(), &["web.service"]);
    source.await_unit(main, "web.service");
    systemd.kill_manager();
    process::eventually("the source fails", LIMIT, || source.status.snapshot().state == State::Failing);
    let error = source.status.snapshot().last_error.unwrap();
    assert_eq!(error, "systemd left the system bus");
    assert_eq!(source.meta(main, "main_pid"), Some(main.to_string()));
}
