//! A store that is there.

use crate::account::{PATIENCE, assert_arrived, assert_balance, start};
use crate::common::peer::Peer;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};

#[test]
fn profiles_arrive_by_the_rules_of_two_servers() {
    for peer in [Peer::start(&[]), Peer::start_python(&[])] {
        let name = unique("busy");
        let _program = Program::start("chain", &name, &[]);
        let agent = start(&peer, &["--external-label=region=eu-1", "--node=n1"]);
        let series = || {
            let state = peer.state();
            let all = state["series"].as_array().unwrap().clone();
            all.into_iter().find(|series| series["labels"]["comm"] == name.as_str())
        };
        eventually("the program's profiles arrive", PATIENCE, || {
            series().is_some_and(|series| series["profiles"].as_u64() >= Some(3))
        });
        let found = series().unwrap();
        let labels = &found["labels"];
        assert_eq!((&labels["__name__"], &labels["node"]), (&"parca_agent_cpu".into(), &"n1".into()));
        assert_eq!(labels["region"], "eu-1");
        let [samples, nanos] = ["samples", "nanos"].map(|key| found[key].as_u64().unwrap());
        assert_eq!(nanos, samples * 10_000_000);
        assert!(samples > 100, "{found}");
        assert_balance(&agent);
        assert_arrived(&agent, &peer);
        assert_eq!(agent.metrics().value("store_up"), 1.0);
        agent.stop();
    }
}

#[test]
fn what_waits_is_sent_before_the_agent_ends() {
    let peer = Peer::start(&[]);
    let name = unique("busy");
    let _program = Program::start("chain", &name, &[]);
    // It would send the first time within half a minute.
    let address = format!("--store-address={}", peer.address());
    let flags = ["--profiling-duration=1s", "--store-batch-interval=10m", "--insecure", &address];
    let agent = crate::common::agent::Agent::start(&flags);
    eventually("something waits", PATIENCE, || agent.metrics().sum("store_samples_waiting") > 100.0);
    assert_eq!(peer.samples(), 0);
    agent.stop();
    assert!(peer.samples() > 100);
    peer.assert_no_violations();
}
