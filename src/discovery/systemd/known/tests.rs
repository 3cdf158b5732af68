use super::{Counts, Facts, KEEP, Known, MAX_UNITS, Put};
use crate::discovery::systemd::pattern::UnitPatterns;
use crate::discovery::systemd::unit::UnitName;
use std::time::{Duration, Instant};

fn name(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

fn running(control_group: &str) -> Facts {
    Facts {
        description: "what it does".into(),
        active_state: "active".into(),
        control_group: Some(control_group.as_bytes().into()),
        main_process: Some(7),
    }
}

fn stopped() -> Facts {
    Facts { active_state: "inactive".into(), ..Facts::default() }
}

fn known(units: &[(&str, &str)]) -> Known {
    let mut known = Known::default();
    for (unit, path) in units {
        assert_eq!(known.put(&name(unit), running(path)), Put::News);
    }
    known
}

fn found(known: &Known, path: &str, patterns: &[&str]) -> Option<String> {
    let found = known.find(path.as_bytes(), &UnitPatterns::new(patterns));
    found.map(|(name, discovered)| {
        assert_eq!(discovered.labels.get("systemd_unit"), Some(name.as_str()));
        name.to_string()
    })
}

#[test]
fn without_a_bus_names_count() {
    let known = Known::default();
    for (path, patterns, expected) in [
        ("/system.slice/web.service", &["web.service"][..], Some("web.service")),
        ("/system.slice/web.service/worker", &["web.service"], Some("web.service")),
        ("/system.slice/web.service", &["system.slice"], Some("system.slice")),
        ("/system.slice/web.service", &["system.slice", "web.service"], Some("web.service")),
        ("/system.slice/web.service", &["*.slice"], Some("system.slice")),
        ("/system.slice/web.service", &["mail.service"], None),
        ("/user.slice/user@1.service/app.slice/web.service", &["web.service"], Some("web.service")),
        ("/user.slice/user@1.service/app.slice/web.service", &["user@*.service"], Some("user@1.service")),
        ("/docker/A/system.slice/web.service", &["web.service"], None),
        ("/../../system.slice/web.service", &["web.service"], Some("web.service")),
        ("/", &["*"], None),
    ] {
        assert_eq!(found(&known, path, patterns).as_deref(), expected, "{path} {patterns:?}");
    }
}

#[test]
fn what_systemd_told_of_cgroups_counts() {
    let known = known(&[("web.service", "/mine/app.slice/web.service"), ("app.slice", "/mine/app.slice")]);
    let patterns = &["web.service", "app.slice"];
    for (path, expected) in [
        ("/mine/app.slice/web.service", Some("web.service")),
        ("/mine/app.slice/web.service/a/b", Some("web.service")),
        ("/mine/app.slice/web.services", Some("app.slice")),
        ("/mine/app.slice", Some("app.slice")),
        ("/mine", None),
        // The names are known to be elsewhere.
        ("/app.slice/web.service", None),
        ("/user.slice/user@1.service/app.slice/web.service", None),
        // That cannot be told from another namespace.
        ("/../app.slice/web.service", Some("web.service")),
    ] {
        assert_eq!(found(&known, path, patterns).as_deref(), expected, "{path}");
    }
}

#[test]
fn a_unit_that_systemd_has_not_told_of_yet_is_known_by_its_name() {
    let known = known(&[("system.slice", "/system.slice")]);
    let patterns = &["*.slice", "new.service"];
    assert_eq!(found(&known, "/system.slice/new.service", patterns).as_deref(), Some("new.service"));
}

#[test]
fn the_root_slice_holds_all() {
    let known = known(&[("-.slice", "/")]);
    for path in ["/", "/system.slice/a.service", "/x"] {
        assert_eq!(found(&known, path, &["-.slice"]).as_deref(), Some("-.slice"), "{path}");
    }
}

#[test]
fn an_alias_leads_to_its_unit() {
    let mut known = known(&[("ssh.service", "/system.slice/ssh.service")]);
    let aliases = [("sshd.service".into(), name("ssh.service"))].into();
    assert!(known.set_names(aliases, Default::default()));
    assert_eq!(found(&known, "/system.slice/ssh.service", &["sshd.service"]).as_deref(), Some("ssh.service"));
    // It stays so when systemd has forgotten the unit.
    let now = Instant::now();
    assert!(known.unload(&name("ssh.service"), now));
    assert!(known.purge(now + KEEP));
    assert_eq!(found(&known, "/system.slice/ssh.service", &["sshd.service"]).as_deref(), Some("ssh.service"));
}

#[test]
fn everything_known_becomes_a_label_and_nothing_else() {
    let known = known(&[("web.service", "/app.slice/web.service")]);
    let patterns = UnitPatterns::new(["web.service", "user@1.service", "mail.service", "lone.service"]);
    for (path, expected) in [
        (
            "/app.slice/web.service/worker",
            r#"{__meta_systemd_main_pid="7",__meta_systemd_slice="app.slice",__meta_systemd_unit="web.service",__meta_systemd_unit_active_state="active",__meta_systemd_unit_description="what it does"}"#,
        ),
        (
            "/user.slice/user@1.service/init.scope",
            r#"{__meta_systemd_slice="user.slice",__meta_systemd_unit="user@1.service",__meta_systemd_user_unit="init.scope"}"#,
        ),
        (
            "/user.slice/user@1.service/x.slice/mail.service",
            r#"{__meta_systemd_slice="x.slice",__meta_systemd_unit="user@1.service",__meta_systemd_user_unit="mail.service"}"#,
        ),
        ("/lone.service", r#"{__meta_systemd_unit="lone.service"}"#),
    ] {
        let (_, discovered) = known.find(path.as_bytes(), &patterns).unwrap();
        assert_eq!(discovered.meta.to_string(), expected, "{path}");
    }
}

#[test]
fn only_a_change_is_news() {
    let mut known = known(&[("web.service", "/a")]);
    assert_eq!(known.put(&name("web.service"), running("/a")), Put::Known);
    assert_eq!(known.put(&name("web.service"), Facts { main_process: Some(8), ..running("/a") }), Put::News);
    assert!(known.unload(&name("web.service"), Instant::now()));
    assert!(!known.unload(&name("web.service"), Instant::now()));
    assert_eq!(known.put(&name("web.service"), Facts { main_process: Some(8), ..running("/a") }), Put::News);
}

#[test]
fn a_cgroup_that_changes_is_followed() {
    let mut known = known(&[("web.service", "/a"), ("mail.service", "/b")]);
    known.put(&name("web.service"), running("/b"));
    assert_eq!(found(&known, "/a", &["*"]), None);
    assert_eq!(found(&known, "/b", &["*"]).as_deref(), Some("web.service"));
    // What was taken over is not lost with who had it before.
    known.put(&name("mail.service"), running("/c"));
    assert_eq!(found(&known, "/b", &["*"]).as_deref(), Some("web.service"));
}

#[test]
fn late_samples_of_a_unit_that_is_gone_are_its_own_for_a_minute() {
    let mut known = known(&[("web.service", "/x")]);
    let now = Instant::now();
    known.put(&name("web.service"), stopped());
    assert_eq!(found(&known, "/x", &["*"]).as_deref(), Some("web.service"));
    assert!(known.retain(now, |_| false));
    assert!(!known.purge(now + KEEP - Duration::from_secs(1)));
    assert_eq!(found(&known, "/x", &["*"]).as_deref(), Some("web.service"));
    assert!(known.purge(now + KEEP));
    assert_eq!(found(&known, "/x", &["*"]), None);
    assert_eq!(known.by_control_group.len(), 0);
}

#[test]
fn units_are_counted_by_state() {
    let mut known = known(&[("a.service", "/a"), ("b.service", "/b"), ("c.service", "/c")]);
    known.put(&name("b.service"), stopped());
    known.unload(&name("c.service"), Instant::now());
    known.set_names(Default::default(), ["d.service".into()].into());
    assert_eq!(known.counts(), Counts { running: 1, stopped: 1, missing: 1 });
    assert_eq!(known.missing().collect::<Vec<_>>(), ["d.service"]);
    known.put(&name("d.service"), running("/d"));
    assert_eq!(known.counts(), Counts { running: 2, stopped: 1, missing: 0 });
}

#[test]
fn there_is_a_bound() {
    let mut known = Known::default();
    for index in 0..MAX_UNITS {
        assert_eq!(known.put(&name(&format!("{index}.scope")), running(&format!("/{index}"))), Put::News);
    }
    assert_eq!(known.put(&name("one-more.scope"), running("/x")), Put::NoRoom);
    assert_eq!(known.put(&name("1.scope"), stopped()), Put::News);
}
