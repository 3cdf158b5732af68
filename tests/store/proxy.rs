//! A store behind a proxy.

use crate::account::{NO_UPLOADS, PATIENCE, assert_arrived, assert_balance, parts};
use crate::common::agent::{Agent, refused_by};
use crate::common::peer::Peer;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use crate::common::proxy::{Manner, Proxy};
use crate::credentials::certificate;
use crate::names::Names;
use std::net::TcpListener;

/// What the tests' agents have in common: a store that only the proxy finds.
const FLAGS: [&str; 4] =
    ["--profiling-duration=1s", "--store-batch-interval=1s", NO_UPLOADS, "--store-address=store.test:7070"];

fn failed_requests(agent: &Agent) -> f64 {
    agent.metrics().value("store_requests_total{result=\"proxy\"}")
}

#[test]
fn a_proxy_leads_to_a_store_with_and_without_tls_once_it_wants_to() {
    let _program = Program::start("chain", unique("busy"), &[]);
    let (chain, key) = (certificate("self_signed.pem"), certificate("self_signed.key"));
    let ca_file = format!("--store-ca-file={chain}");
    let with_tls = (Peer::start(&["--tls-cert", &chain, "--tls-key", &key]), "https_proxy", ca_file.as_str());
    let without_tls = (Peer::start(&[]), "http_proxy", "--insecure");
    for (peer, variable, flag) in [with_tls, without_tls] {
        let proxy = Proxy::start(peer.address(), Manner::Refuse("407 Proxy Authentication Required"));
        let environment = format!("{variable}=http://Aladdin:open%20sesame@{}", proxy.address());
        let agent = Agent::start_by(&["env", &environment], &[&FLAGS[..], &[flag]].concat());
        for (manner, reason) in [
            (None, "refuses to connect to store.test:7070: 407 Proxy Authentication Required"),
            (Some(Manner::Refuse("403 Forbidden")), "refuses to connect to store.test:7070: 403 Forbidden"),
            (Some(Manner::HangUp), "no way to store.test:7070 through the proxy"),
        ] {
            manner.into_iter().for_each(|manner| proxy.behave(manner));
            eventually(reason, PATIENCE, || agent.log().iter().any(|line| line.contains(reason)));
            assert_eq!(agent.metrics().value("store_up"), 0.0);
            assert_balance(&agent);
        }
        assert!(failed_requests(&agent) >= 3.0);
        proxy.behave(Manner::Connect);
        eventually("profiles arrive", PATIENCE * 2, || parts(&agent)[0] > 100.0);
        // As a proxy does when it is restarted.
        let before = parts(&agent)[0];
        proxy.behave(Manner::Connect);
        eventually("profiles arrive again", PATIENCE, || parts(&agent)[0] > before + 100.0);
        assert_balance(&agent);
        assert_arrived(&agent, &peer);
        assert_eq!(parts(&agent)[2], 0.0, "nothing was lost");
        for head in proxy.asked() {
            let head = head.to_ascii_lowercase();
            assert!(head.starts_with("connect store.test:7070 http/1.1\r\n"), "{head}");
            assert!(
                head.contains("\r\nproxy-authorization: basic qwxhzgrpbjpvcgvuihnlc2ftzq==\r\n"),
                "{head}"
            );
        }
        let log = agent.stop();
        let told = format!("proxy={}", proxy.address());
        assert_eq!(log.iter().filter(|line| line.contains(&told)).count(), 1, "{log:#?}");
        let secrets = ["sesame", "Aladdin", "QWxhZGRpbj"];
        assert!(!log.iter().any(|line| secrets.iter().any(|secret| line.contains(secret))), "{log:#?}");
    }
}

#[test]
fn who_needs_no_proxy_is_reached_while_it_is_down() {
    let _program = Program::start("chain", unique("busy"), &[]);
    let peer = Peer::start(&[]);
    let down = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let variables = ["http_proxy", "https_proxy", "all_proxy"].map(|name| format!("{name}=http://{down}"));
    let launcher: Vec<&str> = ["env"].into_iter().chain(variables.iter().map(String::as_str)).collect();
    let address = format!("--store-address={}", peer.address());
    let own = ["--insecure", "--profiling-duration=1s", "--store-batch-interval=1s", NO_UPLOADS];

    let local = Agent::start_by(&launcher, &[&own[..], &[&address]].concat());
    eventually("profiles arrive on this machine", PATIENCE, || parts(&local)[0] > 100.0);
    assert_balance(&local);
    local.stop();

    let names = Names::new();
    names.set(&[("127.0.0.1", "store.test")]);
    let address = format!("--store-address=store.test:{}", peer.address().port());
    let launcher = names.launcher(&launcher);
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    let flags = [&own[..], &[&address]].concat();

    let agent = Agent::start_by(&launcher, &flags);
    eventually("the proxy is down", PATIENCE, || failed_requests(&agent) >= 1.0);
    assert_balance(&agent);
    assert_eq!(parts(&agent)[0], 0.0);
    agent.stop();

    let exempt = [&launcher[..], &["env", "NO_PROXY=other.example, .test"]].concat();
    let agent = Agent::start_by(&exempt, &flags);
    eventually("profiles arrive directly", PATIENCE, || parts(&agent)[0] > 100.0);
    assert_balance(&agent);
    assert_eq!(failed_requests(&agent), 0.0);
    agent.stop();
}

#[test]
fn a_proxy_that_the_agent_does_not_know_is_refused_by_the_variables_name() {
    for (variable, value, flag, reason) in [
        ("HTTPS_PROXY", "https://u:secret@p:1", "", "HTTPS_PROXY names a proxy of https://"),
        ("all_proxy", "socks5://u:secret@p:1", "", "all_proxy names a proxy of socks5://"),
        ("http_proxy", "http://u:secret@p:x", "--insecure", "http_proxy is not the URL of a proxy"),
    ] {
        let environment = format!("{variable}={value}");
        let flags: Vec<&str> =
            FLAGS.into_iter().chain([flag].into_iter().filter(|flag| !flag.is_empty())).collect();
        let refused = refused_by(&["env", &environment], &flags);
        assert_eq!(refused.code, Some(78), "{}", refused.error);
        assert!(refused.error.contains(reason) && !refused.error.contains("secret"), "{}", refused.error);
    }
}
