//! The spool of an agent that is killed: the test starts itself again, kills what it started, and looks at what is
//! left on disk.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use parca_agent::label::LabelSet;
use parca_agent::log::{Format, Level};
use parca_agent::store::entry::Entry;
use parca_agent::store::spool::{AppendError, PAUSE, SPACE_PAUSE, Spool};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// The directory, in the process that is killed.
const DIRECTORY: &str = "SPOOL_TEST_DIRECTORY";

const LIMIT: u64 = 1 << 30;

/// Entries of different lengths.
fn entry(number: u64) -> Entry {
    let labels: LabelSet = [("__name__", "cpu"), ("comm", "web")].into_iter().collect();
    Entry {
        labels: labels.into(),
        start: SystemTime::UNIX_EPOCH + Duration::from_secs(number * 10),
        duration: Duration::from_secs(10),
        samples: number,
        profile: vec![number as u8; usize::try_from(number * 9973 % 60_000).unwrap()],
        executables: Vec::new(),
    }
}

/// Starts a process that works on the spool in a directory and prints the number of each entry it is done with.
fn start(test: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What is in a directory, looked through.
fn open(directory: &Path) -> Spool {
    let mut spool = Spool::open(directory, LIMIT).unwrap();
    spool.look_through(Instant::now());
    spool
}

/// Kills it once it has printed so many numbers. Returns the last one that it printed until it was dead.
fn kill_after(mut child: Child, numbers: usize) -> u64 {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut numbers_seen = 0;
    let mut last = None;
    for number in lines.filter_map(|line| line.parse().ok()) {
        last = Some(number);
        numbers_seen += 1;
        if numbers_seen == numbers {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(numbers_seen >= numbers, "it ended by itself");
    last.expect("a number")
}

fn tell(number: u64) {
    let mut output = std::io::stdout();
    writeln!(output, "\n{number}").unwrap();
    output.flush().unwrap();
}

#[test]
fn what_was_written_outlives_the_agent() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let mut spool = Spool::open(Path::new(&directory), LIMIT).unwrap();
        for number in 1.. {
            spool.append(&entry(number), Instant::now()).unwrap();
            tell(number);
        }
    }
    for numbers in [1, 10, 100, 400] {
        let root = tempfile::tempdir().unwrap();
        let last = kill_after(start("what_was_written_outlives_the_agent", root.path()), numbers);
        let mut spool = open(root.path());
        let mut found = 0;
        while let Some(batch) = spool.take(1 << 20, Instant::now()) {
            for read in batch.entries() {
                found += 1;
                assert!(*read == entry(found), "entry {found} is another");
            }
            spool.done(batch);
        }
        // The one that it was about to tell of may be there, too.
        assert!((last..=last + 1).contains(&found), "{found} entries of {last}");
        assert!(spool.counts().damaged <= 1, "a part of the last one");
        assert_eq!(spool.counts().found, (1..=found).sum::<u64>());
    }
}

#[test]
fn what_was_delivered_is_not_delivered_again() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let mut spool = Spool::open(Path::new(&directory), LIMIT).unwrap();
        let now = Instant::now();
        while let Some(batch) = spool.take(1, now) {
            let number = batch.amount().samples;
            spool.done(batch);
            tell(number);
        }
        // It is killed before: there is more than it is let read.
        return;
    }
    const ENTRIES: u64 = 300;
    for numbers in [1, 20, 150] {
        let root = tempfile::tempdir().unwrap();
        let mut spool = open(root.path());
        for number in 1..=ENTRIES {
            spool.append(&entry(number), Instant::now()).unwrap();
        }
        spool.sync(Instant::now());
        drop(spool);
        let last = kill_after(start("what_was_delivered_is_not_delivered_again", root.path()), numbers);
        let spool = open(root.path());
        let left = spool.counts().found;
        // The one that it was about to tell of may be delivered, too.
        let expected = [last, last + 1].map(|last| (last + 1..=ENTRIES).sum::<u64>());
        assert!(expected.contains(&left), "{left} samples left after {last}");
        assert_eq!(spool.counts().damaged, 0);
    }
}

#[test]
fn a_disk_that_is_full_or_read_only_turns_it_off_and_loses_nothing() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return fill_the_disk(Path::new(&directory));
    }
    let root = tempfile::tempdir().unwrap();
    let child = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=1m,mode=700 none \"$0\" && exec \"$@\"")
        .arg(root.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_disk_that_is_full_or_read_only_turns_it_off_and_loses_nothing", "--nocapture"])
        .env(DIRECTORY, root.path())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{log}");
    // Each change once, with what is wrong.
    let lines: Vec<_> = log.lines().filter(|line| line.contains("kept on disk")).collect();
    let [no_space, read_only, works] = lines.try_into().unwrap();
    assert!(no_space.contains("cannot be kept") && no_space.contains("have to stay free"), "{log}");
    assert!(read_only.contains("cannot be kept") && read_only.contains("Read-only file system"), "{log}");
    assert!(works.contains("are kept on disk again"), "{log}");
}

/// The directory is on a disk of 1 MiB of its own.
fn fill_the_disk(directory: &Path) {
    parca_agent::log::start(Level::Info, Format::Logfmt).unwrap();
    let now = Instant::now();
    let mut spool = open(directory);
    let mut written = 0;
    let error = loop {
        match spool.append(&entry(written + 1), now) {
            Ok(()) => written += 1,
            Err(AppendError::Disk(error)) => break error,
            Err(error) => panic!("{error}"),
        }
        assert!(written < 100, "1 MiB is not full");
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    let status = rustix::fs::statvfs(directory).unwrap();
    assert!(status.f_bavail >= status.f_blocks / 10, "a tenth is left for others");
    assert!(matches!(spool.append(&entry(1), now), Err(AppendError::Off)));
    assert!(matches!(spool.append(&entry(1), now + SPACE_PAUSE), Err(AppendError::Disk(_))));
    drop(spool);

    let mut spool = open(directory);
    assert_eq!((spool.counts().found, spool.counts().damaged), ((1..=written).sum(), 0));
    remount(directory, "ro,size=4m");
    let batch = spool.take(1, now).unwrap();
    assert!(batch.entries().eq([&entry(1)]));
    spool.done(batch);
    let append = spool.append(&entry(1), now);
    let Err(AppendError::Disk(error)) = append else { panic!("it is read-only: {append:?}") };
    assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
    remount(directory, "rw");
    for number in 2..=written {
        let batch = spool.take(1, now).unwrap();
        assert!(batch.entries().eq([&entry(number)]), "{number}");
        spool.done(batch);
    }
    assert_eq!((spool.counts().held, spool.counts().bytes), (0, 0));
    spool.append(&entry(1), now + PAUSE).unwrap();
}

fn remount(directory: &Path, how: &str) {
    let options = format!("remount,{how}");
    let mounted = Command::new("mount").args(["-o", &options]).arg(directory).status().unwrap();
    assert!(mounted.success());
}
