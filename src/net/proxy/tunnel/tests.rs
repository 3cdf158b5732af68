use super::TunnelError;
use crate::net::proxy::{Proxies, Proxy};
use crate::text::error_chain;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(10);

/// A proxy at this place.
fn proxy_at(place: &str) -> Proxy {
    let proxies = Proxies::read(|name| (name == "all_proxy").then(|| format!("http://u:p@{place}").into()));
    proxies.choose("store.example", 443, true).unwrap().unwrap()
}

/// Accepts one connection, reads the head of a request, and has the rest done.
fn proxy(act: impl FnOnce(TcpStream) + Send + 'static) -> (Proxy, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = proxy_at(&listener.local_addr().unwrap().to_string());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        act(stream);
        String::from_utf8(head).unwrap()
    });
    (proxy, thread)
}

/// Why a proxy that answers so, and then waits for the end, leads nowhere.
fn failure(answer: &'static [u8], deadline: Duration) -> TunnelError {
    let (proxy, thread) = proxy(move |mut stream| {
        // The agent may have enough of it before it is all said.
        let _ = stream.write_all(answer);
        let _ = stream.read(&mut [0]);
    });
    let error = smol::block_on(proxy.dial("store.example", 443, deadline)).err().unwrap();
    thread.join().unwrap();
    error
}

#[test]
fn the_way_is_asked_for_and_what_the_peer_said_meanwhile_is_not_lost() {
    for (host, named) in [("store.example", "store.example:443"), ("2001:db8::1", "[2001:db8::1]:443")] {
        let (proxy, thread) = proxy(|mut stream| {
            // Lengths mean nothing in such an answer.
            let head = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 Here\r\nContent-Length: 3\r\n\r\nearly";
            stream.write_all(head.as_bytes()).unwrap();
            let mut asked = [0; 4];
            stream.read_exact(&mut asked).unwrap();
            assert_eq!(&asked, b"ping");
            stream.write_all(b" pong").unwrap();
        });
        smol::block_on(async {
            let mut dialed = proxy.dial(host, 443, DEADLINE).await.unwrap();
            assert_eq!(dialed.peer, named);
            // In pieces that are smaller than what is there.
            let mut first = [0; 2];
            dialed.stream.read_exact(&mut first).await.unwrap();
            dialed.stream.write_all(b"ping").await.unwrap();
            dialed.stream.flush().await.unwrap();
            let mut rest = String::new();
            dialed.stream.read_to_string(&mut rest).await.unwrap();
            assert_eq!((&first, rest.as_str()), (b"ea", "rly pong"));
        });
        let asked = thread.join().unwrap().to_ascii_lowercase();
        let mut lines = asked.lines();
        assert_eq!(lines.next().unwrap(), format!("connect {named} http/1.1"));
        let mut headers: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        headers.sort_unstable();
        assert_eq!(headers, [format!("host: {named}"), "proxy-authorization: basic dtpw".to_owned()]);
    }
}

#[test]
fn a_proxy_that_refuses_says_why() {
    for (answer, expected) in [
        (
            &b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\nContent-Length: 9\r\n\r\nnot you!\n"[..],
            "407 Proxy Authentication Required",
        ),
        (b"HTTP/1.1 403 No\r\n\r\nendless", "403 Forbidden"),
        (b"HTTP/1.0 502 No\r\nContent-Length: 99999999999\r\n\r\n", "502 Bad Gateway"),
        (b"HTTP/1.1 302 No\r\nLocation: http://elsewhere/\r\n\r\n", "302 Found"),
        (b"HTTP/1.1 101 No\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "101 Switching Protocols"),
    ] {
        let error = failure(answer, DEADLINE);
        let TunnelError::Refused { proxy, .. } = &error else { panic!("{}", error_chain(&error)) };
        let expected = format!("the proxy {proxy} refuses to connect to store.example:443: {expected}");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_is_no_proxy_costs_little() {
    let long: &[u8] = [b"HTTP/1.1 200 OK\r\na: ".as_slice(), &[b'x'; 20 << 10]].concat().leak();
    let many: &[u8] = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(200)].concat().leak();
    for (answer, reason) in [
        (&b"SSH-2.0-server\r\n"[..], "did not answer as HTTP demands"),
        (b"\x16\x03\x01\x02\x00", "did not answer as HTTP demands"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "did not answer as HTTP demands"),
        (long, "did not answer as HTTP demands"),
        (many, "did not answer as HTTP demands"),
    ] {
        let begun = Instant::now();
        let text = error_chain(&failure(answer, DEADLINE));
        assert!(text.contains(reason) && begun.elapsed() < DEADLINE, "{text}");
    }
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"] {
        let text = error_chain(&failure(answer, Duration::from_millis(200)));
        assert!(text.contains("no answer from 127.0.0.1") && text.contains("within 0.2 s"), "{text}");
    }
}

#[test]
fn a_proxy_that_is_away_is_told_from_the_store() {
    // It answers nothing and goes.
    let (proxy, thread) = proxy(drop);
    let gone = smol::block_on(proxy.dial("store.example", 443, DEADLINE)).err().unwrap();
    thread.join().unwrap();
    let text = error_chain(&gone);
    assert!(text.contains("did not answer as HTTP demands"), "{text}");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let away = smol::block_on(proxy_at(&closed).dial("store.example", 443, DEADLINE)).err().unwrap();
    let expected =
        format!("no way to store.example:443 through the proxy {closed}: failed to connect to {closed}: ");
    assert!(error_chain(&away).starts_with(&expected), "{}", error_chain(&away));
}
