//! What the agent says of its own unwinding.

use super::common::agent::Agent;
use super::common::process::eventually;
use super::common::program::{Program, unique};
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// What is told of a file.
fn object(agent: &Agent, path: &str) -> Option<Value> {
    let body = agent.get("/api/v1/unwind");
    let all: Value = serde_json::from_slice(&body.expect_ok().body).unwrap();
    all["objects"].as_array().unwrap().iter().find(|object| object["path"] == path).cloned()
}

#[test]
fn each_file_has_its_table_and_its_share_of_whole_stacks() {
    let agent = Agent::start(&["--profiling-duration=1s", "--profiling-cpu-sampling-frequency=997"]);
    let program = Program::start("nofp", unique("report"), &[]);
    let path = program.path.to_str().unwrap();
    let loaded = || object(&agent, path).is_some_and(|object| object["table"] == "loaded");
    eventually("the table is loaded", PATIENCE, loaded);
    let number = |object: &Value, key: &str| object[key].as_u64().unwrap();
    // Samples that were taken before wait in the ring.
    let whole = || number(&object(&agent, path).unwrap(), "whole_stacks") > 0;
    eventually("a stack is whole", PATIENCE, whole);
    let before = object(&agent, path).unwrap();
    let enough = || number(&object(&agent, path).unwrap(), "stacks") > number(&before, "stacks") + 200;
    eventually("it has stacks", PATIENCE, enough);

    let after = object(&agent, path).unwrap();
    assert_eq!(after["source"], ".eh_frame", "{after}");
    assert_eq!(number(&after, "row_bytes"), 4 * number(&after, "rows"), "{after}");
    assert!(number(&after, "functions") > 100, "the C library is in it: {after}");
    assert_eq!(after["build_id"].as_str().unwrap().len(), 40, "{after}");
    let new = |key: &str| (number(&after, key) - number(&before, key)) as f64;
    assert!(new("whole_stacks") > 0.99 * new("stacks"), "{before}\n{after}");
    let ended: u64 = after["ended"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert!(ended <= number(&after, "stacks"), "{after}");

    let page = agent.get("/unwind").expect_ok();
    assert!(page.text().contains(path), "{}", page.text());
    agent.stop();
}
