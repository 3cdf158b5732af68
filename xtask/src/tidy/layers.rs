//! Which top-level module of the agent may import which.

use std::path::Path;

use super::Finding;
use super::path::NamedPath;
use super::source::Source;

/// Modules that know nothing of profiling. Each may import those before it, every other module all.
const BASE: &[&str] = &[
    "text",
    "choice",
    "exit",
    "glob",
    "address",
    "label",
    "token",
    "relabel",
    "metrics",
    "backoff",
    "disk",
    "shutdown",
    "log",
    "sys",
    "own_usage",
    "net",
];

/// What else a module may import, from low to high.
const LAYERS: &[(&str, &[&str])] = &[
    ("object", &[]),
    ("process", &["object"]),
    ("symbolize", &["object", "process"]),
    ("unwind", &["object"]),
    ("worker", &["object", "unwind"]),
    ("sample", &["object", "process", "unwind"]),
    ("discovery", &["object", "process"]),
    ("profile", &["object", "process", "symbolize", "sample", "discovery"]),
    ("pprof", &["object", "process", "symbolize", "discovery", "profile"]),
    ("local_store", &["profile", "pprof"]),
    ("store", &["profile", "pprof"]),
    ("debuginfo", &["object", "process", "worker", "profile", "store"]),
    ("collector", &["object", "process", "symbolize", "unwind", "worker", "sample", "discovery", "profile"]),
    ("http", &["object", "process", "symbolize", "unwind", "discovery", "profile", "pprof", "store"]),
    ("config", &[]),
    ("cli", &["config"]),
    (
        "agent",
        &[
            "object",
            "process",
            "symbolize",
            "worker",
            "debuginfo",
            "sample",
            "discovery",
            "profile",
            "pprof",
            "local_store",
            "store",
            "collector",
            "http",
            "config",
            "cli",
        ],
    ),
    ("main", &["worker", "config", "cli", "agent"]),
];

/// Nouns that everybody speaks.
const VOCABULARY: &[&str] =
    &["object", "process::id", "process::mapping", "profile::frame", "debuginfo::plan", "debuginfo::stamp"];

/// Objects to imports from higher modules.
pub(super) fn check(source: &Source, paths: &[NamedPath]) -> Vec<Finding> {
    let Some(module) = module(&source.path) else { return Vec::new() };
    if source.is_test() {
        return Vec::new();
    }
    let object = |line, message| Finding::new(&source.path, line, message);
    if !BASE.contains(&module) && !LAYERS.iter().any(|(name, _)| *name == module) {
        return vec![object(0, format!("module {module} has no line in the table of layers"))];
    }
    let mut findings = Vec::new();
    for path in paths {
        let Some(inside) = inside_crate(source, path) else { continue };
        let Some(imported) = inside.first() else { continue };
        if imported != module && !may_import(module, inside) {
            let message = format!("{module} may not import {}", inside.join("::"));
            findings.push(object(path.line, message));
        }
    }
    findings
}

/// The top-level module that a file of the agent belongs to; `lib.rs` belongs to none.
fn module(path: &Path) -> Option<&str> {
    let inside = path.strip_prefix("src").ok()?;
    let first = inside.iter().next()?.to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then_some(name)
}

/// A path as seen from the root of the agent's crate, if that is where it leads.
fn inside_crate<'a>(source: &Source, path: &'a NamedPath) -> Option<&'a [String]> {
    let segments = path.segments.as_slice();
    match segments.first()?.as_str() {
        "crate" | "parca_agent" => Some(&segments[1..]),
        "super" => {
            let depth = source.path.with_extension("").components().count() - 1;
            let depth = if source.path.ends_with("mod.rs") { depth - 1 } else { depth };
            let supers = segments.iter().take_while(|segment| *segment == "super").count();
            (supers >= depth).then(|| &segments[supers..])
        }
        _ => None,
    }
}

fn may_import(module: &str, inside: &[String]) -> bool {
    let imported = inside[0].as_str();
    let full = inside.join("::");
    let speaks = |noun: &&str| full == **noun || full.starts_with(&format!("{noun}::"));
    if let Some(own) = BASE.iter().position(|name| *name == module) {
        return BASE[..own].contains(&imported);
    }
    let listed = LAYERS.iter().any(|(name, may)| *name == module && may.contains(&imported));
    listed || BASE.contains(&imported) || VOCABULARY.iter().any(speaks)
}

#[cfg(test)]
mod tests {
    use super::super::path::paths;
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        let source = Source::new(Path::new(path), text);
        check(&source, &paths(&source)).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_module_imports_lower_ones_only() {
        let cases = [
            ("src/pprof/mod.rs", "use crate::profile::Profile;", None),
            ("src/profile/mod.rs", "use crate::pprof::encode;", Some("profile may not import pprof::encode")),
            ("src/profile/mod.rs", "fn a() { crate::http::b() }", Some("profile may not import http::b")),
            ("src/profile/mod.rs", "use crate::{label::Label, http};", Some("profile may not import http")),
            ("src/label.rs", "use crate::text;", None),
            ("src/text.rs", "use crate::label;", Some("text may not import label")),
            ("src/label.rs", "use super::http;", Some("label may not import http")),
            ("src/label/set.rs", "use super::http;", None),
            ("src/label/set.rs", "use super::super::http;", Some("label may not import http")),
            ("src/main.rs", "use parca_agent::cli;", None),
            ("src/main.rs", "use parca_agent::http;", Some("main may not import http")),
            ("src/lib.rs", "pub use crate::http;", None),
            ("xtask/src/main.rs", "use crate::http;", None),
        ];
        for (path, text, expected) in cases {
            let expected: Vec<&str> = expected.into_iter().collect();
            assert_eq!(messages(path, text), expected, "{path}: {text}");
        }
    }

    #[test]
    fn vocabulary_is_for_everybody_but_its_module_is_not() {
        assert_eq!(messages("src/worker/job.rs", "use crate::process::id::ProcessId;"), [""; 0]);
        assert_eq!(messages("src/worker/job.rs", "use crate::process::identity;").len(), 1);
    }

    #[test]
    fn tests_may_import_anything() {
        assert_eq!(messages("src/text.rs", "#[cfg(test)] mod tests { use crate::http; }"), [""; 0]);
    }

    #[test]
    fn a_module_without_a_line_is_refused() {
        assert_eq!(messages("src/misc.rs", "").len(), 1);
    }

    #[test]
    fn the_table_has_no_cycle() {
        for (index, (module, may)) in LAYERS.iter().enumerate() {
            for imported in *may {
                let lower = LAYERS[..index].iter().any(|(name, _)| name == imported);
                assert!(lower, "{module} may import {imported}, which is not above it in the table");
            }
        }
    }
}
