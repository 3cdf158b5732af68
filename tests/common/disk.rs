//! A disk of a test's own, which can stop to answer.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in a file. It is unmounted in the end.
pub(crate) struct Disk {
    mounted: PathBuf,
}

/// While this is there nothing is written to the disk: whoever tries waits, and cannot be killed.
pub(crate) struct Frozen<'a>(&'a Disk);

impl Disk {
    /// In a directory, which has to last as long.
    pub(crate) fn new(directory: &Path) -> Self {
        let (image, mounted) = (directory.join("image"), directory.join("disk"));
        std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        std::fs::create_dir(&mounted).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mounted));
        Self { mounted }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.mounted
    }

    /// Has it answer no write for a while.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        run(Command::new("fsfreeze").arg("--freeze").arg(&self.mounted));
        Frozen(self)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        run(Command::new("fsfreeze").arg("--unfreeze").arg(&self.0.mounted));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.mounted));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
