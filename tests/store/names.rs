//! Names that only one agent knows.

use std::fmt::Write;
use std::fs;
use tempfile::TempDir;

/// A `/etc/hosts` for those that are started by its launcher. It alone says what a name leads to.
pub(crate) struct Names {
    directory: TempDir,
}

impl Names {
    /// None yet.
    pub(crate) fn new() -> Self {
        let names = Self { directory: tempfile::tempdir().unwrap() };
        names.set(&[]);
        fs::write(names.path("nsswitch.conf"), "hosts: files\n").unwrap();
        names
    }

    /// Names from now on, each behind its address.
    pub(crate) fn set(&self, names: &[(&str, &str)]) {
        let mut lines = String::new();
        for (address, name) in names {
            writeln!(lines, "{address} {name}").unwrap();
        }
        // In place: the file is mounted.
        fs::write(self.path("hosts"), lines).unwrap();
    }

    /// A launcher of an agent that knows these names, by way of another one.
    pub(crate) fn launcher(&self, next: &[&str]) -> Vec<String> {
        let mounts = "for file in hosts nsswitch.conf; do mount --bind \"$0/$file\" \"/etc/$file\" || exit; done; \
                      exec \"$@\"";
        let own = ["unshare", "--mount", "sh", "-c", mounts];
        let own = own.into_iter().map(str::to_owned).chain([self.directory.path().display().to_string()]);
        own.chain(next.iter().map(|word| (*word).to_owned())).collect()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }
}
