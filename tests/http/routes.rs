//! What each route answers.

use crate::client::{Response, get, send};
use crate::server::{TestServer, start, start_empty};
use crate::window::{self, labels};
use parca_agent::store::status::StoreStatus;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Percent encoding of everything that is not a letter or digit.
fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

fn query(server: &TestServer, parameters: &str, selector: &str) -> Response {
    get(server.address, &format!("/query?{parameters}query={}", encode(selector)))
}

#[test]
fn every_route_answers_with_its_type() {
    let server = start();
    for (target, status, content_type, content) in [
        ("/", 200, "text/html; charset=utf-8", "Active profilers"),
        ("/query?latest=1&query={}", 200, "application/vnd.google.protobuf+gzip", "postgres"),
        ("/query?latest=1&debug=1&query={}", 200, "text/html; charset=utf-8", "vfs_read"),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "parca_agent_http_refusals_total{"),
        ("/-/healthy", 200, "text/plain; charset=utf-8", "alive"),
        ("/healthy", 200, "text/plain; charset=utf-8", "alive"),
        ("/-/ready", 503, "text/plain; charset=utf-8", "starting"),
        ("/ready", 503, "text/plain; charset=utf-8", "starting"),
        ("/api/v1/targets", 200, "application/json", "\"last_error\""),
        ("/targets", 200, "text/html; charset=utf-8", "where they come from"),
        ("/unwind", 200, "text/html; charset=utf-8", "How stacks are unwound"),
        ("/api/v1/unwind", 200, "application/json", "{\"objects\":[]}"),
        ("/api/v1/store", 200, "application/json", "{\"store\":null}"),
        ("/ui/style.css", 200, "text/css; charset=utf-8", "prefers-color-scheme"),
        ("/ui/page.js", 200, "text/javascript; charset=utf-8", "aria-sort"),
        ("/ui/other", 404, "text/plain; charset=utf-8", "not found"),
        ("/debug", 404, "text/plain; charset=utf-8", "not found"),
        ("/query", 400, "text/plain; charset=utf-8", "missing"),
        ("/query?query=%zz", 400, "text/plain; charset=utf-8", "not well formed"),
        ("/query?query={a}", 400, "text/plain; charset=utf-8", "at position 3"),
        ("/query?debug=1&query={<b>", 400, "text/html; charset=utf-8", "at position 2"),
    ] {
        let response = get(server.address, target);
        assert_eq!(
            (response.status, response.header("content-type")),
            (status, Some(content_type)),
            "{target}"
        );
        assert!(response.text().contains(content), "{target}: {}", response.text());
        check_common_headers(&response);
    }
}

#[test]
fn the_page_tells_how_the_store_does() {
    let server = start();
    let status = StoreStatus {
        peer: "store.example:443".to_owned(),
        is_up: Some(false),
        error: Some("refused: <b>no</b>".to_owned()),
        waiting: 12_345,
        delivered: 7,
        dropped: 3,
    };
    let shown = Arc::new(Mutex::new(status.clone()));
    let told = shown.clone();
    let _ = server.store.set(Box::new(move || told.lock().unwrap().clone()));
    let page = get(server.address, "/").text();
    for text in
        ["does not take profiles", "12\u{202f}345 samples wait, 3 lost", "store.example:443", "&lt;b&gt;no"]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    let json: serde_json::Value = serde_json::from_str(&get(server.address, "/api/v1/store").text()).unwrap();
    assert_eq!(json["store"]["samples_waiting"], 12_345);
    assert_eq!(json["store"]["last_error"], "refused: <b>no</b>");

    *shown.lock().unwrap() = StoreStatus { is_up: Some(true), error: None, waiting: 0, dropped: 0, ..status };
    let page = get(server.address, "/").text();
    assert!(page.contains(">up<") && !page.contains("store.example:443"), "{page}");
}

pub(crate) fn check_common_headers(response: &Response) {
    for (name, value) in [
        ("connection", "close"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ] {
        assert_eq!(response.header(name), Some(value), "{}", response.head);
    }
    let cache = response.header("cache-control").unwrap();
    assert!(cache == "no-store" || cache == "public, max-age=300", "{}", response.head);
    let length = response.header("content-length").map(|length| length.parse().unwrap());
    assert!(response.body.is_empty() || length == Some(response.body.len()), "{}", response.head);
}

#[test]
fn readiness_follows_the_flag() {
    let server = start_empty();
    assert_eq!(get(server.address, "/-/ready").status, 503);
    server.ready.store(true, Ordering::Release);
    assert_eq!(get(server.address, "/-/ready").status, 200);
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = start();
    let body = get(server.address, "/ui/style.css");
    let head = send(server.address, b"HEAD /ui/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), body.header("content-length"));
}

#[test]
fn http_1_0_is_served_without_a_host() {
    let response = send(start().address, b"GET /-/healthy HTTP/1.0\r\n\r\n");
    assert_eq!((response.status, response.text().as_str()), (200, "alive\n"));
}

#[test]
fn metrics_come_in_the_format_asked_for() {
    let server = start();
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n";
    let response = send(server.address, request);
    assert_eq!(
        response.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(response.text().ends_with("# EOF\n"));
}

#[test]
fn a_profile_holds_every_target_that_meets_every_matcher() {
    let server = start();
    for (selector, comms) in [
        (r#"{comm="postgres"}"#, &["postgres", "postgres"][..]),
        (r#"{comm="postgres",cgroup=""}"#, &["postgres"]),
        (r#"{cgroup="",comm="postgres"}"#, &["postgres"]),
        (r#"{comm=~"post.*|node"}"#, &["node", "postgres", "postgres"]),
        (r#"parca_agent_cpu{comm!~"[^q].*",comm!="x"}"#, &[r#"q'uote\\&amp;"#]),
    ] {
        let response = query(&server, "latest=1&", selector);
        assert_eq!(response.status, 200, "{selector}");
        assert_eq!(response.header("content-disposition"), Some("attachment; filename=\"profile.pb.gz\""));
        let text = response.text();
        let found: Vec<&str> = text
            .lines()
            .map(|line| line.split("comm=\"").nth(1).unwrap().split('"').next().unwrap())
            .collect();
        assert_eq!(found, comms, "{selector}");
    }
}

#[test]
fn a_query_waits_for_the_next_window_with_a_match() {
    let server = start_empty();
    let (windows, address) = (server.windows.clone(), server.address);
    let mut empty = window::demonstration();
    empty.profiles.retain(|profile| profile.target.labels.get("comm") != Some("java"));
    let waiter = std::thread::spawn(move || get(address, "/query?query={comm=\"java\"}"));
    std::thread::sleep(Duration::from_millis(300));
    windows.publish(Arc::new(empty));
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waiter.is_finished(), "the first window holds no match");
    windows.publish(Arc::new(window::demonstration()));
    let response = waiter.join().unwrap();
    assert_eq!((response.status, response.text().lines().count()), (200, 1));
}

/// A window may wait for the names of containers that have just started.
#[test]
fn a_query_waits_for_the_window_that_has_ended_already() {
    let server = start_empty();
    let (windows, address) = (server.windows.clone(), server.address);
    windows.begin_closing();
    let waiter = std::thread::spawn(move || get(address, "/query?query={comm=\"java\"}"));
    std::thread::sleep(Duration::from_millis(300 + 1000 + 500));
    assert!(!waiter.is_finished());
    windows.publish(Arc::new(window::demonstration()));
    assert_eq!(waiter.join().unwrap().status, 200);
}

#[test]
fn a_query_without_a_match_ends_after_a_window_and_a_second() {
    let server = start();
    let start = Instant::now();
    for parameters in ["", "latest=1&", "debug=1&"] {
        let response = query(&server, parameters, r#"{comm="nobody"}"#);
        assert_eq!(response.status, 404, "{parameters}");
    }
    let each = start.elapsed() / 3;
    assert!((Duration::from_millis(1300)..Duration::from_millis(2500)).contains(&each), "{each:?}");
}

#[test]
fn waiting_queries_are_bounded_and_starve_nobody() {
    let server = start();
    let address = server.address;
    let waiters: Vec<_> = (0..24)
        .map(|_| std::thread::spawn(move || get(address, "/query?query={comm=\"nobody\"}").status))
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    assert_eq!(get(address, "/metrics").status, 200);
    assert_eq!(get(address, "/query?latest=1&query={}").status, 200);
    assert!(start.elapsed() < Duration::from_secs(1));
    let mut statuses: Vec<u16> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[404; 16].as_slice(), &[503; 8]].concat());
}

#[test]
fn targets_as_json_hold_labels_numbers_and_errors() {
    let server = start();
    let body: serde_json::Value =
        serde_json::from_slice(&get(server.address, "/api/v1/targets").body).unwrap();
    assert_eq!(body["node"], "node-<1>");
    assert_eq!(body["window"]["samples"], 1453);
    let targets = body["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 9);
    assert_eq!(targets[0]["labels"]["cgroup"], "/system.slice/postgresql.service");
    assert_eq!((&targets[0]["samples"], &targets[0]["cpu_seconds"]), (&700.into(), &7.0.into()));
    assert_eq!(targets[1]["last_error"], "frames without a mapping: process exited");
    assert!(targets[0]["last_profile_age_seconds"].as_u64().unwrap() < 30);
}

#[test]
fn pages_link_each_row_to_its_own_profile() {
    let server = start();
    let page = get(server.address, "/").text();
    let links: Vec<String> = page
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| link.starts_with("/query?latest=1"))
        .map(|link| link.replace("&amp;", "&"))
        .collect();
    assert_eq!(links.len(), 10, "whole host and nine targets");
    let count = |link: &String| get(server.address, link).text().lines().count();
    assert_eq!(links.iter().map(count).collect::<Vec<_>>(), [9, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn before_the_first_window_the_page_says_so() {
    let server = start_empty();
    let page = get(server.address, "/").text();
    assert!(page.contains("No profile yet"), "{page}");
    assert!(!page.contains("<table"), "{page}");
    assert_eq!(get(server.address, "/api/v1/targets").status, 200);
}

#[test]
fn the_profile_page_adds_up() {
    let server = start();
    let selector = labels("postgres", "/system.slice/postgresql.service").to_string();
    let page = query(&server, "latest=1&debug=1&", &selector).text();
    // 700 samples of 10 ms; 5 of 17 shares are a function that called itself five times.
    for content in
        ["7.00 s", "0.70 cores", "postgres+0x404300", "[ext4]", "29.3 %", "Call tree", "<details open"]
    {
        assert!(page.contains(content), "{content}");
    }
    assert!(!page.contains("146."), "no share is above the whole");
}
