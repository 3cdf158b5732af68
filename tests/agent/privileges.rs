//! What happens without the rights, or the kernel, that sampling needs.

use super::agent::{Agent, PROGRAM, refused_by};
use super::program::{Program, compile, unique};
use std::time::SystemTime;

const NOBODY: [&str; 7] =
    ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"];

/// Runs a program where a shell has first changed a mount namespace of its own.
fn in_namespace(change: &str) -> [String; 5] {
    ["unshare", "--mount", "sh", "-c", &format!("{change} && exec \"$0\" \"$@\"")].map(str::to_owned)
}

fn as_strs<const N: usize>(words: &[String; N]) -> [&str; N] {
    words.each_ref().map(String::as_str)
}

#[test]
fn without_capabilities_it_names_them_and_the_remedy() {
    let launcher = [&NOBODY[..], &["--inh-caps=-all", "--bounding-set=-all"]].concat();
    let refused = refused_by(&launcher, &[]);
    assert_eq!(refused.code, Some(77), "{}", refused.error);
    for word in ["CAP_BPF", "CAP_PERFMON", "root"] {
        assert!(refused.error.contains(word), "no {word} in {}", refused.error);
    }
}

#[test]
fn one_missing_capability_is_named_alone() {
    let launcher = [&NOBODY[..], &["--inh-caps=-all,+bpf", "--ambient-caps=-all,+bpf"]].concat();
    let refused = refused_by(&launcher, &[]);
    assert_eq!(refused.code, Some(77), "{}", refused.error);
    assert!(refused.error.contains("missing CAP_PERFMON;"), "{}", refused.error);
}

#[test]
fn a_few_capabilities_are_enough() {
    const NEEDED: &str = "-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search,+syslog";
    let flags = [format!("--inh-caps={NEEDED}"), format!("--ambient-caps={NEEDED}")];
    let launcher = [&NOBODY[..], &[flags[0].as_str(), flags[1].as_str()]].concat();
    let agent = Agent::start_by(&launcher, &["--profiling-duration=2s"]);
    let [chain, calls] =
        ["chain", "syscalls"].map(|workload| Program::start(workload, unique(workload), &[]));
    let profile = agent.identified(&unique("chain"), &chain.path, SystemTime::now());
    let own =
        profile.count(|stack| stack.iter().any(|frame| std::path::Path::new(frame.mapping) == chain.path));
    assert!(own * 10 > profile.total() * 8, "{own} of {} samples have a mapping", profile.total());
    let profile = agent.profile_since(&unique("syscalls"), SystemTime::now());
    let reading = profile.count(|stack| stack.iter().any(|frame| frame.function == Some("vfs_read")));
    assert!(reading > 0, "no kernel function of process {} has its name", calls.id());
    agent.stop();
}

/// Since 5.11 BPF memory is charged to the cgroup, and the limit on locked memory is of no interest.
#[test]
fn the_limit_on_locked_memory_need_not_be_raised() {
    let launcher = ["setpriv", "--bounding-set=-sys_resource", "prlimit", "--memlock=65536"];
    for object in ["modern", "baseline"] {
        let force = format!("--force-object={object}");
        let agent = Agent::start_by(&launcher, &["--profiling-duration=1s", &force]);
        agent.next_window();
        agent.stop();
    }
}

#[test]
fn without_type_information_it_takes_the_other_object_and_says_why() {
    let launcher = in_namespace("mount -t tmpfs none /sys/kernel/btf");
    let agent = Agent::start_by(&as_strs(&launcher), &["--profiling-duration=1s"]);
    assert_eq!(agent.metrics().value("bpf_object{object=\"baseline\"}"), 1.0);
    let log = agent.log();
    let told = log.iter().any(|line| line.contains("level=warn") && line.contains("/sys/kernel/btf/vmlinux"));
    assert!(told, "{log:#?}");
    let spinner = Program::start("chain", unique("nobtf"), &[]);
    let profile = agent.profile_since(&unique("nobtf"), SystemTime::now());
    assert!(profile.total_of_thread(spinner.id()) > 10);
    agent.stop();
}

#[test]
fn without_type_information_the_modern_object_is_refused() {
    let launcher = in_namespace("mount -t tmpfs none /sys/kernel/btf");
    let refused = refused_by(&as_strs(&launcher), &["--force-object=modern"]);
    assert_eq!(refused.code, Some(77), "{}", refused.error);
    assert!(refused.error.contains("CONFIG_DEBUG_INFO_BTF"), "{}", refused.error);
}

#[test]
fn tracefs_is_not_needed() {
    let launcher = in_namespace(
        "{ umount -l /sys/kernel/tracing /sys/kernel/debug || true; } 2>/dev/null \
        && for at in tracing debug; do mount -t tmpfs none /sys/kernel/$at || exit 1; done",
    );
    for object in ["modern", "baseline"] {
        let force = format!("--force-object={object}");
        let agent = Agent::start_by(&as_strs(&launcher), &["--profiling-duration=1s", &force]);
        let path = format!("/proc/{}/root/sys/kernel/tracing", agent.id());
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 0, "tracefs is still there");
        agent.next_window();
        agent.stop();
    }
}

#[test]
fn a_forbidden_system_call_is_named() {
    let forbid = compile("forbid.c", "forbid", &[]);
    for (call, object) in [("bpf", "modern"), ("bpf", "baseline"), ("perf_event_open", "modern")] {
        let launcher = [forbid.to_str().unwrap(), call];
        let refused = refused_by(&launcher, &[&format!("--force-object={object}")]);
        assert_eq!(refused.code, Some(77), "{PROGRAM} without {call}: {}", refused.error);
        assert!(refused.error.contains(call), "no {call} in {}", refused.error);
        let without_choice = refused_by(&launcher, &[]);
        assert_eq!(without_choice.code, Some(77), "{}", without_choice.error);
        assert!(without_choice.error.contains(call), "no {call} in {}", without_choice.error);
    }
}
