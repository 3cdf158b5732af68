//! The programs to profile: that they build, start, and end when told.

#[path = "common/workload.rs"]
mod workload;

use std::process::Command;

#[test]
fn every_workload_in_c_ends_when_its_time_is_over() {
    let cases: [(&str, &[&str]); 11] = [
        ("chain", &["0.01"]),
        ("nofp", &["0.01"]),
        ("deep", &["0.01", "3"]),
        ("deep-nofp", &["0.01", "1", "3"]),
        ("syscalls", &["0.01"]),
        ("moment", &["1"]),
        ("churn", &["0.1", "100", "/proc/self/exe"]),
        ("threads", &["0.01", "2"]),
        ("hostile", &["0.01", "newline"]),
        ("signal", &["0.01"]),
        ("member", &["1", "0.01"]),
    ];
    for (name, arguments) in cases {
        let status = Command::new(workload::build(name)).args(arguments).output().unwrap().status;
        assert!(status.success(), "{name}: {status}");
    }
}

#[test]
fn churn_starts_as_many_processes_as_it_is_told() {
    let mut churn = Command::new(workload::build("churn"));
    let output = churn.args(["1", "100"]).arg(workload::build("moment")).arg("0.1").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let started: u64 = text.lines().last().unwrap().parse().unwrap();
    assert!((80..=101).contains(&started), "{started} in a second");
}

#[test]
fn a_member_starts_its_children_and_outlives_them() {
    let mut member = Command::new(workload::build("member"));
    let output = member.args(["7", "0.5", "5", "10", "50"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "6\n");
}

#[test]
fn a_script_runs_under_its_interpreter_until_the_test_is_over() {
    let python = workload::Workload::start("spin.py", &[]);
    let process = format!("/proc/{}", python.id());
    let name = std::fs::read_to_string(format!("{process}/comm")).unwrap();
    assert!(name.starts_with("python"), "{name}");
    drop(python);
    assert!(!std::path::Path::new(&process).exists());
}

#[test]
fn a_hostile_workload_carries_bytes_that_are_no_text() {
    let hostile = workload::Workload::start("hostile", &["10", "invalid"]);
    let name = std::fs::read(format!("/proc/{}/comm", hostile.id())).unwrap();
    assert!(std::str::from_utf8(&name).is_err(), "{name:?}");
}
