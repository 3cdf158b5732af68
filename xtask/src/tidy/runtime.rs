//! No second async runtime: of tokio only the traits that HTTP/2 wants may be in the agent.

use std::path::Path;

use anyhow::Result;

use super::Finding;
use crate::{command, workspace};

/// The features of tokio that start threads, timers or sockets.
const REFUSED: &[&str] = &["rt", "rt-multi-thread", "net", "time", "signal", "process", "full"];

/// Objects to a tokio runtime in what `cargo build` builds: among the agent's dependencies, or turned on in them by
/// another member that is built with it. `tests/peer` has one, so it is no default member.
pub(super) fn check() -> Result<Vec<Finding>> {
    let mut tree = workspace::cargo("tree")?;
    tree.args(["--edges=normal", "--prefix=none", "--format={p} {f}"]);
    Ok(refused(&command::output(&mut tree)?))
}

/// Reads lines like `tokio v1.50.0 bytes,io-util`.
fn refused(tree: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        if words.next() != Some("tokio") {
            continue;
        }
        let features = words.nth(1).unwrap_or_default();
        for feature in features.split(',').filter(|feature| REFUSED.contains(feature)) {
            let message = format!("a dependency turns on tokio's feature `{feature}`");
            findings.push(Finding::new(Path::new("Cargo.toml"), 0, message));
        }
    }
    findings.dedup();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_refused_but_the_traits_are_not() {
        let cases = [
            ("smol v2.0.2 \n", 0),
            ("tokio v1.50.0 bytes,io-util,sync\n", 0),
            ("tokio v1.50.0 \n", 0),
            ("tokio v1.50.0 bytes,rt,sync,time\n", 2),
            ("tokio-util v0.7.0 rt\n", 0),
        ];
        for (tree, expected) in cases {
            assert_eq!(refused(tree).len(), expected, "{tree}");
        }
    }
}
