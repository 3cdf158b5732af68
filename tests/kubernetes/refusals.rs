//! What the server does not allow, and when it wants to be left alone.

use crate::agent::{Agent, QUICK, error_event, list, node, options, pod};
use crate::server::{Answer, Kind, Piece, Server};
use parca_agent::discovery::kubernetes::Pace;
use parca_agent::discovery::status::State;
use serde_json::Value;
use std::time::Duration;

fn forbidden(verb: &str, resource: &str) -> Answer {
    let message = format!("{resource} is forbidden: User \"system:anonymous\" cannot {verb} resource");
    Answer::status(403, &message)
}

#[test]
fn a_missing_permission_to_list_is_named_and_known_again_when_granted() {
    let server = Server::start(|request| match (request.kind, request.nth) {
        (Kind::Node, _) => Answer::json(&node()),
        (Kind::List, 0..3) => forbidden("list", "pods"),
        (Kind::List, _) => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
        (Kind::Watch, _) => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    agent.wait_for("aa");
    assert_eq!(agent.state.errors("forbidden"), 3);
    let error = agent.last_error();
    assert!(error.contains("refuses `pods: list` (403): grant verb `list` on resource `pods`"), "{error}");
    assert!(error.contains("User \"system:anonymous\" cannot list resource"), "{error}");
}

#[test]
fn a_missing_permission_to_watch_does_not_lead_to_lists() {
    let server = Server::start(|request| match (request.kind, request.nth) {
        (Kind::Node, _) => Answer::json(&node()),
        (Kind::List, _) => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
        (Kind::Watch, 0..5) => forbidden("watch", "pods"),
        (Kind::Watch, _) => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    agent.wait("the watch has begun", |agent| agent.state.watches() == 1);
    assert_eq!(server.counts(), [1, 6, 1]);
    assert!(agent.last_error().contains("refuses `pods: watch` (403)"), "{}", agent.last_error());
    assert!(agent.knows("aa") && agent.is(State::Working));
}

#[test]
fn a_missing_permission_to_get_the_node_is_no_fault() {
    for answer in [|| forbidden("get", "nodes"), || Answer::status(404, "nodes \"n1\" not found")] {
        let server = Server::start(move |request| match request.kind {
            Kind::Node => answer(),
            Kind::List => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
            Kind::Watch if request.nth < 2 => Answer::lines([""; 0]),
            Kind::Watch => Answer::quiet(),
        });
        let agent = Agent::start(&server);
        agent.wait("the third watch has begun", |agent| agent.state.watches() == 3);
        assert!(agent.is(State::Working) && agent.status.snapshot().errors == 0);
        assert_eq!(server.counts(), [1, 3, 1], "the node is not asked for again");
        let meta = &agent.catalogue.get("aa").unwrap().meta;
        assert_eq!(meta.get("__meta_kubernetes_node_name"), Some("n1"));
        assert_eq!(meta.get("__meta_kubernetes_node_label_zone"), None);
    }
}

#[test]
fn a_server_that_wants_to_be_left_alone_is() {
    let throttled = || Answer::Whole(429, "Retry-After: 1\r\n", String::from("Too many requests"));
    let throttled_event = || {
        let mut event: Value = error_event(429);
        event["object"]["details"]["retryAfterSeconds"] = 1.into();
        Answer::lines([event])
    };
    let server = Server::start(move |request| match (request.kind, request.nth) {
        (Kind::Node, 0) => throttled(),
        (Kind::Node, _) => Answer::json(&node()),
        (Kind::List, 0) => throttled(),
        (Kind::List, _) => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
        (Kind::Watch, 0) => throttled(),
        (Kind::Watch, 1) => throttled_event(),
        (Kind::Watch, _) => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    agent.wait("the last watch was asked for", |_| server.of_kind(Kind::Watch).len() == 3);
    agent.wait("it works", |agent| agent.is(State::Working) && agent.state.watches() == 2);
    let requests = server.requests();
    let kinds: Vec<_> = requests.iter().map(|request| request.kind).collect();
    let [list, watch, node] = [Kind::List, Kind::Watch, Kind::Node];
    assert_eq!(kinds, [node, node, list, node, list, watch, watch, watch]);
    for (before, after) in [(0, 1), (2, 3), (5, 6), (6, 7)] {
        let pause = requests[after].at - requests[before].at;
        assert!(pause >= Duration::from_secs(1), "{before}: {pause:?}");
    }
    assert_eq!(agent.state.errors("throttled"), 4);
}

#[test]
fn a_refusal_that_never_ends_is_read_to_a_bound() {
    let server = Server::start(|request| match (request.kind, request.nth) {
        (Kind::Node, _) => Answer::json(&node()),
        (Kind::List, _) => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
        (Kind::Watch, 0) => {
            let (feed, answer) = Answer::live();
            feed.send(Piece::Bytes(b"go away".to_vec())).unwrap();
            // For longer than anyone waits here.
            for _ in 0..10_000 {
                feed.send(Piece::Bytes(b"\n".to_vec())).unwrap();
                feed.send(Piece::Pause(Duration::from_millis(10))).unwrap();
            }
            answer.with_status(403)
        }
        (Kind::Watch, _) => Answer::quiet(),
    });
    let agent = Agent::start_with(&server, options(Pace { answer: Duration::from_millis(500), ..QUICK }));
    agent.wait("the watch has begun", |agent| agent.state.watches() == 1);
    assert_eq!(agent.state.errors("forbidden"), 1);
    assert!(agent.last_error().ends_with("go away"), "half an explanation is better than none");
}
