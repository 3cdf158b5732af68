//! Following a path within a root, without asking a file system that may never answer.
//!
//! `openat2` keeps a path within a root, but walks through any file system on the way, and to look a name up on one
//! that a hostile program serves may take for ever. Here each component is opened on its own, as a place only, from a
//! directory on a file system that is known to answer; where it leads to another mount, that one is looked at before
//! anything is asked of it. `..` leads to the directory that was come from, at most to the root, and the text of a
//! symbolic link is followed by the same rules; so nothing leads out of the root, whatever is renamed meanwhile.

use super::file_system::{is_safe, is_safe_mount, mount_of};
use crate::process::id::Tgid;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use std::collections::VecDeque;

/// Most symbolic links on a way, as in the kernel.
const MAX_LINKS: usize = 40;

/// Most components of a way, those of symbolic links included.
const MAX_COMPONENTS: usize = 1024;

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// There is no such file, or it may not be had.
    #[error("there is no such file")]
    Absent,
    /// The way leads over a file system that may never answer.
    #[error("the way leads over a file system that may never answer")]
    UnsafeFileSystem,
    /// There are more links or components than any honest path has.
    #[error("the way is too long")]
    TooLong,
}

/// A directory on the way.
struct Step {
    place: OwnedFd,
    mount: u64,
}

/// What a path leads to within a root, opened as a place only. A process that sees the root's mounts is named by
/// `seen_by`.
pub fn resolve(root: BorrowedFd<'_>, path: &[u8], seen_by: Tgid) -> Result<OwnedFd, Unresolved> {
    if !is_safe(root, seen_by) {
        return Err(Unresolved::UnsafeFileSystem);
    }
    let root_mount = mount_of(root).ok_or(Unresolved::Absent)?;
    let (mut way, mut links): (Vec<Step>, _) = (Vec::new(), 0);
    let mut left = components(path);
    let mut passed = 0;
    while let Some(component) = left.pop_front() {
        passed += 1;
        if passed > MAX_COMPONENTS {
            return Err(Unresolved::TooLong);
        }
        if component == b".." {
            way.pop();
            continue;
        }
        let (directory, mount) =
            way.last().map_or((root, root_mount), |step| (step.place.as_fd(), step.mount));
        let next = step(directory, mount, &component, seen_by)?;
        let stat = rustix::fs::fstat(&next.place).map_err(|_| Unresolved::Absent)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            way.push(next);
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Unresolved::TooLong);
        }
        let text = rustix::fs::readlinkat(&next.place, c"", Vec::new()).map_err(|_| Unresolved::Absent)?;
        if text.as_bytes().starts_with(b"/") {
            way.clear();
        }
        let mut before = components(text.as_bytes());
        before.append(&mut left);
        left = before;
    }
    way.pop().map(|step| step.place).ok_or(Unresolved::Absent)
}

fn components(path: &[u8]) -> VecDeque<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.map(<[u8]>::to_vec).collect()
}

/// What a name is in a directory, which is on a mount that answers.
fn step(directory: BorrowedFd<'_>, mount: u64, name: &[u8], seen_by: Tgid) -> Result<Step, Unresolved> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(|_| Unresolved::Absent)?;
    let entered = mount_of(place.as_fd()).ok_or(Unresolved::Absent)?;
    if entered != mount && !is_safe_mount(entered, seen_by) {
        return Err(Unresolved::UnsafeFileSystem);
    }
    Ok(Step { place, mount: entered })
}

#[cfg(test)]
mod tests {
    use super::{MAX_COMPONENTS, MAX_LINKS, Unresolved, resolve};
    use crate::process::id::Tgid;
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    /// What a file is that a path leads to.
    fn found(root: &Path, path: &str) -> Result<String, Unresolved> {
        let root = File::open(root).unwrap();
        let place = resolve(root.as_fd(), path.as_bytes(), Tgid(std::process::id()))?;
        let mut text = String::new();
        let mut file = File::open(format!("/proc/self/fd/{}", place.as_raw_fd())).unwrap();
        file.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn every_way_stays_within_the_root() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("outside"), "outside").unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("inside"), "inside").unwrap();
        let outside = folder.path().join("outside");
        for (link, to) in [
            ("absolute", "/inside"),
            ("up", "../../../inside"),
            ("a/b/up", "../../inside"),
            ("folder", "a/b"),
            ("a/chain", "../folder/up"),
            ("host", outside.to_str().unwrap()),
            ("escape", "../outside"),
            ("loop", "loop"),
        ] {
            symlink(to, root.join(link)).unwrap();
        }
        let inside = || Ok("inside".to_owned());
        for (path, expected) in [
            ("/inside", inside()),
            ("inside", inside()),
            ("//a/.././inside", inside()),
            ("../../inside", inside()),
            ("/absolute", inside()),
            ("/up", inside()),
            ("/a/b/up", inside()),
            ("/folder/up", inside()),
            ("/folder/../../inside", inside()),
            ("/a/chain", inside()),
            ("/host", Err(Unresolved::Absent)),
            ("/escape", Err(Unresolved::Absent)),
            ("/../outside", Err(Unresolved::Absent)),
            ("/inside/x", Err(Unresolved::Absent)),
            ("/", Err(Unresolved::Absent)),
            ("", Err(Unresolved::Absent)),
            ("/nul\0", Err(Unresolved::Absent)),
            ("/loop", Err(Unresolved::TooLong)),
        ] {
            assert_eq!(found(&root, path), expected, "{path}");
        }
    }

    #[test]
    fn a_way_of_more_links_or_names_than_the_bound_is_given_up() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("0"), "end").unwrap();
        for number in 1..=MAX_LINKS + 1 {
            symlink((number - 1).to_string(), root.path().join(number.to_string())).unwrap();
        }
        assert_eq!(found(root.path(), &MAX_LINKS.to_string()), Ok("end".to_owned()));
        assert_eq!(found(root.path(), &(MAX_LINKS + 1).to_string()), Err(Unresolved::TooLong));
        let long = |count: usize| "../".repeat(count - 1) + "0";
        assert_eq!(found(root.path(), &long(MAX_COMPONENTS)), Ok("end".to_owned()));
        assert_eq!(found(root.path(), &long(MAX_COMPONENTS + 1)), Err(Unresolved::TooLong));
    }

    #[test]
    fn links_of_the_kernel_are_followed_by_their_text_only() {
        let root = tempfile::tempdir().unwrap();
        let secret = root.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        let file = File::open(&secret).unwrap();
        // The link of the descriptor leads to the file, its text to a path that the root does not have.
        assert_eq!(found(Path::new("/proc/self/fd"), &file.as_raw_fd().to_string()), Err(Unresolved::Absent));
    }
}
