//! How lists and watches follow each other while all is well.

use crate::agent::{Agent, QUICK, bookmark, event, list, node, options, pod};
use crate::server::{Answer, Kind, Piece, Request, Server};
use parca_agent::discovery::kubernetes::Pace;
use parca_agent::discovery::status::State;
use std::sync::Mutex;
use std::time::Duration;

/// A server that lists one pod, gives these watches in turn, and quiet ones after them.
fn with_watches(watches: impl IntoIterator<Item = Answer>) -> Server {
    let watches = Mutex::new(watches.into_iter().collect::<Vec<_>>().into_iter());
    Server::start(move |request| match request.kind {
        Kind::Node => Answer::json(&node()),
        Kind::List => Answer::json(&list(10, "", &[pod("web", 7, &["aa"])])),
        Kind::Watch => watches.lock().unwrap().next().unwrap_or_else(Answer::quiet),
    })
}

fn versions(requests: &[Request]) -> Vec<String> {
    requests.iter().map(|request| request.parameter("resourceVersion").unwrap()).collect()
}

#[test]
fn one_list_and_one_watch_and_no_poll() {
    let (feed, answer) = Answer::live();
    let server = with_watches([answer]);
    let agent = Agent::start(&server);
    agent.wait("the watch has begun", |agent| agent.state.watches() == 1);
    assert!(agent.state.synced() && agent.knows("aa") && agent.is(State::Working));

    let requests = server.of_kind(Kind::List);
    let parameter = |name| requests[0].parameter(name);
    assert!(requests[0].target.starts_with("/api/v1/pods?"), "{}", requests[0].target);
    assert_eq!(parameter("fieldSelector").unwrap(), "spec.nodeName=n1");
    assert_eq!(parameter("labelSelector").unwrap(), "app in %28web,db%29");
    assert_eq!(parameter("limit").unwrap(), "500");
    assert_eq!(parameter("resourceVersion").unwrap(), "0");
    let requests = server.of_kind(Kind::Watch);
    let parameter = |name| requests[0].parameter(name);
    assert_eq!(parameter("fieldSelector").unwrap(), "spec.nodeName=n1");
    assert_eq!(parameter("labelSelector").unwrap(), "app in %28web,db%29");
    assert_eq!(parameter("resourceVersion").unwrap(), "10");
    assert_eq!(parameter("allowWatchBookmarks").unwrap(), "true");
    let seconds: u64 = parameter("timeoutSeconds").unwrap().parse().unwrap();
    assert!((232..=290).contains(&seconds), "{seconds}");
    assert_eq!(server.of_kind(Kind::Node)[0].target, "/api/v1/nodes/n1");

    for number in 0..1000_u64 {
        let pod = pod("busy", 11 + number, &[&format!("busy-{number}")]);
        feed.send(Piece::Line(event("MODIFIED", &pod).to_string())).unwrap();
    }
    agent.wait_for("busy-999");
    assert_eq!(server.counts(), [1, 1, 1], "a thousand events are no reason to ask for anything");
}

#[test]
fn events_change_the_catalogue() {
    let (feed, answer) = Answer::live();
    let server = with_watches([answer]);
    let agent = Agent::start(&server);
    let send = |kind, pod| feed.send(Piece::Line(event(kind, &pod).to_string())).unwrap();
    send("ADDED", pod("db", 11, &["bb", "cc"]));
    agent.wait_for("cc");
    let labels = &agent.catalogue.get("cc").unwrap().labels;
    assert_eq!(
        labels.to_string(),
        r#"{container="main",containerid="containerd://cc",namespace="shop",pod="db"}"#
    );
    let meta = &agent.catalogue.get("cc").unwrap().meta;
    assert_eq!(meta.get("__meta_kubernetes_node_label_zone"), Some("a"));

    send("MODIFIED", pod("db", 12, &["bb", "dd"]));
    agent.wait_for("dd");
    assert!(agent.knows("cc"), "its last samples may come yet");
    assert!(!agent.keeps("cc") && agent.keeps("bb"));

    send("DELETED", pod("db", 13, &["bb", "dd"]));
    send("ADDED", pod("last", 14, &["ee"]));
    agent.wait_for("ee");
    assert!(!agent.keeps("bb") && !agent.keeps("dd") && agent.keeps("aa"));
}

#[test]
fn a_watch_that_ends_is_followed_by_one_from_where_it_ended() {
    let server = with_watches([
        Answer::lines([event("ADDED", &pod("db", 11, &["bb"])), bookmark(15)]),
        Answer::lines([event("DELETED", &pod("db", 16, &["bb"]))]),
        Answer::lines([""; 0]),
        // White space that is no line keeps a connection open.
        Answer::pieces([Piece::Line(format!("\n \n{}", bookmark(20))), Piece::Bytes(b" ".to_vec())]),
    ]);
    let agent = Agent::start(&server);
    agent.wait("the fifth watch has begun", |agent| agent.state.watches() == 5);
    assert_eq!(versions(&server.of_kind(Kind::Watch)), ["10", "15", "16", "16", "20"]);
    assert_eq!(server.counts(), [1, 5, 1]);
    assert_eq!(agent.status.snapshot().errors, 0);
}

#[test]
fn events_in_pieces_and_many_in_one_piece() {
    let line = |version: u64, id: &str| format!("{}\n", event("ADDED", &pod(id, version, &[id])));
    let whole = line(11, "bb");
    let (front, back) = whole.as_bytes().split_at(whole.len() / 2);
    let together = [back, line(12, "cc").as_bytes(), line(13, "dd").as_bytes()].concat();
    let server = with_watches([Answer::pieces([Piece::Bytes(front.to_vec()), Piece::Bytes(together)])]);
    let agent = Agent::start(&server);
    for id in ["bb", "cc", "dd"] {
        agent.wait_for(id);
    }
}

#[test]
fn a_server_that_ends_every_watch_at_once_is_not_asked_without_pause() {
    let server = Server::start(|request| match request.kind {
        Kind::Node => Answer::json(&node()),
        Kind::List => Answer::json(&list(10, "", &[])),
        Kind::Watch => Answer::lines([""; 0]),
    });
    let pause = Duration::from_millis(20);
    let pace = Pace {
        shortest_watch: Duration::from_secs(20),
        shortest_pause: pause,
        longest_pause: 2 * pause,
        ..QUICK
    };
    let agent = Agent::start_with(&server, options(pace));
    agent.wait("ten watches are over", |agent| agent.state.watches() == 10);
    let watches = server.of_kind(Kind::Watch);
    for pair in watches.windows(2) {
        assert!(pair[1].at - pair[0].at >= pause, "{:?}", pair[1].at - pair[0].at);
    }
    assert_eq!(server.of_kind(Kind::List).len(), 1);
    assert!(agent.last_error().contains("ended a watch of pods within"), "{}", agent.last_error());
}

#[test]
fn pages_are_followed_to_the_last() {
    const PODS: usize = 10_000;
    const PAGE: usize = 500;
    // To make so many pods by way of values takes a while.
    let template = pod("NAME", 7, &["NUMBER"]).to_string();
    let server = Server::start(move |request| match request.kind {
        Kind::Node => Answer::json(&node()),
        Kind::List => {
            let first = request.parameter("continue").map_or(0, |token| token.parse().unwrap());
            let numbers = (first..first + PAGE).map(|number| number.to_string());
            let pods: Vec<_> =
                numbers.map(|number| template.replace("NAME", &number).replace("NUMBER", &number)).collect();
            let next = if first + PAGE < PODS { (first + PAGE).to_string() } else { String::new() };
            let items = format!("[{}]", pods.join(","));
            Answer::Whole(200, "", list(10, &next, &[]).to_string().replace("[]", &items))
        }
        Kind::Watch => Answer::quiet(),
    });
    let agent = Agent::start(&server);
    agent.wait("all is listed", |agent| agent.state.synced());
    assert_eq!(agent.catalogue.len(), PODS);
    let lists = server.of_kind(Kind::List);
    assert_eq!(lists.len(), PODS / PAGE);
    // The API server refuses a resourceVersion beside a page.
    assert!(lists[1..].iter().all(|list| list.parameter("resourceVersion").is_none()));
    assert!(lists.iter().all(|list| list.parameter("limit").unwrap() == "500"));
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let agent =
        Agent::run(crate::agent::cluster(&format!("server: http://127.0.0.1:{port}"), "{}"), options(QUICK));
    agent.wait("it has failed", |agent| agent.state.errors("connect") > 3);
    assert!(agent.is(State::Failing) && !agent.state.synced());
    let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) else { return };
    let _server = Server::listen(listener, None, |request| match request.kind {
        Kind::Node => Answer::json(&node()),
        Kind::List => Answer::json(&list(10, "", &[pod("web", 7, &["aa"])])),
        Kind::Watch => Answer::quiet(),
    });
    agent.wait_for("aa");
    agent.wait("it works", |agent| agent.is(State::Working));
}
