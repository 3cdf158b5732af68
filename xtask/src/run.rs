//! `cargo xtask run -- FLAGS`: the agent, built and started in the foreground.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail};
use argh::FromArgs;

use crate::toolchain::Machine;
use crate::{build, command, privilege};

/// The interface is for this machine alone unless the user says otherwise.
const HTTP_ADDRESS: &str = "127.0.0.1:7071";

/// Build the agent and start it in the foreground, as root.
#[derive(FromArgs)]
#[argh(subcommand, name = "run")]
pub(crate) struct Run {
    /// flags for the agent, after `--`
    #[argh(positional, greedy)]
    flags: Vec<String>,
}

pub(crate) fn run(job: &Run) -> Result<()> {
    // Asked before the build, so that nobody waits for it in vain.
    let machine = Machine::this();
    if !privilege::is_root() && machine.find("sudo").is_none() {
        bail!("the agent needs root and there is no sudo: run `cargo xtask run` as root");
    }
    let agent = build::release()?;
    let mut agent = privilege::as_root(&machine, agent).context("the agent needs root")?;
    let (flags, address) = flags(&job.flags);
    agent.args(flags);
    eprintln!("+ {}", command::text(&agent));
    eprintln!("parca-agent: http://{address} (Ctrl-C stops it)");
    // The agent takes this process's place, so Ctrl-C and its exit code pass through nobody's hands.
    Err(agent.exec()).with_context(|| format!("cannot start {}", command::text(&agent)))
}

/// The agent's flags, with an address to listen on in any case, and that address.
fn flags(given: &[String]) -> (Vec<String>, String) {
    let given = given.strip_prefix(&["--".to_owned()]).unwrap_or(given);
    let mut flags = given.to_vec();
    let mut words = given.iter();
    let mut address = None;
    while let Some(word) = words.next() {
        match word.strip_prefix("--http-address") {
            Some("") => address = words.next().cloned(),
            Some(rest) => address = rest.strip_prefix('=').map(str::to_owned).or(address),
            None => {}
        }
    }
    let address = address.unwrap_or_else(|| {
        flags.insert(0, format!("--http-address={HTTP_ADDRESS}"));
        HTTP_ADDRESS.to_owned()
    });
    (flags, address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_listens_where_the_user_says_or_on_the_loopback_address() {
        let local = "--http-address=127.0.0.1:7071";
        let cases: [(&[&str], &[&str], &str); 5] = [
            (&[], &[local], HTTP_ADDRESS),
            (&["--", "--node=a"], &[local, "--node=a"], HTTP_ADDRESS),
            (&["--http-address=:80"], &["--http-address=:80"], ":80"),
            (&["--http-address", ":80", "-h"], &["--http-address", ":80", "-h"], ":80"),
            (&["--http-addresses=:80"], &[local, "--http-addresses=:80"], HTTP_ADDRESS),
        ];
        for (given, expected, address) in cases {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            let (flags, listened) = flags(&given);
            assert_eq!(flags, expected, "{given:?}");
            assert_eq!(listened, address, "{given:?}");
        }
    }
}
