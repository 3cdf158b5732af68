//! Debug information of what is sampled.

use crate::account::{PATIENCE, assert_balance, parts};
use crate::common::agent::Agent;
use crate::common::peer::Peer;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use crate::common::workload;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Starts an agent that sends debug information, too.
fn start(peer: &Peer, flags: &[&str]) -> Agent {
    let address = format!("--store-address={}", peer.address());
    let own = [
        "--profiling-duration=1s",
        "--store-batch-interval=1s",
        "--insecure",
        // Not the agent's own, which is large.
        "--debuginfo-allow=*/busy-*",
        // Without tables of all that runs, for which the worker of a debug build takes minutes.
        "--force-object=baseline",
        &address,
    ];
    Agent::start(&[&own, flags].concat())
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// GNU's build id of a file, hexadecimal.
fn build_id(file: &Path) -> String {
    let notes = output(Command::new("readelf").arg("-n").arg(file));
    let line = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: ")).unwrap();
    line.trim().to_owned()
}

/// The upload of a file that the store has whole.
fn upload(peer: &Peer, build_id: &str) -> Option<Value> {
    let uploads = peer.state()["uploads"].as_array().unwrap().clone();
    uploads.into_iter().find(|upload| upload["build_id"] == build_id && upload["finished"] == true)
}

fn asked(peer: &Peer, build_id: &str) -> u64 {
    peer.state()["asked"][build_id].as_u64().unwrap_or(0)
}

#[test]
fn what_is_sampled_is_uploaded_and_names_the_same_functions() {
    let directory = tempfile::tempdir().unwrap();
    let peer = Peer::start(&["--directory", directory.path().to_str().unwrap()]);
    let file = workload::build("chain");
    let _program = Program::start("chain", unique("busy"), &[]);
    let agent = start(&peer, &[]);
    let build_id = build_id(&file);
    eventually("the program's debug information arrives", PATIENCE, || upload(&peer, &build_id).is_some());
    let upload = upload(&peer, &build_id).unwrap();
    assert_eq!(upload["build_id_type"], "gnu", "{upload}");
    let uploaded = Path::new(upload["path"].as_str().unwrap());
    let symbols = output(Command::new("nm").arg(&file));
    let functions: Vec<_> = symbols.lines().filter_map(|line| line.split_once(" T ")).collect();
    assert!(functions.iter().any(|(_, name)| *name == "main"), "{symbols}");
    for (address, name) in functions {
        let names = |file| output(Command::new("addr2line").arg("-fe").arg(file).arg(address));
        assert_eq!(names(uploaded), names(&file), "{name}");
    }
    let metrics = agent.metrics();
    assert!(metrics.value("debuginfo_results_total{result=\"uploaded\"}") >= 1.0);
    assert!(metrics.value("debuginfo_uploaded_bytes_total") >= upload["size"].as_f64().unwrap());
    assert_eq!(asked(&peer, &build_id), 1);
    assert_balance(&agent);
    agent.stop();
    peer.assert_no_violations();
}

#[test]
fn what_the_store_has_or_the_operator_keeps_is_not_uploaded() {
    let file = workload::build("chain");
    let build_id = build_id(&file);
    let exists = json!({"debuginfo": {"should": false, "reason": "Debuginfo already exists and is not marked as invalid, therefore no new upload is needed."}});
    let cases: [(&[&str], Option<&str>, u64); 3] = [
        (&[], Some("exists"), 1),
        (&["--debuginfo-upload-disable"], None, 0),
        (&["--debuginfo-deny=*"], Some("not_allowed"), 0),
    ];
    for (flags, result, questions) in cases {
        let peer = Peer::start(&[]);
        peer.behave(exists.clone());
        let _program = Program::start("chain", unique("busy"), &[]);
        let agent = start(&peer, flags);
        match result {
            Some(result) => {
                let metric = format!("debuginfo_results_total{{result=\"{result}\"}}");
                eventually("the file is seen to", PATIENCE, || agent.metrics().value(&metric) > 0.0);
                eventually("the program's own is", PATIENCE, || asked(&peer, &build_id) >= questions);
            }
            None => eventually("profiles arrive", PATIENCE, || parts(&agent)[0] > 300.0),
        }
        assert_eq!(asked(&peer, &build_id), questions, "{flags:?}");
        assert_eq!(peer.state()["uploads"], json!([]), "{flags:?}");
        agent.stop();
    }
}

/// Profiles come first, whatever becomes of debug information.
#[test]
fn a_store_that_takes_no_debug_information_still_gets_profiles() {
    for how in [json!({"status": 12}), json!({"status": 14}), json!("hang")] {
        let peer = Peer::start(&[]);
        peer.behave_for(how.clone(), "ShouldInitiateUpload");
        let _program = Program::start("chain", unique("busy"), &[]);
        let agent = start(&peer, &[]);
        eventually("profiles arrive", PATIENCE, || parts(&agent)[0] > 300.0);
        eventually("the store was asked", PATIENCE, || {
            peer.state()["methods"]["ShouldInitiateUpload"].as_u64() > Some(0)
        });
        assert_balance(&agent);
        assert_eq!(peer.state()["uploads"], json!([]));
        let log = agent.stop();
        let lines = log.iter().filter(|line| line.contains("does not take debug information")).count();
        assert_eq!(lines, usize::from(how != json!("hang")), "{how}: {log:#?}");
    }
}

/// Whoever comes after an agent that was killed is told that somebody else sends the file, and asks again later.
#[test]
fn an_upload_whose_agent_was_killed_is_left_to_the_store() {
    let peer = Peer::start(&[]);
    let file = workload::build("chain");
    let _program = Program::start("chain", unique("busy"), &[]);
    peer.behave_for(json!("hang"), "Upload");
    let agent = start(&peer, &[]);
    let begins = || {
        let uploads = peer.state()["uploads"].as_array().unwrap().clone();
        uploads.iter().any(|upload| upload["build_id"] == build_id(&file))
    };
    eventually("the upload begins", PATIENCE, begins);
    agent.signal(Signal::KILL);
    drop(agent);
    let agent = start(&peer, &[]);
    let metric = "debuginfo_results_total{result=\"in_progress\"}";
    eventually("the next one is told to wait", PATIENCE, || agent.metrics().value(metric) > 0.0);
    assert!(upload(&peer, &build_id(&file)).is_none());
    assert_balance(&agent);
    agent.stop();
}
