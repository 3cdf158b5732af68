//! A program, and its debug information in a file of its own.

use super::compiler::{self, C};
use super::programs::binutils;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the program and its files are built; each caller has its own.
pub(crate) struct Separate {
    folder: PathBuf,
}

impl Separate {
    /// Builds the program that waits, static, so that it runs in any root.
    pub(crate) fn new(name: &str, flags: &[&str]) -> Self {
        let separate = Self { folder: compiler::folder("debuginfo").join(format!("separate-{name}")) };
        let _ = fs::remove_dir_all(&separate.folder);
        fs::create_dir_all(&separate.folder).unwrap();
        let mut command = C.command();
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-g", "-static", "-o"]).arg(separate.whole());
        command.args(flags).arg("tests/debuginfo/waiting.c");
        C.run(command);
        let [whole, debug] = [separate.whole(), separate.debug()];
        binutils("objcopy", &["--only-keep-debug", whole.to_str().unwrap(), debug.to_str().unwrap()]);
        separate
    }

    /// Without build id: only a checksum tells whose a file is.
    pub(crate) fn without_build_id(name: &str) -> Self {
        Self::new(name, &["-Wl,--build-id=none"])
    }

    /// The program as it was linked.
    pub(crate) fn whole(&self) -> PathBuf {
        self.folder.join("whole")
    }

    /// Its debug information, named as links name it.
    pub(crate) fn debug(&self) -> PathBuf {
        self.folder.join("program.debug")
    }

    /// The program without its debug information, and without symbols unless they are wanted, with a link.
    pub(crate) fn stripped(&self, keeps_symbols: bool) -> PathBuf {
        let how = if keeps_symbols { "--strip-debug" } else { "--strip-all" };
        let link = format!("--add-gnu-debuglink={}", self.debug().to_str().unwrap());
        self.made(&[how, &link])
    }

    /// The program without symbols, with a section `.gnu_debuglink` of any name and checksum.
    pub(crate) fn with_link(&self, name: &[u8], crc: u32) -> PathBuf {
        let mut bytes = name.to_vec();
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(crc.to_le_bytes());
        let section = self.folder.join("link");
        fs::write(&section, bytes).unwrap();
        self.made(&["--strip-all", &format!("--add-section=.gnu_debuglink={}", section.to_str().unwrap())])
    }

    fn made(&self, flags: &[&str]) -> PathBuf {
        let output = self.folder.join("stripped");
        let paths = [self.whole(), output.clone()];
        let paths: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        binutils("objcopy", &[flags, &paths].concat());
        output
    }
}

/// Where a build id leads in a folder of debug files: its hexadecimal digits.
pub(crate) fn in_tree(build_id: &str) -> String {
    format!(".build-id/{}/{}.debug", &build_id[..2], &build_id[2..])
}

/// Puts a copy of a file somewhere, and the folders that it takes.
pub(crate) fn put(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}
