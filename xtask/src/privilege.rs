//! Becoming root for the one command that needs it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::toolchain::Machine;

/// Whether this process is root: the owner of its folder in `/proc` is its effective user.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A command that runs `program` as root: directly, or through sudo. `None` if neither is possible.
pub(crate) fn as_root(machine: &Machine, program: impl AsRef<OsStr>) -> Option<Command> {
    if is_root() {
        return Some(Command::new(program));
    }
    let mut sudo = Command::new(machine.find("sudo")?);
    sudo.arg("--").arg(program);
    Some(sudo)
}
