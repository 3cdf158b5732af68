//! A cargo that is started by a program that cargo started.
//!
//! The black-box tests include this file too, so it uses the standard library alone.

use std::env;
use std::process::Command;

/// Removes from its environment what the outer cargo told the program of its own package. Build scripts that look
/// at it (ring's does) would run again, and all that depends on them, at each change between the two.
pub(crate) fn forget_package(cargo: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_of_package) {
            cargo.env_remove(name);
        }
    }
}

fn is_of_package(name: &str) -> bool {
    const PREFIXES: [&str; 5] =
        ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_"];
    name == "OUT_DIR" || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
