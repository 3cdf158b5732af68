//! Clients that try to keep the agent from its work.

use super::agent::Agent;
use super::process::eventually;
use super::program::{Program, unique};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

const CONNECTIONS: usize = 2000;

#[test]
fn two_thousand_half_open_connections_change_nothing() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let agent = Agent::start(&["--profiling-duration=1s"]);
    let name = unique("attack");
    let _program = Program::start_measured("chain", &name, &[]);
    let open: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(agent.address).unwrap();
            // An evicted connection may be closed already.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Never");
            stream
        })
        .collect();
    let before = agent.metrics();
    for _ in 0..5 {
        let begun = Instant::now();
        let metrics = agent.metrics();
        assert!(begun.elapsed() < Duration::from_secs(1), "metrics took {:?}", begun.elapsed());
        metrics.assert_books_balance();
        assert_eq!(metrics.sum("samples_dropped_total"), 0.0);
    }
    let profile = agent.profile_since(&name, SystemTime::now());
    assert!(profile.total() > 30, "{} samples in a second", profile.total());
    assert!(agent.metrics().value("samples_taken_total") > before.value("samples_taken_total"));
    drop(open);
    eventually("the connections are gone", Duration::from_secs(15), || {
        agent.metrics().value("http_connections{state=\"idle\"}") <= 2.0
    });
    agent.stop();
}
