//! The books of what goes to the store.

use crate::common::agent::Agent;
use crate::common::peer::Peer;
use crate::common::process::eventually;
use std::time::Duration;

/// Longer than anything here takes, on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Uploads are another matter, and would be counted among the connections and requests here.
pub(crate) const NO_UPLOADS: &str = "--debuginfo-upload-disable";

/// Starts an agent with short windows that sends them each second, without TLS.
pub(crate) fn start(peer: &Peer, flags: &[&str]) -> Agent {
    let address = format!("--store-address={}", peer.address());
    let own = ["--profiling-duration=1s", "--store-batch-interval=1s", NO_UPLOADS, "--insecure", &address];
    Agent::start(&[&own, flags].concat())
}

/// Samples by what became of them: delivered, waiting, dropped.
pub(crate) fn parts(agent: &Agent) -> [f64; 3] {
    let metrics = agent.metrics();
    ["store_samples_delivered_total", "store_samples_waiting", "store_samples_dropped_total"]
        .map(|name| metrics.sum(name))
}

/// Every published sample, and each that an earlier agent left, is delivered, waits or was dropped.
pub(crate) fn assert_balance(agent: &Agent) {
    // A window is counted as written a moment before the store's side counts it.
    eventually("the store's books balance", PATIENCE, || {
        let metrics = agent.metrics();
        let parts = ["store_samples_delivered_total", "store_samples_waiting", "store_samples_dropped_total"];
        let came = metrics.sum("samples_written_total") + metrics.sum("store_samples_found_total");
        came == parts.iter().map(|name| metrics.sum(name)).sum::<f64>()
    });
    agent.metrics().assert_books_balance();
}

/// The store has what the agent says it has, and nothing was against its rules.
pub(crate) fn assert_arrived(agent: &Agent, peer: &Peer) {
    eventually("the store has what was delivered", PATIENCE, || {
        let before = parts(agent)[0];
        let there = peer.samples() as f64;
        before == there && parts(agent)[0] == before
    });
    peer.assert_no_violations();
}
