//! The names at the top of the project: a newcomer should see them at a glance.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Finding;

const ALLOWED: &[&str] = &[
    ".cargo",
    ".ci",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "ebpf",
    "examples",
    "packaging",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "src",
    "tests",
    "xtask",
];

/// Objects to names at the top that nobody agreed on.
pub(super) fn check(paths: &[PathBuf]) -> Vec<Finding> {
    let names: BTreeSet<&Path> = paths.iter().filter_map(|path| path.iter().next().map(Path::new)).collect();
    let unknown = names.into_iter().filter(|name| !ALLOWED.iter().any(|allowed| Path::new(allowed) == *name));
    unknown.map(|name| Finding::new(name, 0, "no name for the top of the project".to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_at_the_top_is_one_of_those_agreed_on() {
        let paths = ["src/a.rs", "misc/src/a.rs", "notes.md", "README.md", "misc/b"].map(PathBuf::from);
        let names: Vec<PathBuf> = check(&paths).into_iter().map(|finding| finding.path).collect();
        assert_eq!(names, ["misc", "notes.md"].map(PathBuf::from));
    }
}
