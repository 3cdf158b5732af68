//! Who the store is, and who the agent is.

use crate::account::{NO_UPLOADS, PATIENCE, assert_balance, parts, start};
use crate::common::agent::{Agent, refused};
use crate::common::peer::Peer;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use crate::names::Names;
use std::fs;
use std::path::Path;

/// A file of a certificate or key: an authority, what it vouches for, and another authority.
pub(crate) fn certificate(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/certificates").join(name).display().to_string()
}

fn start_with_tls(peer: &Peer, flags: &[String]) -> Agent {
    let address = format!("--store-address=localhost:{}", peer.address().port());
    let own = ["--profiling-duration=1s", "--store-batch-interval=1s", NO_UPLOADS, &address];
    let flags: Vec<&str> = own.into_iter().chain(flags.iter().map(String::as_str)).collect();
    Agent::start(&flags)
}

#[test]
fn the_store_is_known_by_its_certificate_and_the_agent_by_its_own() {
    let flag = |name: &str, file: &str| format!("--{name}={}", certificate(file));
    let server = [("--tls-cert", "server.pem"), ("--tls-key", "server.key"), ("--client-ca", "ca.pem")];
    let server: Vec<_> =
        server.iter().flat_map(|(flag, file)| [(*flag).to_owned(), certificate(file)]).collect();
    let peer = Peer::start(&server.iter().map(String::as_str).collect::<Vec<_>>());
    let _program = Program::start("chain", unique("busy"), &[]);
    let identity = [flag("store-client-certificate", "client.pem"), flag("store-client-key", "client.key")];

    let known = [identity.as_slice(), &[flag("store-ca-file", "ca.pem")]].concat();
    let agent = start_with_tls(&peer, &known);
    eventually("profiles arrive", PATIENCE, || parts(&agent)[0] > 100.0);
    agent.stop();

    let believed = [identity.as_slice(), &["--insecure-skip-verify".to_owned()]].concat();
    let agent = start_with_tls(&peer, &believed);
    eventually("profiles arrive", PATIENCE, || parts(&agent)[0] > 100.0);
    let log = agent.stop();
    assert!(log.iter().any(|line| line.contains("level=warn") && line.contains("skip-verify")), "{log:#?}");

    let strangers = [
        (
            "an authority that did not vouch for it",
            [identity.as_slice(), &[flag("store-ca-file", "other_ca.pem")]].concat(),
        ),
        ("the host's own authorities", identity.to_vec()),
        ("no certificate of the agent's", vec![flag("store-ca-file", "ca.pem")]),
        ("a file that is not there", vec![flag("store-ca-file", "none.pem")]),
    ];
    for (case, flags) in strangers {
        let before = peer.samples();
        let agent = start_with_tls(&peer, &flags);
        eventually(case, PATIENCE, || {
            agent.metrics().value("store_up") == 0.0 && agent.metrics().sum("store_requests_total") >= 1.0
        });
        assert_balance(&agent);
        assert_eq!((parts(&agent)[0], peer.samples()), (0.0, before), "{case}");
        agent.stop();
    }
}

/// Nobody but the store itself vouches for it, if at all.
#[test]
fn a_certificate_that_is_not_the_stores_or_has_ended_is_none() {
    let _program = Program::start("chain", unique("busy"), &[]);
    let own = |chain: &str| {
        Peer::start(&["--tls-cert", &certificate(chain), "--tls-key", &certificate("self_signed.key")])
    };
    let (good, expired) = (own("self_signed.pem"), own("expired.pem"));
    let vouched =
        Peer::start(&["--tls-cert", &certificate("server.pem"), "--tls-key", &certificate("server.key")]);
    let names = Names::new();
    names.set(&[("127.0.0.1", "store.test")]);
    let launcher = names.launcher(&[]);
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    for (peer, authority, reason) in [
        (&good, "self_signed.pem", None),
        (&good, "ca.pem", Some("UnknownIssuer")),
        (&expired, "expired.pem", Some("certificate expired")),
        (&vouched, "ca.pem", Some("certificate not valid for name")),
    ] {
        let address = format!("--store-address=store.test:{}", peer.address().port());
        let authority = format!("--store-ca-file={}", certificate(authority));
        let flags =
            ["--profiling-duration=1s", "--store-batch-interval=1s", NO_UPLOADS, &address, &authority];
        let agent = Agent::start_by(&launcher, &flags);
        let Some(reason) = reason else {
            eventually("who is its own authority is believed", PATIENCE, || parts(&agent)[0] > 100.0);
            agent.stop();
            continue;
        };
        eventually(reason, PATIENCE, || {
            agent.log().iter().any(|line| line.contains("does not take profiles") && line.contains(reason))
        });
        assert!(agent.metrics().value("store_requests_total{result=\"tls\"}") >= 1.0);
        assert_balance(&agent);
        assert_eq!((parts(&agent)[0], parts(&agent)[2]), (0.0, 0.0), "{reason}");
        agent.stop();
    }
}

#[test]
fn a_token_is_sent_and_read_again_when_it_was_refused_or_its_file_changes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "old\n").unwrap();
    let peer = Peer::start(&["--token", "new"]);
    let _program = Program::start("chain", unique("busy"), &[]);
    let agent = start(&peer, &[&format!("--bearer-token-file={}", file.display())]);
    eventually("the store refuses the agent", PATIENCE, || {
        agent
            .log()
            .iter()
            .any(|line| line.contains("does not take profiles") && line.contains("Unauthenticated"))
    });
    // As a cluster gives a pod a new one.
    replace(&file, "new\n");
    eventually("profiles arrive", PATIENCE, || parts(&agent)[0] > 100.0);
    assert_balance(&agent);
    assert_eq!(parts(&agent)[2], 0.0);
    let log = agent.stop();
    assert!(!log.iter().any(|line| line.contains("old") || line.contains("Bearer")), "{log:#?}");
}

fn replace(file: &Path, text: &str) {
    let next = file.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(&next, file).unwrap();
}

#[test]
fn a_token_goes_to_no_other_host_in_plaintext_and_is_given_once() {
    for (flags, reason) in [
        (vec!["--store-address=store.example:7070", "--insecure", "--bearer-token=abc"], "without TLS"),
        (vec!["--store-address=192.0.2.1:7070", "--insecure", "--bearer-token=abc"], "without TLS"),
        (vec!["--store-address=[2001:db8::1]:7070", "--insecure", "--bearer-token-file=/x"], "without TLS"),
        (vec!["--store-address=localhost:7070", "--bearer-token=abc", "--bearer-token-file=/x"], "both set"),
        (vec!["--store-address=localhost:7070", "--store-client-key=/x"], "go together"),
    ] {
        let refused = refused(&flags);
        assert_eq!(refused.code, Some(78), "{}", refused.error);
        assert!(refused.error.contains(reason) && !refused.error.contains("abc"), "{}", refused.error);
    }
}
