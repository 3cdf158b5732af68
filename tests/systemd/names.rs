//! Units of every kind, by their names, other names and patterns.

use super::source::{LIMIT, Source};
use super::systemd::{Systemd, service};
use super::{process, systemd};

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[test]
fn all_processes_of_a_service_are_in_it() {
    let systemd = Systemd::start();
    let source = Source::start_working(systemd.address(), &["forks.service"]);
    let fork = ["sh", "-c", "sleep 1000 & (sleep 1000 & exec sleep 1000) & exec sleep 1000"];
    let main = systemd.start_service("forks.service", &fork);
    process::eventually("it has forked", LIMIT, || systemd.processes("forks.service").len() == 4);
    source.await_unit(main, "forks.service");
    for member in systemd.processes("forks.service") {
        let unit = source.unit_of(member).unwrap();
        assert_eq!(unit.name.as_str(), "forks.service");
        assert_eq!(unit.discovered.labels.to_string(), r#"{systemd_unit="forks.service"}"#);
        assert_eq!(source.meta(member, "main_pid"), Some(main.to_string()));
    }
    // Another process is in none.
    assert_eq!(source.unit_of(systemd.main_process("dbus.service")), None);
    assert_eq!(source.unit_of(std::process::id()), None);
}

#[test]
fn what_systemd_tells_becomes_labels() {
    let systemd = Systemd::start();
    let text = service(&SLEEP, "[Unit]\nDescription=Sleeps \"well\"\n") + "Slice=deep-inner.slice\n";
    systemd.write("sleeper.service", &text);
    systemd.systemctl(&["start", "sleeper.service"]);
    let main = systemd.main_process("sleeper.service");
    let source = Source::start_working(systemd.address(), &["sleeper.service"]);
    let expected = format!(
        "{{__meta_systemd_main_pid=\"{main}\",__meta_systemd_slice=\"deep-inner.slice\",\
         __meta_systemd_unit=\"sleeper.service\",__meta_systemd_unit_active_state=\"active\",\
         __meta_systemd_unit_description=\"Sleeps \\\"well\\\"\"}}"
    );
    assert_eq!(source.unit_of(main).unwrap().discovered.meta.to_string(), expected);
}

#[test]
fn an_instance_of_a_template_with_an_escaped_name() {
    let systemd = Systemd::start();
    systemd.write("busy@.service", &service(&SLEEP, ""));
    let unit = r"busy@a\x2db.service";
    let source = Source::start_working(systemd.address(), &[unit]);
    systemd.systemctl(&["start", unit]);
    let main = systemd.main_process(unit);
    source.await_unit(main, unit);
}

#[test]
fn an_alias_is_the_unit_that_it_stands_for() {
    let systemd = Systemd::start();
    systemd.write("real.service", &service(&SLEEP, ""));
    systemd.alias("other.service", "real.service");
    let source = Source::start_working(systemd.address(), &["other.service"]);
    assert_eq!(source.units.missing(), [""; 0]);
    for _ in 0..2 {
        systemd.systemctl(&["start", "other.service"]);
        let main = systemd.main_process("real.service");
        source.await_unit(main, "real.service");
        systemd.stop("real.service");
    }
}

#[test]
fn a_scope_of_processes_that_others_start() {
    let systemd = Systemd::start();
    let source = Source::start_working(systemd.address(), &["session-*.scope"]);
    let scope = systemd.start_scope("session-1.scope", &SLEEP);
    source.await_unit(scope.id(), "session-1.scope");
    assert_eq!(source.meta(scope.id(), "main_pid"), None);
    assert_eq!(source.count("running"), 1.0);
    drop(scope);
    process::eventually("the scope is gone", LIMIT, || source.count("running") == 0.0);
}

#[test]
fn a_slice_holds_its_units_and_the_innermost_counts() {
    let systemd = Systemd::start();
    for (name, slice) in [("one.service", "tests-inner.slice"), ("two.service", "tests.slice")] {
        systemd.write(name, &(service(&SLEEP, "") + &format!("Slice={slice}\n")));
        systemd.systemctl(&["start", name]);
    }
    let [one, two] = ["one.service", "two.service"].map(|unit| systemd.main_process(unit));
    for (patterns, of_one, of_two) in [
        (&["tests.slice"][..], Some("tests.slice"), Some("tests.slice")),
        (&["tests-inner.slice"], Some("tests-inner.slice"), None),
        (&["tests*.slice"], Some("tests-inner.slice"), Some("tests.slice")),
        (&["tests.slice", "one.service"], Some("one.service"), Some("tests.slice")),
        (&["t*"], Some("tests-inner.slice"), Some("two.service")),
        (&["*.service"], Some("one.service"), Some("two.service")),
        // All that it runs is in its root.
        (&["-.slice"], Some("-.slice"), Some("-.slice")),
    ] {
        let source = Source::start_working(systemd.address(), patterns);
        for (process, expected) in [(one, of_one), (two, of_two)] {
            let unit = source.unit_of(process);
            assert_eq!(unit.as_ref().map(|unit| unit.name.as_str()), expected, "{patterns:?}");
        }
    }
}

#[test]
fn names_of_other_cgroups_do_not_count_beside_systemd() {
    let systemd = Systemd::start();
    systemd.start_service("web.service", &SLEEP);
    let source = Source::start_working(systemd.address(), &["web.service"]);
    let real = format!("{}/app.slice/web.service", systemd.root());
    for (path, expected) in [
        (real.as_str(), true),
        ("/system.slice/web.service", false),
        ("/user.slice/user-1.slice/user@1.service/app.slice/web.service", false),
    ] {
        assert_eq!(source.units.unit_of(&[path.as_bytes()]).is_some(), expected, "{path}");
    }
}

#[test]
fn a_unit_that_is_missing_is_waited_for() {
    let systemd = Systemd::start();
    let bad = ["late.service", "no name.service", "template@.service", "there.service"];
    systemd.write("there.service", &service(&SLEEP, ""));
    let source = Source::start_working(systemd.address(), &bad);
    assert_eq!(source.units.missing(), ["late.service", "no name.service", "template@.service"]);
    assert_eq!((source.count("missing"), source.count("stopped")), (3.0, 1.0));

    let main = systemd.start_service("late.service", &SLEEP);
    source.await_unit(main, "late.service");
    assert_eq!((source.count("missing"), source.count("running")), (2.0, 1.0));

    // It goes for good, which systemd learns when it is told to look.
    systemd.stop("late.service");
    std::fs::remove_file(systemd.units().join("late.service")).unwrap();
    systemd.systemctl(&["daemon-reload"]);
    process::eventually("it is missing again", LIMIT, || source.count("missing") == 3.0);
}

#[test]
fn nothing_is_left_behind() {
    let root = {
        let systemd = Systemd::start();
        systemd.start_service("web.service", &["sh", "-c", "trap '' TERM; sleep 1000 & wait"]);
        systemd.root()
    };
    for hierarchy in systemd::hierarchies() {
        assert!(!hierarchy.join(&root[1..]).exists(), "{root}");
    }
}
