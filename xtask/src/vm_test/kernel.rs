//! The kernels: which there are, and getting them. What was fetched once stays in the user's cache, so a
//! second run needs no network.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt::Release;
use crate::dist::Arch;
use crate::{setup, workspace};

/// A kernel of a Debian release, in the build for virtual machines, which needs no module to boot.
#[derive(Debug)]
pub(super) struct Kernel {
    /// As the user names it.
    pub(super) name: &'static str,
    pub(super) arch: Arch,
    suite: &'static str,
}

const KERNELS: [Kernel; 5] = [
    Kernel { name: "5.10", arch: Arch::X86_64, suite: "bullseye" },
    Kernel { name: "6.1", arch: Arch::X86_64, suite: "bookworm" },
    Kernel { name: "6.12", arch: Arch::X86_64, suite: "trixie" },
    Kernel { name: "newest", arch: Arch::X86_64, suite: "sid" },
    Kernel { name: "6.12-arm64", arch: Arch::Aarch64, suite: "trixie" },
];

/// The kernel of that name.
pub(super) fn named(name: &str) -> Result<&'static Kernel> {
    let found = KERNELS.iter().find(|kernel| kernel.name == name);
    let names = || KERNELS.map(|kernel| kernel.name).join(", ");
    found.with_context(|| format!("`{name}` is none of the kernels {}", names()))
}

/// A kernel to boot.
pub(super) struct Image {
    pub(super) path: PathBuf,
    /// Its whole version.
    pub(super) release: String,
}

impl Kernel {
    /// The kernel from the cache, where it is put first if it is not there.
    pub(super) fn fetch(&self, refresh: bool) -> Result<Image> {
        let folder = workspace::cache_dir()?.join("kernels").join(self.name);
        if let Some(image) = image(&folder).filter(|_| !refresh) {
            return Ok(image);
        }
        eprintln!("+ fetching kernel {} of Debian {}", self.name, self.suite);
        let package = format!("linux-image-cloud-{}", self.architecture());
        self.unpack(&folder, "boot", |release| release.dependency(&package, "linux-image-"))?;
        image(&folder).with_context(|| format!("the package of kernel {} holds no kernel", self.name))
    }

    /// A static busybox of the kernel's architecture: this machine's, or one from the cache.
    pub(super) fn busybox(&self, refresh: bool) -> Result<PathBuf> {
        if self.arch.name() == std::env::consts::ARCH {
            let installed = ["/usr/bin/busybox", "/bin/busybox"].map(PathBuf::from);
            return installed.into_iter().find(|path| path.is_file()).context("busybox is not installed");
        }
        let folder = workspace::cache_dir()?.join("busybox").join(self.arch.name());
        let found = || {
            ["usr/bin/busybox", "bin/busybox"]
                .map(|path| folder.join(path))
                .into_iter()
                .find(|path| path.is_file())
        };
        if let Some(busybox) = found().filter(|_| !refresh) {
            return Ok(busybox);
        }
        eprintln!("+ fetching busybox of Debian {} for {}", self.suite, self.arch.name());
        self.unpack(&folder, ".", |_| Ok("busybox-static".to_owned()))?;
        found().context("the package busybox-static holds no busybox")
    }

    /// Puts one part of a package of this kernel's release in a folder, whole or not at all.
    fn unpack(
        &self,
        folder: &Path,
        part: &str,
        package: impl FnOnce(&Release) -> Result<String>,
    ) -> Result<()> {
        let unfinished = folder.with_extension(format!("{}.unfinished", std::process::id()));
        let release = Release::update(self.suite, self.architecture(), unfinished.join("apt"))?;
        let package = package(&release)?;
        let unpacked = unfinished.join("unpacked");
        release.unpack(&package, &unpacked)?;
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let part = unpacked.join(part);
        fs::rename(&part, folder).with_context(|| format!("cannot move {}", part.display()))?;
        fs::remove_dir_all(&unfinished).with_context(|| format!("cannot remove {}", unfinished.display()))
    }

    /// Debian's name of the architecture.
    fn architecture(&self) -> &'static str {
        match self.arch {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
        }
    }
}

/// The kernel in an unpacked `/boot`.
fn image(boot: &Path) -> Option<Image> {
    fs::read_dir(boot).ok()?.filter_map(|entry| Some(entry.ok()?.path())).find_map(|path| {
        let release = path.file_name()?.to_str()?.strip_prefix("vmlinuz-")?.to_owned();
        Some(Image { path, release })
    })
}

/// A C compiler for another architecture: Zig's, which `dist` uses too.
pub(super) fn cross_compiler(arch: Arch) -> Result<Vec<OsString>> {
    let zig = setup::zig_venv()?.join("bin/python-zig");
    if !zig.is_file() {
        bail!("there is no compiler for {}: `cargo xtask setup dist` installs one", arch.name());
    }
    let target = format!("--target={}-linux-musl", arch.name());
    Ok(vec![zig.into(), "cc".into(), target.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_nobody_knows_is_answered_with_those_there_are() {
        let error = named("4.18").unwrap_err().to_string();
        assert_eq!(error, "`4.18` is none of the kernels 5.10, 6.1, 6.12, newest, 6.12-arm64");
    }

    #[test]
    fn the_kernel_in_a_folder_names_its_release() {
        let folder = std::env::temp_dir().join(format!("kernel-test-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config-6.12.1"), "").unwrap();
        assert!(image(&folder).is_none());
        fs::write(folder.join("vmlinuz-6.12.1"), "").unwrap();
        assert_eq!(image(&folder).unwrap().release, "6.12.1");
        fs::remove_dir_all(folder).unwrap();
    }
}
