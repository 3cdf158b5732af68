//! Packages of other Debian releases, fetched by apt without touching what this machine knows of packages:
//! sources, lists and cache are private. apt checks signatures and hashes as always.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// Debian's keys, from the package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where Debian users get packages, for a machine whose own sources name no Debian mirror.
const MIRROR: &str = "http://deb.debian.org/debian";

/// Where releases go that are no longer supported.
const ARCHIVE: &str = "http://archive.debian.org/debian";

/// One release for one architecture, with apt's lists of it in a private folder.
pub(super) struct Release {
    folder: PathBuf,
    /// Debian's name of the architecture.
    architecture: &'static str,
}

impl Release {
    /// Fetches the lists of a suite into `folder`, which must not hold anything else.
    pub(super) fn update(suite: &str, architecture: &'static str, folder: PathBuf) -> Result<Self> {
        if !Path::new(KEYRING).is_file() {
            bail!("{KEYRING} is missing: install the package debian-archive-keyring");
        }
        for part in ["state/lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
        }
        let release = Self { folder, architecture };
        let mut refused = None;
        for mirror in [mirror().as_str(), ARCHIVE] {
            let source = format!("deb [arch={architecture} signed-by={KEYRING}] {mirror} {suite} main\n");
            fs::write(release.source_list(), source).context("cannot write apt's sources")?;
            match command::output(release.apt("apt-get").args(["--quiet", "--error-on=any", "update"])) {
                Ok(_) => return Ok(release),
                Err(error) => refused.get_or_insert(error),
            };
        }
        let error = refused.unwrap_or_else(|| anyhow::anyhow!("no mirror"));
        Err(error).with_context(|| format!("cannot fetch the lists of Debian {suite}"))
    }

    /// The package beginning with `prefix` that another depends on.
    pub(super) fn dependency(&self, package: &str, prefix: &str) -> Result<Option<String>> {
        let text = command::output(self.apt("apt-cache").args(["depends", package]))?;
        Ok(dependency(&text, prefix).map(str::to_owned))
    }

    /// Fetches a package and unpacks it into a folder.
    pub(super) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let archives = self.folder.join("archives");
        fs::create_dir_all(&archives).with_context(|| format!("cannot create {}", archives.display()))?;
        command::output(self.apt("apt-get").current_dir(&archives).args(["--quiet", "download", package]))?;
        let name = package.split(':').next().unwrap_or(package);
        let archive = fs::read_dir(&archives)
            .with_context(|| format!("cannot read {}", archives.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}_")))
            })
            .with_context(|| format!("apt fetched {package} and left no file"))?;
        command::output(Command::new("dpkg-deb").arg("--extract").args([&archive, into]))?;
        Ok(())
    }

    /// A command of apt's with everything that it reads or writes in the private folder, but for this
    /// machine's settings of proxies and credentials.
    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        for (option, value) in [
            ("Dir::State", self.folder.join("state")),
            ("Dir::Cache", self.folder.join("cache")),
            ("Dir::Etc::SourceList", self.source_list()),
            // Nothing is installed, and no other source or pin counts.
            ("Dir::State::status", PathBuf::from("/dev/null")),
            ("Dir::Etc::SourceParts", PathBuf::from("/dev/null")),
            ("Dir::Etc::Preferences", PathBuf::from("/dev/null")),
            ("Dir::Etc::PreferencesParts", PathBuf::from("/dev/null")),
        ] {
            apt.arg("-o").arg(format!("{option}={}", value.display()));
        }
        for setting in [
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
            // The lists of a release that has ended are signed, but no longer renewed.
            "Acquire::Check-Valid-Until=false",
            // The private folder may be closed to apt's own user.
            "APT::Sandbox::User=root",
        ] {
            apt.args(["-o", setting]);
        }
        apt.args(["-o", &format!("APT::Architecture={}", self.architecture)]);
        apt.args(["-o", &format!("APT::Architectures={}", self.architecture)]);
        apt.env("LC_ALL", "C");
        apt
    }

    fn source_list(&self) -> PathBuf {
        self.folder.join("sources.list")
    }
}

/// The Debian mirror that this machine uses.
fn mirror() -> String {
    let format = "$(REPO_URI) $(ORIGIN) $(COMPONENT)";
    let targets = command::output(Command::new("apt-get").args([
        "indextargets",
        "Created-By: Packages",
        "--format",
        format,
    ]));
    targets.ok().as_deref().and_then(debian_mirror).unwrap_or(MIRROR).to_owned()
}

/// Looks for the main archive among lines of address, origin and component; other archives of Debian's,
/// such as that of security updates, hold other suites.
fn debian_mirror(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| {
        let mut words = line.split(' ');
        let uri = words.next()?.trim_end_matches('/');
        (words.next() == Some("Debian") && words.next() == Some("main") && uri.ends_with("/debian"))
            .then_some(uri)
    })
}

/// Looks for a name in the answer of `apt-cache depends`.
fn dependency<'a>(answer: &'a str, prefix: &str) -> Option<&'a str> {
    answer
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_mirror_of_the_main_archive_is_taken() {
        let targets = "http://mirror.example/ubuntu/ Ubuntu main\n\
            http://mirror.example/debian-security/ Debian main\n\
            http://mirror.example/debian/ Debian contrib\n\
            http://mirror.example/pub/debian/ Debian main\n";
        assert_eq!(debian_mirror(targets), Some("http://mirror.example/pub/debian"));
        assert_eq!(debian_mirror("http://mirror.example/ubuntu/ Ubuntu main\n"), None);
    }

    #[test]
    fn the_kernel_is_one_of_several_dependencies() {
        let answer =
            "linux-image-cloud-amd64\n  Depends: linux-base-cloud-amd64\n  Depends: linux-image-7.2.13\n";
        assert_eq!(dependency(answer, "linux-image-"), Some("linux-image-7.2.13"));
        assert_eq!(dependency(answer, "linux-headers-"), None);
    }
}
