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
        self.install(&folder, |release, unpacked| {
            let meta = format!("linux-image-cloud-{}", self.architecture());
            let package = release.dependency(&meta, "linux-image-")?.context("there is no such kernel")?;
            // In 7.x the kernel itself is in a package of its own.
            let package = release.dependency(&package, "linux-binary-")?.unwrap_or(package);
            release.unpack(&package, unpacked)?;
            let image = image_in_package(unpacked).with_context(|| format!("{package} holds no kernel"))?;
            Ok((image.path, format!("{IMAGE_PREFIX}{}", image.release)))
        })?;
        image(&folder).with_context(|| format!("there is no kernel in {}", folder.display()))
    }

    /// A static busybox of the kernel's architecture: this machine's, or one from the cache.
    pub(super) fn busybox(&self, refresh: bool) -> Result<PathBuf> {
        if self.arch.name() == std::env::consts::ARCH {
            return busybox_in(Path::new("/")).context("busybox is not installed");
        }
        let folder = workspace::cache_dir()?.join("busybox").join(self.arch.name());
        let busybox = folder.join("busybox");
        if refresh || !busybox.is_file() {
            eprintln!("+ fetching busybox of Debian {} for {}", self.suite, self.arch.name());
            self.install(&folder, |release, unpacked| {
                release.unpack("busybox-static", unpacked)?;
                let found = busybox_in(unpacked).context("the package busybox-static holds no busybox")?;
                Ok((found, "busybox".to_owned()))
            })?;
        }
        Ok(busybox)
    }

    /// Puts one file of a package of this kernel's release in a folder that then holds nothing else.
    /// `choose` unpacks the package and gives the file and the name that it shall have.
    fn install(
        &self,
        folder: &Path,
        choose: impl FnOnce(&Release, &Path) -> Result<(PathBuf, String)>,
    ) -> Result<()> {
        let unfinished = folder.with_extension(format!("{}.unfinished", std::process::id()));
        let install = || {
            let release = Release::update(self.suite, self.architecture(), unfinished.join("apt"))?;
            let (file, name) = choose(&release, &unfinished.join("unpacked"))?;
            if folder.exists() {
                fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
            }
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
            fs::rename(&file, folder.join(name)).with_context(|| format!("cannot move {}", file.display()))
        };
        let result = install();
        let _ = fs::remove_dir_all(&unfinished); // whatever is left is of no use
        result
    }

    /// Debian's name of the architecture.
    fn architecture(&self) -> &'static str {
        match self.arch {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
        }
    }
}

/// What a kernel's file is called in `/boot` and in the cache: this and its release.
const IMAGE_PREFIX: &str = "vmlinuz-";

/// The kernel in a folder such as `/boot`.
fn image(boot: &Path) -> Option<Image> {
    entries(boot).into_iter().find_map(|path| {
        let release = path.file_name()?.to_str()?.strip_prefix(IMAGE_PREFIX)?.to_owned();
        Some(Image { path, release })
    })
}

/// The kernel in an unpacked package: in `/boot`, or from 7.x on beside its modules.
fn image_in_package(root: &Path) -> Option<Image> {
    image(&root.join("boot")).or_else(|| {
        entries(&root.join("usr/lib/modules")).into_iter().find_map(|modules| {
            let release = modules.file_name()?.to_str()?.to_owned();
            Some(modules.join("vmlinuz")).filter(|path| path.is_file()).map(|path| Image { path, release })
        })
    })
}

/// Where Debian puts busybox: below `/bin` up to its release 12.
fn busybox_in(root: &Path) -> Option<PathBuf> {
    ["usr/bin/busybox", "bin/busybox"].map(|path| root.join(path)).into_iter().find(|path| path.is_file())
}

/// What is in a folder; nothing where there is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// A C compiler for another architecture: Zig's, which `dist` uses too.
pub(super) fn cross_compiler(arch: Arch) -> Result<Vec<OsString>> {
    let zig = setup::zig_venv()?.join("bin/python-zig");
    if !zig.is_file() {
        bail!("there is no compiler for {}: `cargo xtask setup foreign` installs one", arch.name());
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
    fn the_kernel_in_a_package_names_its_release() {
        let root = std::env::temp_dir().join(format!("kernel-test-{}", std::process::id()));
        for (folder, name) in [("boot", "vmlinuz-6.12.1"), ("usr/lib/modules/7.2.13", "vmlinuz")] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("config-6.12.1"), "").unwrap();
            assert!(image_in_package(&root).is_none());
            fs::write(folder.join(name), "").unwrap();
            let image = image_in_package(&root).unwrap();
            assert_eq!(image.path, folder.join(name));
            assert!(["6.12.1", "7.2.13"].contains(&image.release.as_str()), "{}", image.release);
            fs::remove_dir_all(&root).unwrap();
        }
    }
}
