//! The end: clean, quick, and nothing stays in the kernel.

use super::agent::Agent;
use super::bpf::BpfObjects;
use super::process::{self, eventually, has_ended};
use super::program::Program;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How long the kernel may take to free what a dead process had.
const FREED: Duration = Duration::from_secs(2);

/// An agent under load, what it has in the kernel, and its worker.
fn loaded(arguments: &[&str]) -> (Agent, Program, BpfObjects, u32) {
    let agent = Agent::start(arguments);
    let load = Program::start_load();
    let mut workers = Vec::new();
    eventually("the worker runs", Duration::from_secs(10), || {
        workers = process::children(agent.id(), "worker");
        !workers.is_empty()
    });
    assert_eq!(workers.len(), 1, "{workers:?}");
    let objects = BpfObjects::of(agent.id());
    assert!(objects.is_sampler(), "{objects:?}");
    assert_eq!(objects.left(), objects);
    (agent, load, objects, workers[0])
}

fn assert_nothing_is_left(objects: &BpfObjects, worker: u32) {
    eventually("the worker ends with the agent", FREED, || has_ended(worker));
    let begun = Instant::now();
    while objects.left() != BpfObjects::default() {
        assert!(begun.elapsed() < FREED, "left in the kernel: {:?}", objects.left());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn after_sigterm_under_load_nothing_is_left() {
    for object in ["modern", "baseline"] {
        let force = format!("--force-object={object}");
        let (agent, _load, objects, worker) = loaded(&["--profiling-duration=1s", &force]);
        agent.stop();
        assert_nothing_is_left(&objects, worker);
    }
}

#[test]
fn after_sigkill_nothing_is_left() {
    for object in ["modern", "baseline"] {
        let force = format!("--force-object={object}");
        let (mut agent, _load, objects, worker) = loaded(&["--profiling-duration=1s", &force]);
        agent.signal(Signal::KILL);
        assert_eq!(agent.wait(Duration::from_secs(10)).code(), None);
        assert_nothing_is_left(&objects, worker);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    // The first window would be the last one, and is closed with the kernel's symbols still unread.
    let (mut agent, _load, objects, worker) = loaded(&["--profiling-duration=60s"]);
    let begun = Instant::now();
    agent.signal(Signal::TERM);
    agent.signal(Signal::INT);
    let status = agent.wait(Duration::from_secs(10));
    assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
    assert_eq!(status.code(), Some(1), "{:#?}", agent.log());
    assert_nothing_is_left(&objects, worker);
}

#[test]
fn each_signal_that_ends_a_program_ends_it_cleanly() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut agent = Agent::start(&["--profiling-duration=1s"]);
        agent.signal(signal);
        assert_eq!(agent.wait(Duration::from_secs(10)).code(), Some(0), "{:#?}", agent.log());
    }
}

#[test]
fn it_stops_in_time_while_queries_wait() {
    let agent = Agent::start(&["--profiling-duration=10s"]);
    let (address, nobody) = (agent.address, super::http::encode("{comm=\"nobody\"}"));
    let waiting = std::thread::spawn(move || super::http::get(address, &format!("/query?query={nobody}")));
    std::thread::sleep(Duration::from_millis(300));
    agent.stop();
    // Whether it was answered or cut off, it is over.
    let _ = waiting.join().unwrap();
}
