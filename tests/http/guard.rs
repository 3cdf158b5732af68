//! What the guard keeps away.

use crate::client::{connect, get, receive, send};
use crate::routes::check_common_headers;
use crate::server::{start, start_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// The tests hold both ends of every connection.
fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

fn metrics_answer_within_a_second(address: SocketAddr) {
    let start = Instant::now();
    assert_eq!(get(address, "/metrics").status, 200);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

fn refusals(address: SocketAddr, reason: &str) -> u64 {
    let text = get(address, "/metrics").text();
    let start = format!("parca_agent_http_refusals_total{{reason=\"{reason}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
}

#[test]
fn bad_requests_are_refused_and_counted() {
    let server = start();
    for (request, status, reason) in [
        ("TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "bad_method"),
        ("PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405, "bad_method"),
        ("POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405, "bad_method"),
        ("POST /symbolz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n0x1", 200, "symbolz"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 413, "body"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413, "body"),
        ("GET /..%2f..%2fetc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"),
        ("GET /../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"),
        ("GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400, "bad_host"),
        ("GET /metrics HTTP/1.1\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, "bad_version"),
        ("GET / HTTP/1.1\n\n", 400, "malformed"),
        ("\x16\x03\x01\r\n\r\n", 400, "malformed"),
    ] {
        let before = refusals(server.address, reason);
        let response = send(server.address, request.as_bytes());
        assert_eq!(response.status, status, "{request:?}");
        assert_eq!(response.header("allow"), (status == 405).then_some("GET, HEAD"), "{request:?}");
        check_common_headers(&response);
        assert_eq!(refusals(server.address, reason), before + 1, "{request:?}");
    }
}

#[test]
fn two_thousand_half_open_connections_do_not_stop_answers() {
    raise_descriptor_limit();
    let server = start();
    let mut half_open = Vec::new();
    for index in 0..2000 {
        let mut stream = TcpStream::connect(server.address).unwrap();
        // The server may have closed it already.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ");
        half_open.push(stream);
        if index % 500 == 499 {
            metrics_answer_within_a_second(server.address);
        }
    }
    assert!(refusals(server.address, "evicted") >= 1700);
    let oldest = receive(&mut half_open[0]);
    assert_eq!((oldest.status, oldest.header("retry-after")), (503, Some("2")));
}

#[test]
fn a_header_line_of_a_hundred_megabytes_is_refused() {
    let server = start();
    let mut stream = connect(server.address);
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    let piece = vec![b'a'; 1 << 20];
    // The server stops reading after a second, and then the connection breaks.
    let sent = (0..100).take_while(|_| stream.write_all(&piece).is_ok()).count();
    let mut answer = [0; 12];
    if sent == 100 {
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431");
    }
    assert_eq!(refusals(server.address, "head_too_large"), 1);
    metrics_answer_within_a_second(server.address);
}

#[test]
fn a_head_that_trickles_is_cut_after_five_seconds() {
    let server = start();
    let start = Instant::now();
    let mut stream = connect(server.address);
    let mut writer = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        while writer.write_all(b"X").is_ok() {
            std::thread::sleep(Duration::from_millis(300));
        }
    });
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    let elapsed = start.elapsed();
    assert!((Duration::from_millis(4900)..Duration::from_secs(7)).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn what_is_pipelined_behind_a_request_is_ignored() {
    let server = start();
    let one = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let response = send(server.address, one.repeat(3).as_bytes());
    assert_eq!(response.text(), "alive\n");
}

#[test]
fn readers_that_do_not_read_make_room() {
    raise_descriptor_limit();
    let server = start_with(Box::new(|_, _| vec![0; 16 << 20]));
    server.windows.publish(std::sync::Arc::new(crate::window::demonstration()));
    let idle: Vec<TcpStream> = (0..48)
        .map(|_| {
            let mut stream = connect(server.address);
            stream.write_all(b"GET /query?latest=1&query={} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    // Each had its grace of two seconds.
    std::thread::sleep(Duration::from_millis(3000));
    metrics_answer_within_a_second(server.address);
    drop(idle);
}

#[test]
fn a_stopped_server_frees_its_port_and_a_taken_port_is_named() {
    let mut server = start();
    let address = server.address;
    let error = parca_agent::http::address::bind(address).unwrap_err();
    assert_eq!(error.to_string(), format!("failed to listen on {address}"));
    server.stop();
    assert!(TcpListener::bind(address).is_ok());
}

/// The limit holds for a whole process, so the server runs in one of its own: this test, started again.
#[test]
fn running_out_of_descriptors_stops_nothing() {
    const ROLE: &str = "PARCA_AGENT_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(ROLE).is_some() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(160), maximum }).unwrap();
        let server = start();
        println!("address={}", server.address);
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    raise_descriptor_limit();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "guard::running_out_of_descriptors_stops_nothing", "--nocapture"])
        .env(ROLE, "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Kept open: the child writes more when it ends.
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let address: SocketAddr = output
        .by_ref()
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("address=").map(|address| address.parse().unwrap()))
        .unwrap();
    let half_open: Vec<TcpStream> = (0..400).map(|_| connect(address)).collect();
    metrics_answer_within_a_second(address);
    let waiters: Vec<_> = (0..100)
        .map(|_| std::thread::spawn(move || send_fallibly(address, "/query?query={comm=\"nobody\"}")))
        .collect();
    let statuses: Vec<Option<u16>> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
    assert!(statuses.contains(&Some(404)) && statuses.contains(&Some(503)), "{statuses:?}");
    drop(half_open);
    metrics_answer_within_a_second(address);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// The status, if there was an answer: a server short of descriptors may close without one.
fn send_fallibly(address: SocketAddr, target: &str) -> Option<u16> {
    let mut stream = connect(address);
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    // What came before a reset counts.
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1)?.parse().ok()
}
