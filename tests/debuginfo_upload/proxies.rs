//! Signed URLs where a proxy leads to the world.

use crate::peer::Peer;
use crate::proxy::{Manner, Proxy};
use crate::sender::{Sender, debug_file, order, peer_with_tls, uploads};
use parca_agent::debuginfo::upload::Way;
use parca_agent::debuginfo::upload::failure::Remedy;
use serde_json::json;

/// A name that nobody can look up here, so that no connection to it is made directly.
const HOST: &str = "store.invalid";

/// A server, a proxy that leads to its gRPC, and one that leads to where its signed URLs do.
fn start(manner: Manner) -> (Peer, Proxy, Proxy) {
    let peer = peer_with_tls(&[]);
    let to_store = Proxy::start(peer.address(), Manner::Connect);
    let to_storage = Proxy::start(peer.put_address(), manner);
    (peer, to_store, to_storage)
}

fn url(proxy: &Proxy, user: &str) -> String {
    format!("http://{user}{}", proxy.address())
}

#[test]
fn a_signed_url_goes_through_the_proxy_of_its_host() {
    let (peer, to_store, to_storage) = start(Manner::Connect);
    let variables = [("https_proxy", &*url(&to_storage, "user:pass%2Fword@"))];
    let sender = Sender::in_environment(HOST, &variables, &url(&to_store, ""));
    let signed = format!("https://{HOST}:8443/upload-1?signature=hidden");
    order(&peer, json!({ "strategy": "signed_url", "signed_url": signed }));
    assert_eq!(sender.upload(&debug_file(1, 3 << 20)).unwrap().way, Way::SignedUrl);
    assert_eq!(uploads(&peer).pop().unwrap()["finished"], true);
    peer.assert_no_violations();
    let asked = to_storage.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].starts_with(&format!("CONNECT {HOST}:8443 HTTP/1.1\r\n")), "{asked:?}");
    // What is "user:pass/word".
    assert!(asked[0].contains("Proxy-Authorization: Basic dXNlcjpwYXNzL3dvcmQ=\r\n"), "{asked:?}");
    assert!(!asked[0].contains("hidden") && !asked[0].contains("Bearer"), "{asked:?}");
}

#[test]
fn a_proxy_that_leads_nowhere_is_named_and_tried_again() {
    for manner in [Manner::Refuse("407 Proxy Authentication Required"), Manner::Refuse("502 Bad Gateway")] {
        let (peer, to_store, to_storage) = start(manner);
        let variables = [("https_proxy", &*url(&to_storage, "user:secret@"))];
        let sender = Sender::in_environment(HOST, &variables, &url(&to_store, ""));
        order(&peer, json!({ "strategy": "signed_url", "signed_url": format!("https://{HOST}/hidden") }));
        let failure = sender.assert_fails("refused", &debug_file(1, 1000), Remedy::Retry, "proxy");
        let shown = format!("{failure} {failure:?}");
        assert!(shown.contains(&to_storage.address().to_string()), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("hidden"), "{shown}");
    }
    let (peer, to_store, _) = start(Manner::Connect);
    for (number, variable) in
        (1..).zip(["http://127.0.0.1:9", "socks5://127.0.0.1:9", "http://proxy.invalid:9"])
    {
        let sender = Sender::in_environment(HOST, &[("https_proxy", variable)], &url(&to_store, ""));
        order(&peer, json!({ "strategy": "signed_url", "signed_url": format!("https://{HOST}/hidden") }));
        sender.assert_fails(variable, &debug_file(number, 1000), Remedy::Retry, "proxy");
    }
}

#[test]
fn who_needs_no_proxy_is_reached_directly() {
    let (peer, to_store, to_storage) = start(Manner::Connect);
    let variables = [("https_proxy", &*url(&to_storage, "")), ("no_proxy", HOST)];
    let sender = Sender::in_environment(HOST, &variables, &url(&to_store, ""));
    order(&peer, json!({ "strategy": "signed_url", "signed_url": format!("https://{HOST}/hidden") }));
    sender.assert_fails("nobody knows it", &debug_file(1, 1000), Remedy::Retry, "connect");
    assert_eq!(to_storage.asked(), [""; 0]);
}

#[test]
fn a_proxy_is_not_asked_for_what_a_signed_url_may_not_lead_to() {
    let (peer, to_store, to_storage) = start(Manner::Connect);
    let sender =
        Sender::in_environment(HOST, &[("https_proxy", &*url(&to_storage, ""))], &url(&to_store, ""));
    let hosts = [
        "169.254.169.254",
        "168.63.129.16",
        "10.0.0.1",
        "127.0.0.1",
        "[::1]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "2852039166",
        "0xa9fea9fe",
        "0",
        "127.1",
        "localhost",
        "a.localhost",
    ];
    for (number, host) in (1..).zip(hosts) {
        order(&peer, json!({ "strategy": "signed_url", "signed_url": format!("https://{host}/hidden") }));
        sender.assert_fails(host, &debug_file(number, 1000), Remedy::Never, "forbidden_url");
    }
    assert_eq!(to_storage.asked(), [""; 0]);
}
