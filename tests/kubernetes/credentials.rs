//! Who the agent is, and whom it believes.

use crate::agent::{Agent, DEADLINE, EXECUTOR, QUICK, cluster, list, node, options, pod};
use crate::server::{Answer, Kind, Request, Server, certificate};
use parca_agent::discovery::kubernetes::{Pace, locate_with};
use parca_agent::discovery::status::State;
use std::ffi::OsString;
use std::fs;

/// What a server answers to whoever it knows.
fn all(request: &Request) -> Answer {
    match request.kind {
        Kind::Node => Answer::json(&node()),
        Kind::List => Answer::json(&list(10, "", &[pod("web", 7, &["aa"])])),
        Kind::Watch => Answer::quiet(),
    }
}

#[test]
fn a_token_that_was_renewed_is_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "old\n").unwrap();
    let renewed = path.clone();
    let server = Server::start(move |request| match request.authorization.as_str() {
        "Bearer new" => all(request),
        _ => {
            // The kubelet renews it just when it expires.
            fs::write(&renewed, "new\r\n").unwrap();
            Answer::status(401, "Unauthorized")
        }
    });
    let user = format!("tokenFile: {}", path.display());
    let cluster = cluster(&format!("server: http://127.0.0.1:{}", server.port), &user);
    // At once is without even the shortest pause.
    let pace = Pace { shortest_pause: 10 * DEADLINE, longest_pause: 10 * DEADLINE, ..QUICK };
    let agent = Agent::run(cluster, options(pace));
    agent.wait("the watch has begun", |agent| agent.state.watches() == 1);
    let tokens: Vec<_> = server.requests().into_iter().map(|request| request.authorization).collect();
    assert_eq!(tokens, ["Bearer old", "Bearer new", "Bearer new", "Bearer new"]);
    assert_eq!(agent.state.errors("unauthorized"), 1);
    // A certificate may have been renewed too, which is shown when a connection begins.
    let connections: Vec<_> = server.requests().into_iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 1, 1]);
}

#[test]
fn files_are_not_read_by_threads_that_others_wait_for() {
    let server = Server::start(all);
    // It holds the name of the thread that reads it.
    let user = "tokenFile: /proc/thread-self/comm";
    let agent =
        Agent::run(cluster(&format!("server: http://127.0.0.1:{}", server.port), user), options(QUICK));
    agent.wait("the watch has begun", |agent| agent.state.watches() == 1);
    for request in server.requests() {
        assert!(request.authorization.len() > "Bearer ".len());
        assert_ne!(request.authorization, format!("Bearer {EXECUTOR}"), "{:?}", request.kind);
    }
}

#[test]
fn a_token_that_expires_for_good_is_read_again_after_each_pause() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "old").unwrap();
    let server = Server::start(|request| match request.authorization.as_str() {
        "Bearer new" => all(request),
        _ => Answer::status(401, "Unauthorized"),
    });
    let user = format!("tokenFile: {}", path.display());
    let agent =
        Agent::run(cluster(&format!("server: http://127.0.0.1:{}", server.port), &user), options(QUICK));
    agent.wait("it was refused often", |agent| agent.state.errors("unauthorized") > 3);
    assert!(
        agent.last_error().contains("does not accept the agent's credentials (401)"),
        "{}",
        agent.last_error()
    );
    fs::remove_file(&path).unwrap();
    agent.wait("the token is missed", |agent| agent.state.errors("credential") > 0);
    assert!(agent.last_error().contains("the bearer token file"), "{}", agent.last_error());
    fs::write(&path, "").unwrap();
    agent.wait("an empty token is no token", |agent| agent.last_error().contains("is empty"));
    fs::write(&path, "new").unwrap();
    agent.wait_for("aa");
    assert!(!agent.last_error().contains("old"));
}

#[test]
fn a_pod_talks_to_its_cluster() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(certificate("ca.pem"), folder.path().join("ca.crt")).unwrap();
    fs::write(folder.path().join("token"), "of.the.pod\n").unwrap();
    let server = Server::start_tls(|request| match request.authorization.as_str() {
        "Bearer of.the.pod" => all(request),
        _ => Answer::status(401, "Unauthorized"),
    });
    let port = server.port.to_string();
    let variable = |name: &str| match name {
        "KUBERNETES_SERVICE_HOST" => Some(OsString::from("127.0.0.1")),
        "KUBERNETES_SERVICE_PORT" => Some(OsString::from(&port)),
        _ => None,
    };
    let cluster = locate_with(&options(QUICK), &variable, folder.path()).unwrap().unwrap();
    let agent = Agent::run(cluster, options(QUICK));
    agent.wait("the watch has begun", |agent| agent.state.watches() == 1);
    assert!(agent.knows("aa"));
}

#[test]
fn a_client_certificate_and_a_password_are_shown() {
    let server = Server::start_tls(|request| {
        // user:pass
        let is_known = request.has_certificate && request.authorization == "Basic dXNlcjpwYXNz";
        if is_known { all(request) } else { Answer::status(401, "Unauthorized") }
    });
    let agent = Agent::run(
        cluster(
            &format!(
                "server: https://localhost:{}/some/prefix/\ncertificate-authority: {}",
                server.port,
                certificate("ca.pem").display()
            ),
            &format!(
                "client-certificate: {}\nclient-key: {}\nusername: user\npassword: pass",
                certificate("client.pem").display(),
                certificate("client.key").display()
            ),
        ),
        options(QUICK),
    );
    agent.wait("the watch has begun", |agent| agent.state.watches() == 1);
    let requests = server.requests();
    assert!(
        requests.iter().all(|request| request.target.starts_with("/some/prefix/api/v1/")),
        "{requests:?}"
    );
}

#[test]
fn a_server_that_nobody_vouches_for_is_told_nothing() {
    let server = Server::start_tls(all);
    let cases = [
        (
            "127.0.0.1",
            format!("certificate-authority: {}", certificate("other_ca.pem").display()),
            "UnknownIssuer",
        ),
        (
            "127.0.0.1",
            format!(
                "certificate-authority: {}\ntls-server-name: k8s.example",
                certificate("ca.pem").display()
            ),
            "not valid for name",
        ),
        ("127.0.0.1", String::from("certificate-authority: /none/ca.pem"), "certificate authority file"),
    ];
    for (host, more, expected) in cases {
        let agent = Agent::run(
            cluster(&format!("server: https://{host}:{}\n{more}", server.port), "token: abc"),
            options(QUICK),
        );
        agent.wait("it is refused", |agent| agent.state.errors("tls") > 1);
        assert!(agent.is(State::Failing) && agent.last_error().contains(expected), "{}", agent.last_error());
    }
    assert_eq!(server.requests().len(), 0);
    let anyone = format!("server: https://127.0.0.1:{}\ninsecure-skip-tls-verify: true", server.port);
    Agent::run(cluster(&anyone, "token: abc"), options(QUICK)).wait_for("aa");
}
