//! From facts of a process to what becomes of it, with sources that are filled by hand.

use super::catalogue::Catalogue;
use super::claim::{Claimants, Sources};
use super::container::{ContainerId, Engine};
use super::policy::{Divisor, LeftOut, Outcome, Policy, Ratio};
use super::systemd::Units;
use super::systemd::pattern::UnitPatterns;
use super::target::Discovered;
use super::unknown::Unknown;
use super::{Discovery, Facts, Terms};
use crate::label::LabelSet;
use crate::object::build_id::{BuildId, BuildIdKind};
use crate::object::making::{Compiler, FileId, Making};
use crate::object::{Object, ObjectId, ObjectInfo};
use crate::process::cgroup::Cgroups;
use crate::process::comm::Comm;
use crate::process::details::Details;
use crate::process::id::{BootTime, ProcessId, Tgid};
use crate::relabel::{Action, Fields, Rule, Rules};
use smol::channel::bounded;
use std::sync::{Arc, OnceLock};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const HOST: &str = "0::/system.slice/ssh.service\n";

struct Fixture {
    discovery: Discovery,
    runtimes: Arc<Catalogue>,
}

fn fixture(terms: Terms, units: &[&str]) -> Fixture {
    let (requests, _) = bounded(1);
    let runtimes = Arc::new(Catalogue::default());
    let sources = Sources {
        claimants: Claimants { kubernetes: false, selects_pods: false, containers: true, host: true },
        kubernetes: Arc::default(),
        kubernetes_state: Arc::default(),
        runtimes: runtimes.clone(),
        units: Arc::new(Units::new(UnitPatterns::new(units))),
        statuses: Vec::new(),
        unknown: Unknown::new(requests),
    };
    Fixture { discovery: Discovery::new(sources, terms), runtimes }
}

fn terms(rules: Vec<Fields>) -> Terms {
    let rules = rules.into_iter().enumerate().map(|(index, rule)| Rule::new(index + 1, rule).unwrap());
    let rules = Rules::new(rules.collect()).unwrap();
    let policy = Policy { rules, ratio: None, frequency: 100 };
    let external_labels = [("region", "eu")].into_iter().collect();
    Terms { policy, node: "n1".into(), external_labels, environment: vec!["STAGE".into()] }
}

fn rule(action: Action, source: &str, regex: &str) -> Fields {
    Fields {
        source_labels: Some(vec![source.into()]),
        regex: Some(regex.into()),
        action: Some(action),
        ..Fields::default()
    }
}

fn facts(cgroup: &str, comm: &str) -> Facts {
    let cgroups = Cgroups::parse(cgroup.as_bytes()).map(Arc::new);
    Facts { comm: Comm::new(comm.as_bytes()), cgroups, ..Facts::default() }
}

fn docker(id: &str) -> String {
    format!("0::/docker/{id}\n")
}

fn container(name: &str) -> Discovered {
    let meta = [("__meta_docker_container_label_team", "blue")];
    Discovered { labels: [("container", name)].into_iter().collect(), meta: meta.into_iter().collect() }
}

/// The labels of a target, or why it is left out.
fn outcome(discovery: &Discovery, facts: &Facts) -> String {
    match discovery.attribute(facts).outcome {
        Outcome::Profiled { target, divisor: Divisor::ONE } => target.labels.to_string(),
        Outcome::Profiled { target, divisor } => format!("{} 1/{}", target.labels, divisor.0),
        Outcome::LeftOut { why, .. } => why.name().to_owned(),
    }
}

#[test]
fn a_process_of_the_host_is_named_by_its_program_and_cgroup() {
    let Fixture { discovery, .. } = fixture(terms(vec![]), &[]);
    assert_eq!(
        outcome(&discovery, &facts(HOST, "sshd")),
        r#"{__name__="parca_agent_cpu",cgroup="/system.slice/ssh.service",comm="sshd",node="n1",region="eu"}"#
    );
    let unknown = facts("", "sh");
    assert_eq!(
        outcome(&discovery, &unknown),
        r#"{__name__="parca_agent_cpu",comm="sh",node="n1",region="eu"}"#
    );
    assert_eq!(discovery.unattributed.get(), 1);
}

#[test]
fn the_agents_own_labels_cannot_be_replaced() {
    let external = [("node", "other"), ("__name__", "x"), ("comm", "y")].into_iter().collect();
    let Fixture { discovery, .. } = fixture(Terms { external_labels: external, ..terms(vec![]) }, &[]);
    assert_eq!(
        outcome(&discovery, &facts(HOST, "sshd")),
        r#"{__name__="parca_agent_cpu",cgroup="/system.slice/ssh.service",comm="sshd",node="n1"}"#
    );
}

#[test]
fn a_container_has_a_new_name_as_soon_as_it_is_known() {
    let Fixture { discovery, runtimes } = fixture(terms(vec![]), &[]);
    let facts = facts(&docker(ID), "web");
    let named = |name| format!(r#"{{__name__="parca_agent_cpu",container="{name}",node="n1",region="eu"}}"#);
    assert!(discovery.attribute(&facts).is_waiting);
    runtimes.put(ID, container("web-1"));
    assert_eq!(outcome(&discovery, &facts), named("web-1"));
    assert!(!discovery.attribute(&facts).is_waiting);
    runtimes.put(ID, container("web-2"));
    assert_eq!(outcome(&discovery, &facts), named("web-2"));
}

#[test]
fn a_unit_that_was_asked_for_names_its_processes_and_its_containers() {
    let Fixture { discovery, runtimes } = fixture(terms(vec![]), &["ssh.service", "web.service"]);
    assert_eq!(
        outcome(&discovery, &facts(HOST, "sshd")),
        r#"{__name__="parca_agent_cpu",node="n1",region="eu",systemd_unit="ssh.service"}"#
    );
    runtimes.put(ID, container("web-1"));
    let in_unit = facts(&format!("0::/system.slice/web.service/libpod-payload-{ID}\n"), "web");
    assert_eq!(
        outcome(&discovery, &in_unit),
        r#"{__name__="parca_agent_cpu",container="web-1",node="n1",region="eu",systemd_unit="web.service"}"#
    );
}

#[test]
fn rules_drop_rename_and_say_so() {
    let map = Fields {
        regex: Some("__meta_docker_container_label_(.+)".into()),
        action: Some(Action::LabelMap),
        ..Fields::default()
    };
    let drop = rule(Action::Drop, "container", "web-2");
    let Fixture { discovery, runtimes } = fixture(terms(vec![drop, map]), &[]);
    runtimes.put(ID, container("web-1"));
    runtimes.put(OTHER, container("web-2"));
    assert_eq!(
        outcome(&discovery, &facts(&docker(ID), "a")),
        r#"{__name__="parca_agent_cpu",container="web-1",node="n1",region="eu",team="blue"}"#
    );
    assert_eq!(outcome(&discovery, &facts(&docker(OTHER), "a")), "rule");
    let report = discovery.report();
    assert_eq!(report.targets.len(), 2);
    let dropped = &report.targets[1];
    assert_eq!(dropped.rule.as_deref(), Some("drop source_labels=[container] regex=web-2"));
    assert_eq!(dropped.discovered.get("__meta_docker_container_label_team"), Some("blue"));
    let Outcome::LeftOut { why: LeftOut::Rule { rule: 0 }, labels } = &dropped.outcome else {
        panic!("{dropped:?}")
    };
    assert_eq!(labels.get("container"), Some("web-2"));
}

#[test]
fn other_terms_decide_anew_and_tell_that_they_did() {
    let Fixture { discovery, .. } = fixture(terms(vec![rule(Action::Drop, "comm", "sshd")]), &[]);
    let facts = facts(HOST, "sshd");
    assert_eq!(outcome(&discovery, &facts), "rule");
    let revision = discovery.revision();
    discovery.set_terms(terms(vec![rule(Action::Drop, "comm", "sshd")]));
    assert_eq!((discovery.revision(), discovery.reconsider()), (revision, false), "nothing has changed");
    discovery.set_terms(terms(vec![]));
    assert_ne!(discovery.revision(), revision);
    assert!(discovery.reconsider());
    assert!(outcome(&discovery, &facts).contains("sshd"));
}

#[test]
fn who_was_left_out_is_noticed_when_a_source_tells_more() {
    let keep = rule(Action::Keep, "__meta_docker_container_label_team", "blue");
    let Fixture { discovery, runtimes } = fixture(terms(vec![keep]), &[]);
    runtimes.put(ID, Discovered { meta: LabelSet::default(), ..container("web-1") });
    assert_eq!(outcome(&discovery, &facts(&docker(ID), "a")), "rule");
    runtimes.put(OTHER, container("web-2"));
    assert!(!discovery.reconsider(), "another container is of no interest");
    runtimes.put(ID, container("web-1"));
    assert!(discovery.reconsider());
}

/// Whoever looks at the page must not be the only one to learn of it.
#[test]
fn what_a_report_notices_is_noticed_by_the_selection_too() {
    let keep = rule(Action::Keep, "__meta_docker_container_label_team", "blue");
    let Fixture { discovery, runtimes } = fixture(terms(vec![keep]), &[]);
    runtimes.put(ID, Discovered { meta: LabelSet::default(), ..container("web-1") });
    assert_eq!(outcome(&discovery, &facts(&docker(ID), "a")), "rule");
    runtimes.put(ID, container("web-1"));
    assert_eq!(discovery.report().targets.len(), 1);
    assert!(discovery.reconsider());
    assert!(!discovery.reconsider(), "it was told once");
}

#[test]
fn who_stays_left_out_under_a_better_name_changes_nothing() {
    let drop = rule(Action::Drop, "__name__", ".+");
    let Fixture { discovery, runtimes } = fixture(terms(vec![drop]), &[]);
    let facts = facts(&docker(ID), "a");
    discovery.attribute(&facts);
    discovery.deny(&ContainerId { engine: Some(Engine::Docker), id: ID.into(), user: None });
    assert!(discovery.attribute(&facts).is_final);
    runtimes.put(ID, container("web-1"));
    assert!(!discovery.reconsider());
}

#[test]
fn a_rule_on_the_command_line_is_decided_by_what_was_read_of_this_program() {
    let keep = rule(Action::Keep, "__meta_process_cmdline", ".*b.py");
    let Fixture { discovery, .. } = fixture(terms(vec![keep]), &[]);
    let running = |line: Option<&str>| {
        let details = line.map(|line| {
            Arc::new(Details { command_line: Some(line.as_bytes().into()), ..Details::default() })
        });
        Facts { process: Some(process()), details, ..facts(HOST, "python") }
    };
    assert!(!discovery.attribute(&running(None)).is_final, "it was not read yet");
    assert!(outcome(&discovery, &running(Some("python\0b.py"))).contains("python"));
    // The same process executes the same program with another script.
    assert_eq!(outcome(&discovery, &running(Some("python\0a.py"))), "rule");
    assert!(outcome(&discovery, &running(Some("python\0b.py"))).contains("python"));
    assert!(discovery.attribute(&running(Some("python\0b.py"))).is_final);
}

#[test]
fn asking_whether_cgroups_are_alike_makes_no_target() {
    let Fixture { discovery, runtimes } = fixture(terms(vec![]), &[]);
    runtimes.put(ID, container("web-1"));
    let cgroups = |text: &str| Arc::new(Cgroups::parse(text.as_bytes()).unwrap());
    let own = cgroups(&format!("1:cpu:/docker/{ID}\n0::/system.slice/docker.service\n"));
    assert!(!discovery.claims_alike(&cgroups("0::/system.slice/docker.service\n"), &own));
    assert!(discovery.claims_alike(&cgroups(&docker(ID)), &own));
    assert!(discovery.report().targets.is_empty());
}

#[test]
fn a_decision_holds_for_the_whole_cgroup_unless_a_process_can_differ() {
    let of_process = rule(Action::Drop, "__meta_process_comm", "x");
    for (rules, path, expected) in [
        (vec![], docker(ID), true),
        (vec![], HOST.to_owned(), false),
        (vec![rule(Action::Drop, "container", "x")], docker(ID), true),
        (vec![of_process], docker(ID), false),
    ] {
        let Fixture { discovery, runtimes } = fixture(terms(rules.clone()), &[]);
        runtimes.put(ID, container("web-1"));
        assert_eq!(discovery.attribute(&facts(&path, "a")).is_of_cgroup, expected, "{rules:?} {path}");
    }
}

#[test]
fn a_ratio_leaves_out_by_the_final_labels() {
    let mut all = terms(vec![]);
    all.policy.ratio = Some(Ratio(0.0));
    let Fixture { discovery, .. } = fixture(all, &[]);
    assert_eq!(outcome(&discovery, &facts(HOST, "sshd")), "sampling_ratio");
}

#[test]
fn a_decision_that_needs_the_executable_is_final_when_that_is_known() {
    let drop = rule(Action::Drop, "__meta_process_executable_static", "true");
    let Fixture { discovery, .. } = fixture(terms(vec![drop]), &[]);
    assert!(discovery.wanted().executable);
    let mut facts = Facts { process: Some(process()), ..facts(HOST, "tool") };
    assert!(!discovery.attribute(&facts).is_final);
    facts.details = Some(Arc::new(Details::default()));
    assert!(discovery.attribute(&facts).is_final, "a thread of the kernel has none");
    facts.details = Some(Arc::new(Details { object: Some(ObjectId(1)), ..Details::default() }));
    assert!(!discovery.attribute(&facts).is_final);
    facts.executable = Some(executable());
    assert!(discovery.attribute(&facts).is_final);
    assert_eq!(outcome(&discovery, &facts), "rule");
}

fn process() -> ProcessId {
    ProcessId { tgid: Tgid(42), start: BootTime { nanos: 7 } }
}

fn executable() -> Arc<Object> {
    let info = ObjectInfo {
        build_id: BuildId { kind: BuildIdKind::Gnu, bytes: [0xab, 0xcd].into() },
        elf_type: 3,
        machine: 62,
        segments: Vec::new(),
        making: Making {
            file_id: Some(FileId([0x11; 16])),
            is_static: true,
            is_stripped: false,
            compiler: Compiler::new("gcc 12.2.0"),
        },
    };
    let path = b"/usr/bin/tool".as_slice().into();
    Arc::new(Object { id: ObjectId(1), path, info: OnceLock::from(Ok(info)) })
}

/// Part of the contract: rules of operators name these labels. Those of containers and pods have their own golden
/// tests beside their sources.
#[test]
fn every_label_of_a_process_and_of_the_machine() {
    let everything = Fields {
        regex: Some("__meta_(.+)".into()),
        replacement: Some("x_$1".into()),
        action: Some(Action::LabelMap),
        ..Fields::default()
    };
    let Fixture { discovery, .. } = fixture(terms(vec![everything]), &[]);
    let wanted = discovery.wanted();
    assert!(wanted.origin && wanted.command_line && wanted.executable, "{wanted:?}");
    assert_eq!(wanted.environment, ["STAGE"]);
    let details = Details {
        parent: Some(Tgid(1)),
        executable: Some(b"/usr/bin/tool".as_slice().into()),
        command_line: Some(b"tool\0--fast\0".as_slice().into()),
        environment: vec![("STAGE".into(), b"test".as_slice().into())],
        object: Some(ObjectId(1)),
    };
    let facts = Facts {
        process: Some(process()),
        details: Some(Arc::new(details)),
        executable: Some(executable()),
        ..facts(HOST, "tool")
    };
    discovery.attribute(&facts);
    let report = discovery.report();
    let system = rustix::system::uname();
    let found: Vec<_> = report.targets[0]
        .discovered
        .iter()
        .filter(|(name, _)| name.starts_with("__meta_"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let expected = [
        "__meta_agent_revision=VERSION",
        "__meta_env_var_STAGE=test",
        "__meta_process_cgroup=/system.slice/ssh.service",
        "__meta_process_cmdline=tool --fast",
        "__meta_process_comm=tool",
        "__meta_process_executable_build_id=abcd",
        "__meta_process_executable_compiler=gcc 12.2.0",
        "__meta_process_executable_file_id=11111111111111111111111111111111",
        "__meta_process_executable_name=tool",
        "__meta_process_executable_path=/usr/bin/tool",
        "__meta_process_executable_static=true",
        "__meta_process_executable_stripped=false",
        "__meta_process_pid=42",
        "__meta_process_ppid=1",
        "__meta_system_kernel_machine=MACHINE",
        "__meta_system_kernel_release=RELEASE",
    ]
    .map(|line| {
        line.replace("VERSION", env!("CARGO_PKG_VERSION"))
            .replace("MACHINE", &system.machine().to_string_lossy())
            .replace("RELEASE", &system.release().to_string_lossy())
    });
    assert_eq!(found, expected);
}

#[test]
fn each_pod_that_is_left_out_is_reported() {
    let (requests, _) = bounded(8);
    let sources = Sources {
        claimants: Claimants { kubernetes: true, selects_pods: true, containers: true, host: true },
        kubernetes: Arc::default(),
        kubernetes_state: Arc::default(),
        runtimes: Arc::default(),
        units: Arc::new(Units::new(UnitPatterns::default())),
        statuses: Vec::new(),
        unknown: Unknown::new(requests),
    };
    sources.kubernetes_state.set_synced();
    let discovery = Discovery::new(sources, terms(vec![]));
    for (id, comm) in [(ID, "a"), (ID, "b"), (OTHER, "a")] {
        let path = format!("0::/kubepods/pod7f3c1c52-9d0a-4b7e-8f57-0a1b2c3d4e5f/{id}\n");
        assert_eq!(outcome(&discovery, &facts(&path, comm)), "pod_not_selected");
    }
    let mut names: Vec<_> = discovery.report().targets.iter().map(|entry| entry.names).collect();
    names.sort_unstable();
    assert_eq!(names, [1, 2]);
}
