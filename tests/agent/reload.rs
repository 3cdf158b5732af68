//! SIGHUP reads the configuration again.

use super::agent::Agent;
use super::process::eventually;
use super::program::{Program, unique};
use rustix::process::Signal;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
const GAUGE: &str = "config_last_reload_successful";

fn write_region(file: &Path, region: &str) {
    let text = format!("profiling-duration = \"1s\"\n\n[external-label]\nregion = \"{region}\"\n");
    std::fs::write(file, text).unwrap();
}

fn region(agent: &Agent, name: &str) -> Option<String> {
    let listed = agent.targets();
    let latest = |target: &&serde_json::Value| {
        target["labels"]["comm"] == name && target["samples"].as_u64().is_some_and(|samples| samples > 0)
    };
    let target = listed["targets"].as_array().unwrap().iter().find(latest)?;
    target["labels"]["region"].as_str().map(str::to_owned)
}

#[test]
fn a_good_file_takes_effect_and_a_bad_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    write_region(&file, "north");
    let agent = Agent::start(&["--config-path", file.to_str().unwrap()]);
    let name = unique("reload");
    let _program = Program::start("chain", &name, &[]);
    eventually("the first label is there", PATIENCE, || region(&agent, &name).as_deref() == Some("north"));
    assert_eq!(agent.metrics().value(GAUGE), 1.0);

    write_region(&file, "south");
    agent.signal(Signal::HUP);
    eventually("the new label is there", PATIENCE, || region(&agent, &name).as_deref() == Some("south"));
    agent.profile("{region=\"south\"}");

    std::fs::write(&file, "[external-label]\nregion = 7\n").unwrap();
    agent.signal(Signal::HUP);
    eventually("the reload failed", PATIENCE, || agent.metrics().value(GAUGE) == 0.0);
    let named = format!("{}:2:", file.display());
    // The line may reach this process after the gauge.
    eventually("the error is logged", PATIENCE, || {
        agent.log().iter().any(|line| line.contains("level=error") && line.contains(&named))
    });
    agent.profile("{region=\"south\"}");

    write_region(&file, "west");
    agent.signal(Signal::HUP);
    eventually("the third label is there", PATIENCE, || region(&agent, &name).as_deref() == Some("west"));
    assert_eq!(agent.metrics().value(GAUGE), 1.0);
    agent.stop();
}

#[test]
fn what_needs_a_restart_is_named_and_stays_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    write_region(&file, "north");
    let agent = Agent::start(&["--config-path", file.to_str().unwrap()]);
    std::fs::write(&file, "profiling-duration = \"3s\"\n").unwrap();
    agent.signal(Signal::HUP);
    let mut log = Vec::new();
    eventually("the key is named", PATIENCE, || {
        log = agent.log();
        log.iter().any(|line| line.contains("restart") && line.contains("profiling-duration"))
    });
    let profile = agent.next_window();
    assert!(profile.message.duration_nanos < 2_000_000_000, "{}", profile.message.duration_nanos);
    agent.stop();
}
