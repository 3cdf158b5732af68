//! A store that is not there, or not as it should be.

use crate::account::{PATIENCE, assert_arrived, assert_balance, parts, start};
use crate::common::peer::Peer;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_store_that_is_down_at_the_start_gets_everything_later() {
    let peer = Peer::start(&[]);
    peer.behave(json!("close"));
    let _program = Program::start("chain", unique("busy"), &[]);
    let agent = start(&peer, &[]);
    assert_eq!(agent.get("/-/ready").status, 200);
    eventually("profiles wait", PATIENCE, || {
        // The first request may be later than the first samples.
        parts(&agent)[1] > 200.0 && agent.metrics().sum("store_requests_total") >= 1.0
    });
    assert_eq!(agent.metrics().value("store_up"), 0.0);
    assert_balance(&agent);
    peer.behave(json!("open"));
    eventually("the store has them", PATIENCE, || parts(&agent)[0] > 200.0);
    assert_arrived(&agent, &peer);
    assert_balance(&agent);
    assert_eq!(parts(&agent)[2], 0.0, "nothing was lost");
    let log = agent.stop();
    let lines = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    assert_eq!(lines("the store does not take profiles"), 1, "{log:#?}");
    assert_eq!(lines("the store takes profiles"), 1, "{log:#?}");
}

/// After each of these the store is well again, and has everything that was not refused for good.
#[test]
fn whatever_the_store_says_is_borne_and_nothing_is_lost() {
    let peer = Peer::start(&[]);
    let _program = Program::start("chain", unique("busy"), &[]);
    let agent = start(&peer, &[]);
    let cases: [Value; 12] = [
        json!({"status": 14}),
        json!({"status": 4}),
        json!({"status": 8, "pushback_ms": 700}),
        json!({"status": 8, "retry_info_ms": 900}),
        json!({"status": 8}),
        json!({"status": 13}),
        json!({"slow_ms": 1500}),
        json!("goaway"),
        json!("reset"),
        json!("cut"),
        json!("no_trailers"),
        json!("goaway_first"),
    ];
    for how in cases {
        let before = parts(&agent)[0];
        peer.behave_times(how.clone(), 2);
        eventually(&format!("{how}: profiles arrive after it"), PATIENCE, || {
            parts(&agent)[0] > before + 100.0
        });
        assert_balance(&agent);
    }
    assert_eq!(parts(&agent)[2], 0.0, "nothing was lost");
    agent.stop();
    peer.assert_no_violations();
}

#[test]
fn a_message_that_is_too_large_for_the_store_is_halved() {
    let peer = Peer::start(&[]);
    let _program = Program::start("chain", unique("busy"), &[]);
    peer.behave(json!({"limit": 6000}));
    let agent = start(&peer, &[]);
    eventually("halves arrive", PATIENCE, || parts(&agent)[0] > 200.0);
    assert_balance(&agent);
    agent.stop();
}

/// One series that the store does not want costs no other, and a store that wants none costs nothing.
#[test]
fn what_is_refused_is_looked_for_and_lost_alone() {
    let peer = Peer::start(&[]);
    let (_good, unwanted) = (Program::start("chain", unique("good"), &[]), unique("bad"));
    let _bad = Program::start("chain", &unwanted, &[]);
    peer.behave(json!({"refuse": {"status": 3, "name": "comm", "value": unwanted}}));
    let agent = start(&peer, &[]);
    let refused = || agent.metrics().value("store_samples_dropped_total{reason=\"refused\"}");
    eventually("what is refused is lost", PATIENCE, || refused() > 0.0);
    eventually("the others arrive", PATIENCE, || parts(&agent)[0] > 100.0);
    assert_balance(&agent);
    let series = peer.state()["series"].clone();
    let names: Vec<_> = series.as_array().unwrap().iter().map(|series| &series["labels"]["comm"]).collect();
    assert!(!names.iter().any(|name| **name == *unwanted), "{names:?}");

    peer.behave(json!({"status": 3, "message": "nothing from you"}));
    let (lost, requests) = (refused(), peer.state()["requests"].as_u64().unwrap());
    eventually("it is asked again", PATIENCE, || peer.state()["requests"].as_u64().unwrap() > requests + 3);
    std::thread::sleep(Duration::from_secs(5)); // to see that nothing happens
    assert_eq!(refused(), lost, "a store that refuses everything costs nothing");
    assert!(peer.state()["requests"].as_u64().unwrap() < requests + 40, "and is not asked all the time");
    assert_balance(&agent);
    agent.stop();
}

/// Memory is bounded, time gets coarser before samples are lost, and what is lost is counted.
#[test]
fn of_a_long_outage_the_oldest_is_dropped_and_counted() {
    let peer = Peer::start(&[]);
    peer.behave(json!("close"));
    let program = Program::start("threads", unique("busy"), &["600", "8"]);
    let agent = start(&peer, &["--store-queue-size=1MiB", "--profiling-cpu-sampling-frequency=4000"]);
    eventually("profiles are merged", PATIENCE * 3, || agent.metrics().value("store_merges_total") > 0.0);
    // While room is made for a profile that came, it is there already.
    assert!(agent.metrics().value("store_queue_bytes") <= f64::from(1 << 20) * 1.1);
    assert_balance(&agent);
    // From now on the store, too, is to have its share of the machine.
    drop(program);
    peer.behave(json!("open"));
    // After so many failures the next try may be a minute away.
    eventually("the rest arrives", PATIENCE * 3, || parts(&agent)[0] > 200.0);
    assert_arrived(&agent, &peer);
    assert_balance(&agent);
    agent.stop();
}
