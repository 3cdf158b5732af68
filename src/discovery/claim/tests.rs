use super::{Claim, Claimants, Sources, Unclaimed, is_of_container};
use crate::discovery::catalogue::Catalogue;
use crate::discovery::container::ContainerId;
use crate::discovery::systemd::Units;
use crate::discovery::systemd::pattern::UnitPatterns;
use crate::discovery::target::{Discovered, Source};
use crate::discovery::unknown::Unknown;
use crate::process::cgroup::Cgroups;
use smol::channel::{Receiver, bounded};
use std::sync::Arc;
use std::time::{Duration, Instant};

const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const B: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const ALL: Claimants = Claimants { kubernetes: true, selects_pods: false, containers: true, host: true };
/// Longer than any container is waited for.
const LATER: Duration = Duration::from_secs(30);

struct Fixture {
    sources: Sources,
    requests: Receiver<ContainerId>,
    now: Instant,
}

fn fixture(claimants: Claimants) -> Fixture {
    let (sender, requests) = bounded(16);
    let sources = Sources {
        claimants,
        kubernetes: Arc::new(Catalogue::default()),
        kubernetes_state: Arc::default(),
        runtimes: Arc::new(Catalogue::default()),
        units: Arc::new(Units::new(UnitPatterns::default())),
        statuses: Vec::new(),
        unknown: Unknown::new(sender),
    };
    Fixture { sources, requests, now: Instant::now() }
}

fn named(label: &str, value: &str) -> Discovered {
    Discovered { labels: [(label, value)].into_iter().collect(), meta: Default::default() }
}

impl Fixture {
    /// `SOURCE LABELS`, or why nobody claims it; ` ?` behind it if a better claim may come.
    fn claim(&self, path: &str, after: Duration) -> String {
        let cgroups = Cgroups::parse(format!("0::{path}\n").as_bytes());
        let claimed = self.sources.claim(cgroups.as_ref(), self.now + after);
        let claim = match claimed.claim {
            Claim::Container { source, discovered, .. } => format!("{} {}", source.name(), discovered.labels),
            Claim::Unit(_) => "unit".to_owned(),
            Claim::Host => "host".to_owned(),
            Claim::Nobody(Unclaimed::HostOff) => "nobody: host off".to_owned(),
            Claim::Nobody(Unclaimed::PodNotSelected) => "nobody: pod not selected".to_owned(),
        };
        let mark = if claimed.is_waiting { " ?" } else { "" };
        format!("{claim}{mark}").replace(A, "A").replace(B, "B")
    }
}

#[test]
fn a_container_waits_for_its_name_and_then_has_its_id() {
    let fixture = fixture(ALL);
    let path = format!("/docker/{A}");
    assert_eq!(fixture.claim(&path, Duration::ZERO), r#"container {containerid="docker://A"} ?"#);
    assert_eq!(fixture.claim(&path, LATER), r#"container {containerid="docker://A"}"#);
    assert_eq!(fixture.requests.len(), 1);
    fixture.sources.runtimes.put(A, named("container", "web"));
    assert_eq!(fixture.claim(&path, LATER), r#"container {container="web"}"#);
}

#[test]
fn what_no_runtime_knows_is_not_waited_for() {
    let fixture = fixture(ALL);
    let path = format!("/docker/{A}");
    fixture.claim(&path, Duration::ZERO);
    fixture.sources.unknown.deny(&fixture.requests.try_recv().unwrap());
    assert_eq!(fixture.claim(&path, Duration::ZERO), r#"container {containerid="docker://A"}"#);
}

#[test]
fn the_api_server_knows_more_of_a_pod_than_the_runtime() {
    let fixture = fixture(ALL);
    let path = format!("/kubepods/pod7f3c1c52-9d0a-4b7e-8f57-0a1b2c3d4e5f/{A}");
    assert_eq!(fixture.claim(&path, Duration::ZERO), r#"kubernetes {containerid="A"} ?"#);
    fixture.sources.runtimes.put(A, named("pod", "by-runtime"));
    assert_eq!(fixture.claim(&path, Duration::ZERO), r#"kubernetes {pod="by-runtime"} ?"#);
    assert_eq!(fixture.claim(&path, LATER), r#"kubernetes {pod="by-runtime"}"#);
    fixture.sources.kubernetes.put(A, named("pod", "by-server"));
    assert_eq!(fixture.claim(&path, Duration::ZERO), r#"kubernetes {pod="by-server"}"#);
}

#[test]
fn a_pod_that_the_selector_leaves_out_is_nobodys() {
    let fixture = fixture(Claimants { selects_pods: true, ..ALL });
    let path = format!("/kubepods/pod7f3c1c52-9d0a-4b7e-8f57-0a1b2c3d4e5f/{A}");
    fixture.claim(&path, Duration::ZERO);
    // As long as the server has not told of all pods, nobody can say that it is left out.
    assert_eq!(fixture.claim(&path, LATER), r#"kubernetes {containerid="A"}"#);
    fixture.sources.kubernetes_state.set_synced();
    assert_eq!(fixture.claim(&path, Duration::ZERO), "nobody: pod not selected ?");
    assert_eq!(fixture.claim(&path, LATER), "nobody: pod not selected");
    fixture.sources.runtimes.put(A, named("pod", "web"));
    assert_eq!(fixture.claim(&path, LATER), "nobody: pod not selected");
    fixture.sources.kubernetes.put(A, named("pod", "web"));
    assert_eq!(fixture.claim(&path, LATER), r#"kubernetes {pod="web"}"#);
}

#[test]
fn of_containers_in_containers_the_innermost_known_one_claims() {
    let fixture = fixture(ALL);
    let path = format!("/docker/{B}/docker/{A}");
    fixture.sources.runtimes.put(B, named("container", "outer"));
    assert_eq!(fixture.claim(&path, Duration::ZERO), r#"container {container="outer"} ?"#);
    assert_eq!(*fixture.requests.try_recv().unwrap().id, *A, "the inner one is asked for");
    assert_eq!(fixture.claim(&path, LATER), r#"container {container="outer"}"#);
    fixture.sources.runtimes.put(A, named("container", "inner"));
    assert_eq!(fixture.claim(&path, LATER), r#"container {container="inner"}"#);
}

#[test]
fn the_unit_of_a_container_is_no_other() {
    for (unit, id, expected) in [
        (format!("docker-{A}.scope"), A, true),
        (format!("cri-containerd:{A}.scope"), A, true),
        ("lxc@web.service".to_owned(), "web", true),
        ("web.service".to_owned(), "web", true),
        ("webserver.service".to_owned(), "web", false),
        ("cobweb.service".to_owned(), "web", false),
        ("ssh.service".to_owned(), "s", false),
    ] {
        assert_eq!(is_of_container(&unit, id), expected, "{unit} {id}");
    }
}

#[test]
fn whom_no_one_can_be_asked_about_is_known_by_its_id_at_once() {
    let fixture = fixture(ALL);
    let build = "mmx1dcu3bn04u8mln3qb4znvw";
    let build_path = format!("/docker/buildkit/{build}");
    for (path, labels, meta) in [
        (
            "/lxc.payload.web-1/init.scope",
            r#"{container="web-1",containerid="lxc://web-1"}"#,
            "lxc_container_id",
        ),
        (
            &*build_path,
            r#"{containerid="buildkit://mmx1dcu3bn04u8mln3qb4znvw"}"#,
            "docker_build_kit_container_id",
        ),
    ] {
        assert_eq!(fixture.claim(path, Duration::ZERO), format!("container {labels}"));
        let cgroups = Cgroups::parse(format!("0::{path}\n").as_bytes());
        let Claim::Container { discovered, .. } = fixture.sources.claim(cgroups.as_ref(), fixture.now).claim
        else {
            panic!("no container");
        };
        assert!(discovered.meta.get(&format!("__meta_{meta}")).is_some(), "{}", discovered.meta);
    }
    assert!(fixture.requests.is_empty());
}

/// Below their own slice users name cgroups as they please.
#[test]
fn no_user_has_the_name_of_what_is_another_s() {
    let fixture = fixture(ALL);
    let path = |user: u32| format!("/user.slice/user-{user}.slice/user@{user}.service/libpod-{A}.scope");
    fixture.sources.runtimes.put(A, named("container", "root's"));
    fixture.sources.runtimes.put(&format!("user-1001/{A}"), named("container", "another's"));
    fixture.sources.kubernetes.put(A, named("pod", "the cluster's"));
    assert_eq!(fixture.claim(&path(1000), LATER), r#"container {containerid="podman://A"} ?"#);
    assert_eq!(fixture.requests.try_recv().unwrap().user, Some(1000));
    fixture.sources.runtimes.put(&format!("user-1000/{A}"), named("container", "own"));
    assert_eq!(fixture.claim(&path(1000), LATER), r#"container {container="own"}"#);
    assert_eq!(fixture.claim(&path(1001), LATER), r#"container {container="another's"}"#);
    let pod = "7f3c1c52-9d0a-4b7e-8f57-0a1b2c3d4e5f";
    let path = format!("/user.slice/user-1002.slice/kubepods/pod{pod}/{A}");
    assert_eq!(fixture.claim(&path, LATER), r#"container {containerid="A"} ?"#);
}

#[test]
fn who_is_of_no_interest_is_the_hosts_or_nobodys() {
    let path = format!("/docker/{A}");
    for (claimants, path, expected) in [
        (ALL, "/system.slice/nginx.service", "host"),
        (Claimants { host: false, ..ALL }, "/system.slice/nginx.service", "nobody: host off"),
        (Claimants { containers: false, ..ALL }, &path, "host"),
        (Claimants { containers: false, host: false, ..ALL }, &path, "nobody: host off"),
        (ALL, "", "host"),
    ] {
        assert_eq!(fixture(claimants).claim(path, Duration::ZERO), expected, "{claimants:?} {path}");
    }
}

#[test]
fn without_kubernetes_a_pod_is_what_the_runtime_says() {
    let fixture = fixture(Claimants { kubernetes: false, ..ALL });
    let path = format!("/kubepods/pod7f3c1c52-9d0a-4b7e-8f57-0a1b2c3d4e5f/{A}");
    fixture.sources.runtimes.put(A, named("pod", "web"));
    assert_eq!(fixture.claim(&path, Duration::ZERO), r#"kubernetes {pod="web"}"#);
    let other = format!("/kubepods/pod7f3c1c52-9d0a-4b7e-8f57-0a1b2c3d4e5f/{B}");
    assert_eq!(fixture.claim(&other, Duration::ZERO), r#"container {containerid="B"} ?"#);
    assert_eq!(fixture.claim(&other, LATER), r#"container {containerid="B"}"#);
}

#[test]
fn every_source_has_a_name() {
    let names = Source::ALL.map(Source::name);
    assert_eq!(names, ["kubernetes", "container", "systemd", "host"]);
}
