//! Packages of a Debian-like distribution.

use std::process::Command;

use anyhow::{Result, bail};

use crate::command;
use crate::privilege;
use crate::toolchain::Machine;

/// Whether dpkg counts a package as installed.
pub(super) fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    let status = command::output(query.args(["--show", "--showformat=${db:Status-Status}", package]));
    status.is_ok_and(|status| status == "installed")
}

/// Whether apt could install a package, by the lists it has.
fn has_candidate(package: &str) -> bool {
    let mut policy = Command::new("apt-cache");
    let answer = command::output(policy.args(["policy", package]).env("LC_ALL", "C"));
    answer.is_ok_and(|answer| candidate(&answer).is_some())
}

fn candidate(policy: &str) -> Option<&str> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"))?.trim();
    (version != "(none)").then_some(version)
}

/// Installs packages, after bringing apt's lists up to date if they do not know one of them.
pub(super) fn install(machine: &Machine, packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let wanted = packages.join(" ");
    if machine.find("apt-get").is_none() {
        bail!("there is no apt on this machine; install by its own means what Debian calls: {wanted}");
    }
    if !packages.iter().all(|package| has_candidate(package)) {
        command::run(apt_get(machine, &wanted)?.arg("update"))?;
    }
    let unknown: Vec<&str> = packages.iter().copied().filter(|package| !has_candidate(package)).collect();
    if !unknown.is_empty() {
        bail!("this release of the distribution has no package {}", unknown.join(", "));
    }
    command::run(
        apt_get(machine, &wanted)?.args(["install", "--yes", "--no-install-recommends"]).args(packages),
    )
}

fn apt_get(machine: &Machine, wanted: &str) -> Result<Command> {
    let Some(mut apt_get) = privilege::as_root(machine, "env") else {
        bail!(
            "installing packages needs root and there is no sudo; as root, run \
             `apt-get update && apt-get install --no-install-recommends {wanted}`"
        );
    };
    apt_get.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    Ok(apt_get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_a_version_that_could_be_installed() {
        assert_eq!(candidate("golang-go:\n  Installed: (none)\n  Candidate: 2:1.19~1\n"), Some("2:1.19~1"));
        assert_eq!(candidate("go:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }

    #[test]
    fn nothing_to_install_asks_for_nothing() {
        assert!(install(&Machine::this(), &[]).is_ok());
    }
}
