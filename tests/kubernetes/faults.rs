//! Servers that are broken, slow, or none at all: what is known stays in force, and they are asked again.

use crate::agent::{Agent, QUICK, bookmark, list, node, options, pod};
use crate::server::{Answer, Kind, Piece, Server};
use parca_agent::discovery::kubernetes::Pace;
use parca_agent::discovery::status::State;
use std::time::Duration;

fn raw(text: &str) -> Answer {
    Answer::Raw(text.as_bytes().to_vec())
}

/// An answer to a list, and what is said of it.
type Case = (fn() -> Answer, &'static str);

const LISTS: [Case; 11] = [
    (|| raw("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n<html></html>\n"), "decode"),
    (|| raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "decode"),
    (|| raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"items\":"), "decode"),
    (|| raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), "decode"),
    (|| Answer::Whole(200, "", "[".repeat(10_000)), "decode"),
    (|| raw("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"items\":"), "http"),
    (|| raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "http"),
    (|| raw("SSH-2.0-OpenSSH_9.6\r\n"), "http"),
    (|| raw(""), "http"),
    (|| Answer::status(500, "etcdserver: leader changed"), "status"),
    (|| Answer::Whole(302, "Location: https://elsewhere.example/\r\n", String::new()), "status"),
];

#[test]
fn lists_that_make_no_sense() {
    for (index, (answer, reason)) in LISTS.into_iter().enumerate() {
        let server = Server::start(move |request| match (request.kind, request.nth) {
            (Kind::Node, _) => Answer::json(&node()),
            (Kind::List, 0) => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
            // A request over a connection that is closed is made once more.
            (Kind::List, 1..6) => answer(),
            (Kind::List, _) => Answer::json(&list(20, "", &[pod("b", 8, &["bb"])])),
            (Kind::Watch, 0) => Answer::lines([bookmark(11)]),
            (Kind::Watch, 1) => Answer::status(410, "gone"),
            (Kind::Watch, _) => Answer::quiet(),
        });
        let agent = Agent::start(&server);
        agent.wait("it fails", |agent| agent.state.errors(reason) > 0);
        assert!(agent.knows("aa"), "{index}: what is known stays in force");
        agent.wait_for("bb");
        agent.wait("it works again", |agent| agent.is(State::Working));
        assert!(!agent.keeps("aa"), "{index}");
        let others = ["decode", "http", "status"].iter().filter(|other| **other != reason);
        assert_eq!(others.map(|other| agent.state.errors(other)).sum::<u64>(), 0, "{index}");
    }
}

#[test]
fn watches_that_break_off() {
    let pod_line = || {
        let text = crate::agent::event("ADDED", &pod("b", 12, &["bb"])).to_string();
        Piece::Bytes(text.as_bytes()[..text.len() / 2].to_vec())
    };
    let answers: [Box<dyn Fn() -> Answer + Send + Sync>; 5] = [
        Box::new(|| Answer::pieces([Piece::Cut])),
        Box::new(move || Answer::pieces([pod_line(), Piece::Cut])),
        // So does a proxy between that closes what it has not finished as if it had.
        Box::new(move || Answer::pieces([pod_line()])),
        Box::new(|| raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")),
        Box::new(|| Answer::status(503, "the server is shutting down")),
    ];
    for (index, answer) in answers.into_iter().enumerate() {
        let server = Server::start(move |request| match (request.kind, request.nth) {
            (Kind::Node, _) => Answer::json(&node()),
            (Kind::List, _) => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
            (Kind::Watch, 0) => Answer::lines([bookmark(11)]),
            (Kind::Watch, 1..4) => answer(),
            (Kind::Watch, 4) => Answer::lines([crate::agent::event("ADDED", &pod("b", 12, &["bb"]))]),
            (Kind::Watch, _) => Answer::quiet(),
        });
        let agent = Agent::start(&server);
        agent.wait_for("bb");
        agent.wait("the next watch has begun", |_| server.of_kind(Kind::Watch).len() == 6);
        let versions: Vec<_> = server
            .of_kind(Kind::Watch)
            .iter()
            .map(|watch| watch.parameter("resourceVersion").unwrap())
            .collect();
        assert_eq!(versions, ["10", "11", "11", "11", "11", "12"], "{index}");
        assert_eq!(server.of_kind(Kind::List).len(), 1, "{index}: no list for a connection that breaks");
        assert!(agent.status.snapshot().errors >= 3 && agent.knows("aa"), "{index}");
    }
}

#[test]
fn a_server_that_never_answers() {
    let pace = Pace { answer: Duration::from_millis(50), ..QUICK };
    for kind in [Kind::Node, Kind::List, Kind::Watch] {
        let server = Server::start(move |request| match request.kind {
            silent if silent == kind && request.nth < 2 => Answer::Silence,
            Kind::Node => Answer::json(&node()),
            Kind::List => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
            Kind::Watch => Answer::quiet(),
        });
        let agent = Agent::start_with(&server, options(pace));
        agent.wait("the watch has begun", |agent| agent.state.watches() == 1);
        assert!(agent.state.errors("late") >= 2, "{kind:?}");
        assert!(agent.last_error().contains("no answer from 127.0.0.1"), "{}", agent.last_error());
    }
}

#[test]
fn a_watch_that_trickles_is_given_up() {
    let pace = Pace { watch: Duration::from_secs(1), grace: Duration::from_millis(50), ..QUICK };
    let server = Server::start(|request| match request.kind {
        Kind::Node => Answer::json(&node()),
        Kind::List => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
        Kind::Watch => {
            let (feed, answer) = Answer::live();
            // For longer than anyone waits here.
            for _ in 0..10_000 {
                feed.send(Piece::Bytes(b" ".to_vec())).unwrap();
                feed.send(Piece::Pause(Duration::from_millis(10))).unwrap();
            }
            answer
        }
    });
    let agent = Agent::start_with(&server, options(pace));
    agent.wait("the server is given up", |agent| agent.state.errors("late") > 0);
    agent.wait("it is asked again", |agent| agent.state.watches() == 2);
}

#[test]
fn a_connection_that_was_closed_while_idle_is_no_fault() {
    let server = Server::start(|request| match (request.kind, request.nth) {
        (Kind::Node, _) => Answer::json(&node()),
        // The request is met by the end of the connection that the one for the node was made over.
        (Kind::List, 0) => raw(""),
        (Kind::List, _) => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
        (Kind::Watch, 0) => raw(""),
        (Kind::Watch, _) => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    agent.wait("the watch has begun", |agent| agent.state.watches() == 1);
    assert_eq!((server.counts(), agent.status.snapshot().errors), ([2, 2, 1], 0));
}

#[test]
fn pages_without_end_are_not_followed() {
    let server = Server::start(|request| match request.kind {
        Kind::Node => Answer::json(&node()),
        Kind::List if request.nth < 1500 => Answer::json(&list(10, "again", &[])),
        Kind::List => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
        Kind::Watch => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    agent.wait_for("aa");
    assert!(agent.last_error().contains("pages without end"), "{}", agent.last_error());
}
