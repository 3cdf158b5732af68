//! Which Rust standard library static binaries are built with.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::toolchain::{self, Machine};
use crate::{command, setup, workspace};

/// The targets of static binaries.
pub(crate) const TRIPLES: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// Where the package `rust-web-src` puts the standard library's source.
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std";

/// Where the standard library for musl comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    /// Prebuilt, in the toolchain that runs this program.
    Prebuilt,
    /// Compiled with the agent, by Debian's compiler from Debian's source.
    Debian,
}

/// The road that is open on this machine, the fast one first.
pub(crate) fn road() -> Option<Road> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = command::output(Command::new(rustc).args(["--print", "sysroot"]));
    if sysroot.is_ok_and(|sysroot| has_libraries(Path::new(sysroot.trim()))) {
        return Some(Road::Prebuilt);
    }
    let debian = [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_SOURCE].iter().all(|part| Path::new(part).exists());
    debian.then_some(Road::Debian)
}

fn has_libraries(sysroot: &Path) -> bool {
    TRIPLES.iter().all(|triple| sysroot.join("lib/rustlib").join(triple).join("lib").is_dir())
}

impl Road {
    /// A cargo-zigbuild command that builds for `triple`.
    pub(crate) fn build(self, triple: &str) -> Result<Command> {
        let bin = setup::zig_venv()?.join("bin");
        let mut zigbuild = Command::new(bin.join("cargo-zigbuild"));
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(bin).chain(env::split_paths(&path)).collect::<Vec<PathBuf>>();
        zigbuild.env("PATH", env::join_paths(folders)?).current_dir(workspace::root()?);
        zigbuild.args(["build", "--target", triple]);
        if self == Self::Debian {
            toolchain::isolate(&mut zigbuild);
            zigbuild
                .env("CARGO", DEBIAN_CARGO)
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                // musl and its start files come from Zig; those that rustup's libraries contain are not
                // in Debian's source.
                .env("RUSTFLAGS", "-Clink-self-contained=no")
                .arg("-Zbuild-std=std,panic_abort");
        }
        Ok(zigbuild)
    }

    /// One line for the user.
    pub(crate) fn describe(self, machine: &Machine) -> &'static str {
        match self {
            Self::Prebuilt => "standard library for musl: the toolchain's own",
            Self::Debian if machine.find("rustup").is_some() => {
                "standard library for musl: built from Debian's source (the toolchain has none for both targets)"
            }
            Self::Debian => "standard library for musl: built from Debian's source (there is no rustup)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_counts_only_with_the_libraries_of_both_targets() {
        let sysroot = env::temp_dir().join(format!("xtask-musl-{}", std::process::id()));
        for (triple, complete) in TRIPLES.iter().zip([false, true]) {
            std::fs::create_dir_all(sysroot.join("lib/rustlib").join(triple).join("lib")).unwrap();
            assert_eq!(has_libraries(&sysroot), complete, "{triple}");
        }
        std::fs::remove_dir_all(&sysroot).unwrap();
    }
}
