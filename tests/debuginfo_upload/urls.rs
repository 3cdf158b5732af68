//! Where a server may not send the agent.

use crate::peer::Peer;
use crate::sender::{Sender, debug_file, order, peer_with_tls, tls, uploads};
use parca_agent::debuginfo::upload::failure::Remedy;
use parca_agent::store::channel::TlsOptions;
use serde_json::json;
use std::net::TcpListener;

const METADATA: &str = "https://169.254.169.254/latest/meta-data?signature=hidden";

#[test]
fn a_signed_url_leads_to_the_internet_or_the_store_and_nowhere_else() {
    let peer = Peer::start(&["--token", "secret"]);
    let sender = Sender::plain(&peer);
    // Whoever gets a connection here was found.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let urls = [
        METADATA.to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/shadow".to_owned(),
        "https://store@evil/hidden".to_owned(),
        format!("https://127.0.0.1@localhost:{port}/hidden"),
        // A name that leads to loopback, while the store is known as an address.
        format!("https://localhost:{port}/hidden"),
        format!("https://127.0.0.2:{port}/hidden"),
        format!("https://127.1:{port}/hidden"),
        format!("https://2130706433:{port}/hidden"),
        format!("https://0:{port}/hidden"),
        format!("https://[::1]:{port}/hidden"),
        format!("https://[::ffff:127.0.0.1]:{port}/hidden"),
        format!("https://[::ffff:169.254.169.254]:{port}/hidden"),
        "https://10.0.0.1/hidden".to_owned(),
        "https://100.100.100.200/hidden".to_owned(),
        "https://[fd00:ec2::254]/hidden".to_owned(),
        // Without TLS not even to the store.
        format!("http://127.0.0.1:{port}/hidden"),
        "hidden".to_owned(),
        String::new(),
    ];
    for (number, url) in (1..).zip(&urls) {
        order(&peer, json!({ "strategy": "signed_url", "signed_url": url }));
        let failure = sender.assert_fails(url, &debug_file(number, 1000), Remedy::Never, "forbidden_url");
        let shown = format!("{failure} {failure:?}");
        assert!(!shown.contains("hidden") && !shown.contains("secret"), "{shown}");
    }
    assert!(listener.accept().is_err(), "somebody came");
    assert!(uploads(&peer).iter().all(|upload| upload["finished"] == false));
}

#[test]
fn a_redirection_is_not_followed() {
    let peer = peer_with_tls(&[]);
    let sender = Sender::with_tls(&peer);
    let own = format!("https://{}/upload-1?signature=hidden", peer.put_address());
    for (number, to) in (1..).zip([METADATA, &own]) {
        order(&peer, json!({ "strategy": "signed_url", "put": { "redirect": to } }));
        let failure = sender.assert_fails(to, &debug_file(number, 1000), Remedy::Never, "forbidden_url");
        assert!(!format!("{failure:?}").contains("hidden"), "{failure:?}");
    }
    assert!(uploads(&peer).iter().all(|upload| upload["size"] == 0), "{:?}", uploads(&peer));
    peer.assert_no_violations();
}

#[test]
fn a_signed_url_leads_to_whom_it_names() {
    let store = peer_with_tls(&[]);
    order(&store, json!({ "strategy": "signed_url" }));
    let sender = |tls| Sender::new(&store, "127.0.0.1", Some(tls), None);
    sender(TlsOptions { believe_anyone: true, ..tls("other_ca.pem") }).upload(&debug_file(1, 1000)).unwrap();
    let absent = TlsOptions { authorities: Some("/does/not/exist".into()), ..tls("ca.pem") };
    sender(absent).assert_fails("no file", &debug_file(2, 1000), Remedy::Retry, "tls");
    // A store that is spoken to without TLS names no authority for its host.
    let plain = Peer::start(&[]);
    let url = format!("https://{}/upload-1?signature=hidden", store.put_address());
    order(&plain, json!({ "strategy": "signed_url", "signed_url": url }));
    let failure = Sender::plain(&plain).assert_fails("unknown", &debug_file(3, 1000), Remedy::Retry, "tls");
    assert!(!format!("{failure:?}").contains("hidden"), "{failure:?}");
    store.assert_no_violations();
}

#[test]
fn nobody_at_home_is_said_so() {
    let peer = peer_with_tls(&[]);
    let sender = Sender::with_tls(&peer);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (number, url) in
        (1..).zip([format!("https://{closed}/hidden"), "https://no.such.host.invalid/".to_owned()])
    {
        order(&peer, json!({ "strategy": "signed_url", "signed_url": url }));
        sender.assert_fails(&url, &debug_file(number, 1000), Remedy::Retry, "connect");
    }
}
