//! A store whose connections go wrong each time, until they do not.

use crate::account::{NO_UPLOADS, PATIENCE, assert_arrived, assert_balance, parts, start};
use crate::common::agent::Agent;
use crate::common::peer::Peer;
use crate::common::process::{cpu_time, eventually};
use crate::common::program::{Program, unique};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a fault is watched: several tries of an agent that begins with half a second.
const WATCHED: Duration = Duration::from_secs(10);
/// Bytes that an agent may take for a store of any kind.
const MEMORY: u64 = 64 << 20;

/// Agents that run at the same time, each with a store of its own.
fn start_all(peers: &[Peer]) -> Vec<Agent> {
    let (first, rest) = peers.split_first().unwrap();
    let mut agents = vec![start(first, &[])];
    for peer in rest {
        let address = format!("--store-address={}", peer.address());
        let flags =
            ["--profiling-duration=1s", "--store-batch-interval=1s", NO_UPLOADS, "--insecure", &address];
        let agent = agents[0].start_beside(&[], &flags);
        agents.push(agent);
    }
    agents
}

/// The last one first: the first holds the machine for all.
fn stop_all(mut agents: Vec<Agent>) {
    while let Some(agent) = agents.pop() {
        agent.stop();
    }
}

fn requests(agent: &Agent) -> f64 {
    agent.metrics().sum("store_requests_total")
}

/// The most memory that a process had, in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// The pauses between tries are 0.5 s at least, and grow.
#[test]
fn a_store_that_fails_each_time_is_asked_rarely_and_loses_nothing() {
    let hows = [
        json!("goaway_first"),
        json!("garbage"),
        json!("reset"),
        json!("cut"),
        json!("no_trailers"),
        json!({"big_reply": 1 << 30}),
        json!({"http": 502}),
    ];
    let peers: Vec<Peer> = hows.iter().map(|_| Peer::start(&[])).collect();
    let _program = Program::start("chain", unique("busy"), &[]);
    let agents = start_all(&peers);
    for (agent, peer) in agents.iter().zip(&peers) {
        eventually("profiles arrive", PATIENCE, || parts(agent)[0] > 0.0);
        assert_arrived(agent, peer);
    }
    let before: Vec<_> = agents.iter().map(|agent| (requests(agent), peak_memory(agent.id()))).collect();
    let connections = |peer: &Peer| peer.state()["connections"].as_u64().unwrap();
    let connected: Vec<u64> = peers.iter().map(connections).collect();
    let used: Vec<_> = agents.iter().map(|agent| cpu_time(agent.id()).unwrap()).collect();
    peers.iter().zip(&hows).for_each(|(peer, how)| peer.behave(how.clone()));
    let begun = Instant::now();
    while begun.elapsed() < WATCHED {
        agents.iter().for_each(assert_balance);
        std::thread::sleep(Duration::from_millis(200));
    }
    for (index, how) in hows.iter().enumerate() {
        let (agent, peer) = (&agents[index], &peers[index]);
        assert_eq!(agent.metrics().value("store_up"), 0.0, "{how}");
        let tries = requests(agent) - before[index].0;
        assert!((2.0..=22.0).contains(&tries), "{how}: {tries} requests");
        let connected = connections(peer) - connected[index];
        assert!(connected <= 22, "{how}: {connected} connections");
        let used = cpu_time(agent.id()).unwrap() - used[index];
        assert!(used < WATCHED / 2, "{how}: {used:?} of CPU time");
        let memory = peak_memory(agent.id()).saturating_sub(before[index].1);
        assert!(memory < MEMORY, "{how}: {memory} bytes more than before");
        peer.behave(json!("ok"));
    }
    for (agent, (peer, how)) in agents.iter().zip(peers.iter().zip(&hows)) {
        eventually(&format!("{how}: all arrives"), PATIENCE * 2, || {
            agent.metrics().value("store_up") == 1.0 && parts(agent)[1] < 400.0
        });
        assert_eq!(parts(agent)[2], 0.0, "{how}: nothing was lost");
        assert_balance(agent);
        assert_arrived(agent, peer);
    }
    stop_all(agents);
}

/// Of those, each request takes twenty seconds.
#[test]
fn a_store_that_never_answers_costs_a_deadline_and_nothing_else() {
    let hows = [json!("no_settings"), json!("hang"), json!({"slow_ms": 60_000})];
    let peers: Vec<Peer> = hows.iter().map(|_| Peer::start(&[])).collect();
    peers.iter().zip(&hows).for_each(|(peer, how)| peer.behave(how.clone()));
    let _program = Program::start("chain", unique("busy"), &[]);
    let begun = Instant::now();
    let agents = start_all(&peers);
    let late = "store_requests_total{result=\"late\"}";
    for (agent, how) in agents.iter().zip(&hows) {
        eventually(&format!("{how}: the deadline is over"), PATIENCE, || agent.metrics().value(late) >= 1.0);
        assert!(begun.elapsed() > Duration::from_secs(20), "{how}");
        assert_balance(agent);
        let metrics = agent.metrics();
        assert_eq!((metrics.value("store_up"), requests(agent)), (0.0, 1.0), "{how}");
        assert_eq!(agent.get("/-/ready").status, 200);
    }
    peers.iter().for_each(|peer| peer.behave(json!("ok")));
    for (agent, peer) in agents.iter().zip(&peers) {
        // A request that was under way has its deadline, too.
        eventually("profiles arrive", PATIENCE * 2, || parts(agent)[0] > 200.0);
        assert_eq!(parts(agent)[2], 0.0, "nothing was lost");
        assert_balance(agent);
        assert_arrived(agent, peer);
    }
    stop_all(agents);
}

#[test]
fn a_store_that_ends_each_connection_gets_everything() {
    let peer = Peer::start(&[]);
    peer.behave(json!("goaway"));
    let _program = Program::start("chain", unique("busy"), &[]);
    let agent = start(&peer, &[]);
    eventually("profiles arrive", PATIENCE, || peer.state()["requests"].as_u64() >= Some(8));
    assert_balance(&agent);
    assert_arrived(&agent, &peer);
    let state = peer.state();
    let [requests, connections] = ["requests", "connections"].map(|key| state[key].as_u64().unwrap());
    assert!(connections.abs_diff(requests) <= 1, "{connections} connections for {requests} requests");
    assert_eq!(parts(&agent)[2], 0.0, "nothing was lost");
    assert_eq!(agent.metrics().value("store_up"), 1.0);
    agent.stop();
}

/// Without a time to wait it is asked half as often each time.
#[test]
fn a_store_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_says() {
    let cases: [(Value, u64); 4] = [
        (json!({"status": 8, "pushback_ms": 4000}), 4),
        (json!({"status": 8, "retry_info_ms": 4000}), 4),
        (json!({"status": 8, "pushback_ms": -1}), 1),
        // After 2, 4 and 8 seconds.
        (json!({"status": 8}), 4),
    ];
    let peers: Vec<Peer> = cases.iter().map(|_| Peer::start(&[])).collect();
    peers.iter().zip(&cases).for_each(|(peer, (how, _))| peer.behave(how.clone()));
    let _program = Program::start("chain", unique("busy"), &[]);
    let agents = start_all(&peers);
    for (agent, (how, _)) in agents.iter().zip(&cases) {
        eventually(&format!("{how}: asked"), PATIENCE, || requests(agent) >= 1.0);
    }
    let begun = Instant::now();
    while begun.elapsed() < WATCHED {
        agents.iter().for_each(assert_balance);
        std::thread::sleep(Duration::from_millis(200));
    }
    for (agent, (peer, (how, most))) in agents.iter().zip(peers.iter().zip(&cases)) {
        // The first agents were asked while the last ones began.
        let most = most + begun.elapsed().as_secs().saturating_sub(WATCHED.as_secs()) / 4 + 1;
        let asked = peer.state()["requests"].as_u64().unwrap();
        assert!(asked <= most, "{how}: asked {asked} times");
        assert!(*how == cases[2].0 || asked >= 2, "{how}: asked {asked} times");
        let [delivered, waiting, dropped] = parts(agent);
        assert!(
            delivered == 0.0 && waiting > 100.0 && dropped == 0.0,
            "{how}: {delivered} {waiting} {dropped}"
        );
        peer.behave(json!("ok"));
    }
    for (index, (how, _)) in cases.iter().enumerate().filter(|(index, _)| *index != 2) {
        eventually(&format!("{how}: all arrives"), PATIENCE, || parts(&agents[index])[0] > 200.0);
        assert_balance(&agents[index]);
        assert_arrived(&agents[index], &peers[index]);
    }
    stop_all(agents);
}

#[test]
fn a_name_that_leads_nowhere_is_looked_up_again() {
    let peer = Peer::start(&[]);
    let _program = Program::start("chain", unique("busy"), &[]);
    let names = crate::names::Names::new();
    let launcher = names.launcher(&[]);
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    let address = format!("--store-address=store.test:{}", peer.address().port());
    let flags = ["--profiling-duration=1s", "--store-batch-interval=1s", NO_UPLOADS, "--insecure", &address];
    let agent = Agent::start_by(&launcher, &flags);
    let failed = "store_requests_total{result=\"connect\"}";
    eventually("there is no such name", PATIENCE, || agent.metrics().value(failed) >= 2.0);
    assert_eq!(parts(&agent)[0], 0.0);
    assert_balance(&agent);
    names.set(&[("127.0.0.1", "store.test")]);
    eventually("profiles arrive", PATIENCE, || parts(&agent)[0] > 200.0);
    // The store moves: where it was, nobody answers any more.
    let other = Peer::start(&["--listen", &format!("127.0.0.2:{}", peer.address().port())]);
    names.set(&[("127.0.0.2", "store.test")]);
    peer.behave(json!("close"));
    eventually("profiles arrive elsewhere", PATIENCE, || other.samples() > 200);
    assert_balance(&agent);
    assert_eq!(parts(&agent)[2], 0.0, "nothing was lost");
    agent.stop();
}
