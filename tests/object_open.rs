//! Opening the files of real processes, some of which would rather have another one opened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use parca_agent::object::Unidentified;
use parca_agent::object::mapped::{MappedFile, MappedRange};
use parca_agent::object::open::{MAX_SIZE, OpenedObject, open};
use parca_agent::process::id::{BootTime, ProcessId, Tgid};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::fuse::Fuse;
use tempfile::TempDir;

/// A process that sleeps, killed at the end.
struct Sleeper {
    child: Child,
    id: ProcessId,
}

impl Sleeper {
    fn new(command: &mut Command) -> Self {
        let child = command.arg("1000").spawn().unwrap();
        let tgid = Tgid(child.id());
        Self { child, id: ProcessId { tgid, start: start_of(tgid) } }
    }

    /// The first mapping of a path, once there is one.
    fn mapping(&self, path: &Path) -> (MappedRange, MappedFile) {
        let begun = Instant::now();
        loop {
            let maps = fs::read_to_string(format!("/proc/{}/maps", self.id.tgid)).unwrap();
            if let Some(line) = maps.lines().find(|line| line.ends_with(path.to_str().unwrap())) {
                return parse(line, path);
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{} is not mapped: {maps}", path.display());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str, path: &Path) -> (MappedRange, MappedFile) {
    let fields: Vec<_> = line.split_whitespace().collect();
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let (start, end) = fields[0].split_once('-').unwrap();
    let (major, minor) = fields[3].split_once(':').unwrap();
    let device = (number(major) as u32, number(minor) as u32);
    let inode = fields[4].parse().unwrap();
    (MappedRange { start: number(start), end: number(end) }, mapped(device, inode, path))
}

fn mapped(device: (u32, u32), inode: u64, path: &Path) -> MappedFile {
    MappedFile { device, inode, path: path.as_os_str().as_bytes().into() }
}

/// A file as a list of mappings would have it, for a mapping that is not there any more.
fn no_longer_mapped(path: &Path) -> MappedFile {
    mapped((0, 0), fs::symlink_metadata(path).unwrap().ino(), path)
}

/// A range that nothing maps.
const NOWHERE: MappedRange = MappedRange { start: 0x1000, end: 0x2000 };

fn start_of(tgid: Tgid) -> BootTime {
    let stat = fs::read_to_string(format!("/proc/{tgid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = fields.split_whitespace().nth(19).unwrap().parse().unwrap();
    BootTime { nanos: ticks * 10_000_000 + 1234 }
}

/// A private copy of `sleep`, running.
fn sleeper_of_a_copy() -> (TempDir, PathBuf, Sleeper) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy of sleep");
    // Copied by another process: a file that is open for writing here cannot be executed.
    assert!(Command::new("cp").arg("/bin/sleep").arg(&path).status().unwrap().success());
    let sleeper = Sleeper::new(&mut Command::new(&path));
    (folder, path, sleeper)
}

fn contents(opened: OpenedObject) -> Vec<u8> {
    let mut bytes = Vec::new();
    File::from(opened.file).read_to_end(&mut bytes).unwrap();
    bytes
}

fn refusal(result: Result<OpenedObject, Unidentified>) -> Unidentified {
    result.expect_err("it was opened")
}

#[test]
fn a_deleted_file_opens_by_its_mapping() {
    let (_folder, path, sleeper) = sleeper_of_a_copy();
    let (range, name) = sleeper.mapping(&path);
    let metadata = fs::metadata(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another file at the same path").unwrap();
    let opened = open(sleeper.id, range, &name).unwrap();
    assert_eq!((opened.identity.inode, opened.identity.size), (metadata.ino(), metadata.len()));
    assert_eq!(opened.identity.modified, (metadata.mtime(), metadata.mtime_nsec()));
    assert_eq!(contents(opened), fs::read("/bin/sleep").unwrap());
}

#[test]
fn an_unmapped_file_opens_by_its_path_if_it_is_the_same() {
    let (folder, path, sleeper) = sleeper_of_a_copy();
    let name = no_longer_mapped(&path);
    assert_eq!(contents(open(sleeper.id, NOWHERE, &name).unwrap()), fs::read("/bin/sleep").unwrap());
    fs::rename(&path, folder.path().join("moved")).unwrap();
    assert_eq!(refusal(open(sleeper.id, NOWHERE, &name)), Unidentified::Gone);
    symlink("/etc/passwd", &path).unwrap();
    assert_eq!(refusal(open(sleeper.id, NOWHERE, &name)), Unidentified::Refused, "a symbolic link");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another").unwrap();
    assert_eq!(refusal(open(sleeper.id, NOWHERE, &name)), Unidentified::Refused, "another file");
}

#[test]
fn only_regular_files_of_bounded_size_are_opened() {
    let (folder, _, sleeper) = sleeper_of_a_copy();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let large = folder.path().join("large");
    File::create(&large).unwrap().set_len(MAX_SIZE + 1).unwrap();
    let cases = [
        (pipe.as_path(), Unidentified::Refused),
        (Path::new("/dev/zero"), Unidentified::Refused),
        (folder.path(), Unidentified::Refused),
        (&large, Unidentified::TooLarge),
        (Path::new("/proc/self/exe"), Unidentified::Refused),
    ];
    for (path, expected) in cases {
        let result = open(sleeper.id, NOWHERE, &no_longer_mapped(path));
        assert_eq!(refusal(result), expected, "{}", path.display());
    }
}

#[test]
fn another_process_of_the_same_id_is_not_opened() {
    let (_folder, path, mut sleeper) = sleeper_of_a_copy();
    let (range, name) = sleeper.mapping(&path);
    let another = ProcessId { start: BootTime { nanos: sleeper.id.start.nanos + 10_000_000 }, ..sleeper.id };
    assert_eq!(refusal(open(another, range, &name)), Unidentified::Gone);
    assert!(open(sleeper.id, range, &name).is_ok());
    sleeper.child.kill().unwrap();
    sleeper.child.wait().unwrap();
    assert_eq!(refusal(open(sleeper.id, range, &name)), Unidentified::Gone);
}

/// A folder with what `sleep` needs to run in it as its root.
fn root_for_sleep() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = |path: &str| {
        let to = folder.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        assert!(Command::new("cp").args(["-L", path]).arg(to).status().unwrap().success());
    };
    let list = Command::new("ldd").arg("/bin/sleep").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    list.split_whitespace().filter(|word| word.starts_with('/')).for_each(copy);
    copy("/bin/sleep");
    folder
}

#[test]
fn links_in_a_container_never_lead_to_the_host() {
    let root = root_for_sleep();
    let sleeper = Sleeper::new(Command::new("chroot").arg(root.path()).arg("/bin/sleep"));
    sleeper.mapping(&root.path().join("bin/sleep"));
    let host = Path::new("/etc/passwd");
    let inode = fs::metadata(host).unwrap().ino();
    symlink("/etc/passwd", root.path().join("absolute")).unwrap();
    symlink("../../../../../../../../etc/passwd", root.path().join("relative")).unwrap();
    for path in ["/absolute", "/relative", "/etc/passwd", "/../../../../../../etc/passwd"] {
        let name = mapped((0, 0), inode, Path::new(path));
        assert_eq!(refusal(open(sleeper.id, NOWHERE, &name)), Unidentified::Gone, "{path}");
    }
    // The same names do lead to a file within the root.
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/passwd"), "of the container").unwrap();
    let inode = fs::metadata(root.path().join("etc/passwd")).unwrap().ino();
    for path in ["/absolute", "/relative", "/etc/passwd"] {
        let opened = open(sleeper.id, NOWHERE, &mapped((0, 0), inode, Path::new(path))).unwrap();
        assert_eq!(contents(opened), b"of the container", "{path}");
    }
}

#[test]
fn a_file_system_that_never_answers_is_not_waited_for() {
    let Some(fuse) = Fuse::mount(fs::read("/bin/sleep").unwrap()) else {
        eprintln!("this kernel has no FUSE: nothing to wait for");
        return;
    };
    let sleeper = Sleeper::new(&mut Command::new(fuse.file()));
    // Dropped in this order: while the file system is there, the kernel may not let the process die.
    let (fuse, sleeper) = &(fuse, sleeper);
    let (range, name) = sleeper.mapping(&fuse.file());
    fuse.fall_silent();
    let (sender, receiver) = channel();
    let id = sleeper.id;
    std::thread::spawn(move || {
        sender.send(refusal(open(id, range, &name))).unwrap();
    });
    assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok(Unidentified::UnsafeFileSystem));
}
