//! A state that the server has forgotten, and other ends of a watch.

use crate::agent::{Agent, QUICK, bookmark, error_event, event, list, node, options, pod};
use crate::server::{Answer, Kind, Server};
use parca_agent::discovery::kubernetes::Pace;
use parca_agent::discovery::status::State;
use std::time::Duration;

/// A server that lists `aa` and `bb`, then `aa` and `cc`; what its first watches answer is given.
fn with_watches(watch: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Server {
    Server::start(move |request| match (request.kind, request.nth) {
        (Kind::Node, _) => Answer::json(&node()),
        (Kind::List, 0) => Answer::json(&list(10, "", &[pod("a", 7, &["aa"]), pod("b", 8, &["bb"])])),
        (Kind::List, _) => Answer::json(&list(20, "", &[pod("a", 7, &["aa"]), pod("c", 9, &["cc"])])),
        (Kind::Watch, nth) => watch(nth),
    })
}

fn check_relisted(server: &Server, agent: &Agent, watches: &[&str]) {
    agent.wait_for("cc");
    agent.wait("the last watch has begun", |agent| agent.state.watches() as usize + 1 >= watches.len());
    agent.wait("the last watch was asked for", |_| server.of_kind(Kind::Watch).len() >= watches.len());
    let versions =
        server.of_kind(Kind::Watch).into_iter().map(|watch| watch.parameter("resourceVersion").unwrap());
    assert_eq!(versions.collect::<Vec<_>>(), watches);
    assert!(agent.keeps("aa") && agent.keeps("cc") && !agent.keeps("bb"));
    assert_eq!(server.counts(), [2, watches.len(), 2], "the node is read again with the list");
}

#[test]
fn a_watch_from_a_forgotten_state_leads_to_a_list() {
    let server = with_watches(|nth| match nth {
        0 => Answer::lines([bookmark(12)]),
        1 => Answer::status(410, "too old resource version: 12 (19)"),
        _ => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    check_relisted(&server, &agent, &["10", "12", "20"]);
    assert_eq!((agent.state.errors("gone"), agent.status.snapshot().errors), (1, 0), "that is ordinary");
}

#[test]
fn a_watch_that_ends_in_a_forgotten_state_leads_to_a_list() {
    let server = with_watches(|nth| match nth {
        0 => Answer::lines([bookmark(12), error_event(410)]),
        _ => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    check_relisted(&server, &agent, &["10", "20"]);
    assert_eq!((agent.state.errors("gone"), agent.status.snapshot().errors), (1, 0), "that is ordinary");
    assert_eq!(server.of_kind(Kind::List)[1].parameter("resourceVersion").as_deref(), Some("0"));
}

#[test]
fn a_list_that_is_itself_forgotten_leads_to_one_from_the_store() {
    let server = with_watches(|nth| match nth {
        0 => Answer::status(410, "too old resource version: 10 (19)"),
        _ => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    check_relisted(&server, &agent, &["10", "20"]);
    let list = &server.of_kind(Kind::List)[1];
    assert_eq!((list.parameter("resourceVersion"), list.parameter("limit").as_deref()), (None, Some("500")));
}

#[test]
fn a_page_that_is_forgotten_leads_to_a_list_from_the_start() {
    let server = Server::start(|request| match (request.kind, request.nth) {
        (Kind::Node, _) => Answer::json(&node()),
        (Kind::List, 0) => Answer::json(&list(10, "next", &[pod("a", 7, &["aa"])])),
        (Kind::List, 1) => Answer::status(410, "The provided continue parameter is too old"),
        (Kind::List, _) => Answer::json(&list(20, "", &[pod("b", 8, &["bb"])])),
        (Kind::Watch, _) => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    agent.wait("all is listed", |agent| agent.state.synced());
    let pages: Vec<_> = server.of_kind(Kind::List).iter().map(|list| list.parameter("continue")).collect();
    assert_eq!(pages, [None, Some("next".to_owned()), None]);
    assert!(agent.keeps("bb") && !agent.keeps("aa"));
}

#[test]
fn another_error_event_leads_to_a_pause_and_the_second_in_a_row_to_a_list() {
    let server = with_watches(|nth| match nth {
        0 => Answer::lines([error_event(500)]),
        1 => Answer::lines([bookmark(12), error_event(500)]),
        2 => Answer::lines([error_event(500)]),
        _ => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    check_relisted(&server, &agent, &["10", "10", "12", "20"]);
    assert_eq!(agent.state.errors("event"), 3);
    assert!(agent.last_error().contains("(500): error 500"), "{}", agent.last_error());
}

#[test]
fn a_line_without_end_leads_to_a_list() {
    let server = with_watches(|nth| match nth {
        0 => {
            let mut pod = pod("b", 11, &["bb"]);
            pod["metadata"]["annotations"]["huge"] = "x".repeat(10 << 20).into();
            Answer::lines([event("MODIFIED", &pod)])
        }
        _ => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    check_relisted(&server, &agent, &["10", "20"]);
    assert_eq!(agent.state.errors("too_long"), 1);
    assert!(agent.last_error().contains("over 4194304 bytes"), "{}", agent.last_error());
}

#[test]
fn a_line_that_makes_no_sense_leads_to_a_list() {
    for line in ["<html>", "{\"type\":\"ADDED\",\"obj", "null", "{\"type\":\"X\",\"object\":{}}", "\u{0}"] {
        let server = with_watches(move |nth| if nth == 0 { Answer::lines([line]) } else { Answer::quiet() });
        let agent = Agent::start(&server);
        check_relisted(&server, &agent, &["10", "20"]);
        assert_eq!(agent.state.errors("decode"), 1, "{line}");
        assert!(
            agent.last_error().contains("answer to `pods: watch` makes no sense"),
            "{}",
            agent.last_error()
        );
    }
}

#[test]
fn a_node_that_could_not_be_read_is_read_after_the_watch() {
    let server = Server::start(|request| match (request.kind, request.nth) {
        (Kind::Node, 0) => Answer::status(500, "not now"),
        (Kind::Node, _) => Answer::json(&node()),
        (Kind::List, _) => Answer::json(&list(10, "", &[pod("a", 7, &["aa"])])),
        (Kind::Watch, 0) => Answer::lines([bookmark(12)]),
        (Kind::Watch, _) => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    agent.wait("its labels are there", |agent| {
        agent
            .catalogue
            .get("aa")
            .is_some_and(|known| known.meta.get("__meta_kubernetes_node_label_zone") == Some("a"))
    });
    agent.wait("the second watch has begun", |agent| agent.state.watches() == 2);
    // The node that was just read is read once more with the list that its labels need.
    assert_eq!(server.counts(), [2, 2, 3]);
}

#[test]
fn a_watch_that_should_have_ended_is_given_up() {
    let pace = Pace { watch: Duration::from_secs(1), grace: Duration::from_millis(50), ..QUICK };
    let server = with_watches(|_| Answer::quiet());
    let agent = Agent::start_with(&server, options(pace));
    agent.wait("the server is taken for gone", |agent| agent.state.errors("late") > 0);
    agent.wait("it is asked again", |agent| agent.state.watches() == 2);
    assert_eq!(server.of_kind(Kind::List).len(), 1);
    assert!(agent.knows("aa") && !agent.is(State::Starting));
}
