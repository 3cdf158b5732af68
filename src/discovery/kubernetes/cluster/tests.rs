use super::{Cluster, ClusterError, EncryptionError, is_loopback, is_node_name, locate_with};
use crate::discovery::kubernetes::{Options, Pace};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

fn options(kubeconfig: Option<PathBuf>) -> Options {
    Options { node: "n1".to_owned(), label_selector: String::new(), kubeconfig, pace: Pace::default() }
}

fn locate(
    kubeconfig: Option<PathBuf>,
    environment: &[(&str, &str)],
) -> Result<Option<Cluster>, ClusterError> {
    let variable =
        |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
    locate_with(&options(kubeconfig), &variable, Path::new("/account"))
}

/// A kubeconfig with one cluster and one user, as lines below them.
fn config(cluster: &str, user: &str) -> String {
    let indent = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         contexts:\n- name: here\n  context:\n    cluster: c\n    user: u\n\
         clusters:\n- name: c\n  cluster:\n{}users:\n- name: u\n  user:\n{}",
        indent(cluster),
        indent(user)
    )
}

fn from_text(text: &str) -> Result<Cluster, ClusterError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, text).unwrap();
    locate(Some(path), &[]).map(Option::unwrap)
}

fn from_entries(cluster: &str, user: &str) -> Result<Cluster, ClusterError> {
    from_text(&config(cluster, user))
}

/// What a request would be authorized by.
fn authorization(cluster: &Cluster) -> Option<String> {
    let value = cluster.credential.authorization().unwrap();
    value.map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn without_a_cluster_there_is_none_and_no_error() {
    let environments: [&[(&str, &str)]; 4] = [
        &[],
        &[("KUBECONFIG", "")],
        &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
        &[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "")],
    ];
    for environment in environments {
        assert!(locate(None, environment).unwrap().is_none(), "{environment:?}");
    }
}

#[test]
fn a_pod_is_told_where_its_cluster_is() {
    let cases = [("10.0.0.1", "443", "https://10.0.0.1:443"), ("fd00::1", "6443", "https://[fd00::1]:6443")];
    for (host, port, expected) in cases {
        let environment = [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)];
        let cluster = locate(None, &environment).unwrap().unwrap();
        assert_eq!(cluster.to_string(), expected);
        let error = cluster.credential.authorization().unwrap_err().to_string();
        assert!(error.starts_with("the bearer token file \"/account/token\" cannot be read"), "{error}");
        let error = cluster.encryption.unwrap().prepare().err().unwrap().to_string();
        assert!(
            error.starts_with("the certificate authority file \"/account/ca.crt\" cannot be read"),
            "{error}"
        );
    }
    for (host, port) in [("a b", "443"), ("10.0.0.1", "0"), ("10.0.0.1", "x"), ("10.0.0.1", "70000")] {
        let environment = [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)];
        assert!(matches!(locate(None, &environment), Err(ClusterError::Variable { .. })), "{host} {port}");
    }
}

#[test]
fn a_file_counts_before_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, host: &str| {
        let path = folder.path().join(name);
        fs::write(&path, config(&format!("server: https://{host}"), "token: abc")).unwrap();
        path
    };
    let (first, second) = (write("first", "first"), write("second", "second"));
    let names = second.to_str().unwrap();
    let environment =
        [("KUBECONFIG", names), ("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];
    let host = |kubeconfig, environment: &[_]| locate(kubeconfig, environment).unwrap().unwrap().host;
    assert_eq!(host(Some(first), &environment), "first");
    assert_eq!(host(None, &environment), "second");
    assert_eq!(host(None, &environment[1..]), "10.0.0.1");
}

#[test]
fn files_are_merged_and_those_that_are_missing_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(path("sub/token"), "from-sub\n").unwrap();
    fs::write(
        path("context"),
        "current-context: here\ncontexts:\n- name: here\n  context: {cluster: c, user: u}\n",
    )
    .unwrap();
    fs::write(path("sub/rest"), config("server: https://merged", "tokenFile: token")).unwrap();
    let list = ["", &path("missing"), &path("context"), &path("sub/rest")].join(":");
    let cluster = locate(None, &[("KUBECONFIG", &list)]).unwrap().unwrap();
    assert_eq!(cluster.host, "merged");
    assert_eq!(authorization(&cluster).unwrap(), "Bearer from-sub", "relative to its own file");
    let error = locate(None, &[("KUBECONFIG", &path("missing"))]).unwrap_err();
    assert!(matches!(error, ClusterError::NoFile(_)), "{error}");
    let error = locate(Some(path("missing").into()), &[]).unwrap_err().to_string();
    assert!(error.contains("missing\" cannot be read"), "{error}");
}

#[test]
fn servers() {
    let cases = [
        ("https://k8s.example", "https://k8s.example:443", ""),
        ("https://[fd00::1]:6443/", "https://[fd00::1]:6443", ""),
        (
            "https://r.example/k8s/clusters/c-1/",
            "https://r.example:443/k8s/clusters/c-1",
            "/k8s/clusters/c-1",
        ),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001", ""),
    ];
    for (server, expected, prefix) in cases {
        let cluster = from_entries(&format!("server: {server}"), "token: abc").unwrap();
        assert_eq!((cluster.to_string().as_str(), cluster.prefix.as_str()), (expected, prefix));
    }
    for (server, problem) in [
        ("", "\"\" says nothing"),
        ("k8s.example:6443", "must begin with https:// or http://"),
        ("ftp://k8s.example", "must begin with https:// or http://"),
        ("https://user:secret@k8s.example", "\"k8s.example\" may hold a host, a port and a path only"),
        ("https://secret@k8s.example/a", "\"k8s.example/a\" may hold a host, a port and a path only"),
        ("https://user:se/cret@k8s.example", "\"k8s.example\" has no valid port"),
        ("https://user:secret@secret@k8s.example", "\"k8s.example\" may hold a host"),
        (
            "https://k8s.example/?token=secret",
            "\"https://k8s.example/?\" may hold a host, a port and a path only",
        ),
        ("https://:443", "names no host"),
        ("'https://a b'", "is no URL"),
        ("https://k8s.example:64430000", "has no valid port"),
        ("https://k8s.example:65536", "has no valid port"),
        ("'https://k8s.example:'", "has no valid port"),
        ("https://k8s.example:0/", "has no valid port"),
        ("https://k8s.example:+443", "has no valid port"),
        ("'https://[fd00::1]:'", "has no valid port"),
        ("http://k8s.example:64430000", "has no valid port"),
    ] {
        let error = from_entries(&format!("server: {server}"), "token: abc").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("secret") && !shown.contains("cret@"), "{server}: {shown}");
        let error = error.to_string();
        assert!(error.contains("cluster \"c\"") && error.contains(problem), "{server}: {error}");
    }
}

#[test]
fn proofs_of_who_the_agent_is() {
    let server = "server: https://k8s.example";
    let cases = [
        ("{}", None),
        ("token: abc", Some("Bearer abc")),
        ("username: a\npassword: b", Some("Basic YTpi")),
        ("token: abc\nusername: a\npassword: b", Some("Bearer abc")),
        ("token: ''\nusername: a", Some("Basic YTo=")),
    ];
    for (user, expected) in cases {
        let cluster = from_entries(server, user).unwrap();
        assert_eq!(authorization(&cluster).as_deref(), expected, "{user}");
    }
}

#[test]
fn certificates_are_given_or_in_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/certificates");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let data = |name: &str| {
        let bytes = k8s_openapi::ByteString(fs::read(folder.join(name)).unwrap());
        serde_json::to_value(bytes).unwrap().as_str().unwrap().to_owned()
    };
    let server = "server: https://k8s.example\ntls-server-name: localhost";
    let cases = [
        (
            format!("{server}\ncertificate-authority: {}", path("ca.pem")),
            format!("client-certificate: {}\nclient-key: {}", path("client.pem"), path("client.key")),
        ),
        (
            // Data counts before files.
            format!("{server}\ncertificate-authority-data: {}\ncertificate-authority: /none", data("ca.pem")),
            format!(
                "client-certificate-data: {}\nclient-key-data: {}",
                data("client.pem"),
                data("client.key")
            ),
        ),
        (format!("{server}\ninsecure-skip-tls-verify: true"), "token: abc".to_owned()),
    ];
    for (cluster, user) in cases {
        let cluster = from_entries(&cluster, &user).unwrap();
        assert_eq!(cluster.believes_anyone(), user.starts_with("token"));
        let encryption = cluster.encryption.unwrap();
        assert_eq!(encryption.server_name, "localhost");
        assert_eq!(encryption.identity.is_some(), user.starts_with("client"));
        assert!(encryption.prepare().is_ok());
    }
    let cluster = from_entries(&format!("{server}\ncertificate-authority: /none"), "{}").unwrap();
    let error = cluster.encryption.unwrap().prepare().err().unwrap();
    assert!(matches!(error, EncryptionError::File { what: "certificate authority", .. }), "{error}");
}

#[test]
fn what_the_agent_does_not_follow_is_refused_by_name() {
    let server = "server: https://k8s.example";
    let cases = [
        (
            "",
            "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: aws",
            "user \"u\"",
            "exec plugins",
        ),
        ("", "auth-provider:\n  name: gcp", "user \"u\"", "auth-provider"),
        ("", "as: admin\ntoken: abc", "user \"u\"", "acting as another user"),
        ("", "client-certificate: /c", "user \"u\"", "without client-key"),
        ("", "client-key: /k", "user \"u\"", "without client-certificate"),
        ("", "client-key-data: '%%%'\nclient-certificate: /c", "user \"u\"", "client-key-data is not base64"),
        ("\nproxy-url: http://proxy", "token: abc", "cluster \"c\"", "proxy-url"),
        (
            "\ncertificate-authority-data: '***'",
            "{}",
            "cluster \"c\"",
            "certificate-authority-data is not base64",
        ),
        (
            "\ncertificate-authority: /c\ninsecure-skip-tls-verify: true",
            "{}",
            "cluster \"c\"",
            "makes no sense",
        ),
    ];
    for (more, user, entry, problem) in cases {
        let error = from_entries(&format!("{server}{more}"), user).unwrap_err().to_string();
        assert!(error.contains(entry) && error.contains(problem), "{user}: {error}");
        assert!(!error.contains("%%%"), "{error}");
    }
}

#[test]
fn entries_that_are_missing_are_named() {
    let whole = config("server: https://k8s.example", "token: abc");
    let cases = [
        (whole.replace("current-context: here\n", ""), "sets no current-context"),
        (whole.replace("current-context: here", "current-context: there"), "no context \"there\""),
        (whole.replace("cluster: c\n", "cluster: d\n"), "no cluster \"d\""),
        (whole.replace("user: u\n", "user: v\n"), "no user \"v\""),
        (String::from("# nothing\n"), "sets no current-context"),
    ];
    for (text, expected) in cases {
        let error = from_text(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let anonymous = from_text(&whole.replace("    user: u\n", "")).unwrap();
    assert_eq!(authorization(&anonymous), None);
}

#[test]
fn a_file_that_is_no_kubeconfig_is_not_shown() {
    let cases = [
        "users:\n- name: u\n  user:\n    token: top-secret\n   bad: [",
        "clusters: top-secret\n",
        "\u{0}top-secret",
        "top-secret",
        "&a [*a, top-secret]",
    ];
    for text in cases {
        let error = from_text(text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("top-secret"), "{shown}");
        assert!(matches!(error, ClusterError::Syntax { .. }), "{text:?}: {error}");
    }
    // An odd number of bytes of UTF-16 makes kube's own reader panic.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, b"\xff\xfea").unwrap();
    assert!(matches!(locate(Some(path), &[]), Err(ClusterError::File(_))));
}

#[test]
fn secrets_are_sent_in_plain_text_to_this_host_only() {
    for (server, user, allowed) in [
        ("http://localhost:8080", "token: abc", true),
        ("http://[::1]:8080", "token: abc", true),
        ("http://127.9.9.9", "username: a", true),
        ("http://10.0.0.1:8080", "token: abc", false),
        ("http://10.0.0.1:8080", "tokenFile: /t", false),
        ("http://localhost.example", "username: a", false),
        ("http://10.0.0.1:8080", "{}", true),
    ] {
        let result = from_entries(&format!("server: {server}"), user);
        assert_eq!(result.is_ok(), allowed, "{server} {user}: {result:?}");
        assert!(matches!(result, Ok(_) | Err(ClusterError::PlainSecret { .. })));
    }
    assert!(!is_loopback("127.0.0.1.example"));
}

#[test]
fn names_of_nodes() {
    for (name, valid) in [
        ("n1", true),
        ("ip-10-0-0-1.eu-west-1.compute.internal", true),
        ("", false),
        ("N1", false),
        ("a,metadata.name=b", false),
        ("a/../b", false),
    ] {
        assert_eq!(is_node_name(name), valid, "{name}");
    }
}

#[test]
fn debug_output_shows_no_secret() {
    let cluster = from_entries(
        "server: https://k8s.example",
        "client-key-data: dG9wLXNlY3JldA==\nclient-certificate: /c\ntoken: top-secret",
    )
    .unwrap();
    let shown = format!("{cluster:?}");
    assert!(
        shown.contains("k8s.example") && !shown.contains("top-secret") && !shown.contains("dG9w"),
        "{shown}"
    );
}
