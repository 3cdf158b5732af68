//! Which part of the agent may use which outside crate: each has one door.

use super::Finding;
use super::path::{self, NamedPath};
use super::source::Source;

/// A crate, and the folders or files that may use it.
const DOORS: &[(&str, &[&str])] = &[
    ("argh", &["src/cli.rs", "src/cli"]),
    ("aya", &["src/sample"]),
    ("base64", &["src/net/proxy.rs"]),
    ("crc32fast", &["src/debuginfo"]),
    ("futures_rustls", &["src/net"]),
    ("gimli", &["src/unwind"]),
    ("k8s_openapi", &["src/discovery/kubernetes"]),
    ("kube", &["src/discovery/kubernetes"]),
    ("md5", &["src/relabel"]),
    ("object", &["src/worker"]),
    (
        "prost",
        &[
            "src/debuginfo",
            "src/discovery/runtime",
            "src/net/grpc.rs",
            "src/net/grpc",
            "src/pprof",
            "src/store",
        ],
    ),
    ("rustls_native_certs", &["src/net"]),
    ("seccompiler", &["src/worker"]),
    ("secrecy", &["src/discovery/kubernetes"]),
    ("tiny_http", &["src/http"]),
    ("toml", &["src/config"]),
    ("tonic", &["src/net/grpc.rs", "src/net/grpc", "src/store"]),
    ("ureq", &["src/debuginfo/upload/signed_url"]),
    ("webpki_roots", &["src/net"]),
    ("zbus", &["src/discovery/systemd"]),
];

/// Objects to uses of a crate outside its door.
pub(super) fn check(source: &Source, paths: &[NamedPath]) -> Vec<Finding> {
    if !source.path.starts_with("src") || source.is_test() {
        return Vec::new();
    }
    let local = path::local_names(source, paths);
    let outside = paths.iter().filter_map(|path| {
        let name = path.segments.first()?;
        let (_, doors) = DOORS.iter().find(|(crate_name, _)| crate_name == name)?;
        let is_module = !path.global && local.contains(name);
        let allowed = is_module || doors.iter().any(|door| source.path.starts_with(door));
        (!allowed).then(|| {
            let message = format!("crate {name} is used in {} only", doors.join(", "));
            Finding::new(&source.path, path.line, message)
        })
    });
    outside.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_crate_is_used_behind_its_door_only() {
        let cases = [
            ("src/sample/maps.rs", "use aya::maps::RingBuf;", 0),
            ("src/http/mod.rs", "use aya::maps::RingBuf;", 1),
            ("src/http/mod.rs", "fn a() { toml::from_str(b) }", 1),
            ("src/cli.rs", "use argh::FromArgs;", 0),
            ("src/cli/flag.rs", "use argh::FromArgs;", 0),
            ("src/client.rs", "use argh::FromArgs;", 1),
            ("src/profile/mod.rs", "#[derive(prost::Message)] struct A;", 1),
            ("src/profile/mod.rs", "#[cfg(test)] mod tests { use prost::Message; }", 0),
            ("xtask/src/main.rs", "use argh::FromArgs;", 0),
            ("tests/pprof.rs", "use prost::Message;", 0),
        ];
        for (path, text, expected) in cases {
            let source = Source::new(Path::new(path), text);
            assert_eq!(check(&source, &path::paths(&source)).len(), expected, "{path}: {text}");
        }
    }

    #[test]
    fn a_module_of_the_same_name_is_no_crate() {
        let cases = [
            ("use crate::object; fn a() { object::b() }", 0),
            ("use crate::{label, object}; fn a() { object::b() }", 0),
            ("mod object; use object::A;", 0),
            ("use object::A;", 1),
            ("use crate::object; use ::object::A;", 1),
        ];
        for (text, expected) in cases {
            let source = Source::new(Path::new("src/profile/mod.rs"), text);
            assert_eq!(check(&source, &path::paths(&source)).len(), expected, "{text}");
        }
    }
}
