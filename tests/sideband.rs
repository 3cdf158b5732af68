//! What the kernel tells of the mappings of real processes, beside what `/proc` and their files say. Runs as
//! root, for it listens to the whole machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use parca_agent::object::mapped::MappedFile;
use parca_agent::object::{FileOffset, PAGE};
use parca_agent::process::event::{ProcessChange, ProcessEvent};
use parca_agent::process::id::ProcessId;
use parca_agent::process::mapping::{Backing, MapsEntry, parse_maps};
use parca_agent::process::mapping_history::MappingHistory;
use parca_agent::sample::sideband::Sideband;
use parca_agent::sample::{Record, Sampler, SamplerOptions, boot_time};
use parca_agent::worker::identify::identify;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const SHORT_PROCESSES: usize = 200;
/// How long a child may take to begin on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One test at a time: what one makes fills the rings of all.
static MACHINE: Mutex<()> = Mutex::new(());

/// Listens to the side-band and to process events, as a collector would.
struct Listener {
    sampler: Sampler,
    sideband: Sideband,
    history: MappingHistory,
    events: Vec<ProcessEvent>,
    _machine: MutexGuard<'static, ()>,
}

impl Listener {
    fn start() -> Self {
        let machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
        let sampler = Sampler::start(SamplerOptions { frequency: 1, force: None }).unwrap();
        let sideband = Sideband::open().unwrap();
        let history = MappingHistory::new();
        Self { sampler, sideband, history, events: Vec::new(), _machine: machine }
    }

    fn listen(&mut self) {
        let Self { sampler, sideband, history, events, .. } = self;
        while !sampler.drain(4096, |record| {
            if let Record::Process(event) = record {
                history.apply(&event);
                events.push(event);
            }
        }) {}
        while !sideband.drain(4096, |record| history.record(record)) {}
    }

    /// The last change of one kind in a child of this process.
    fn last(&self, tgid: u32, is_kind: impl Fn(ProcessChange) -> bool) -> ProcessEvent {
        let mut found = self.events.iter().rev();
        *found.find(|event| event.process.tgid.0 == tgid && is_kind(event.change)).expect("an event")
    }

    fn exit_of(&self, tgid: u32) -> ProcessEvent {
        self.last(tgid, |change| change == ProcessChange::Exit)
    }

    fn mappings_at_exit(&self, process: ProcessId) -> Option<Vec<MapsEntry>> {
        self.history.mappings_at(process, self.exit_of(process.tgid.0).time)
    }
}

/// A child that is killed at the end.
struct Sleeper(Child);

impl Sleeper {
    /// A shell that has become `sleep`, and mapped all that it ever will.
    fn start() -> Self {
        let sleeper = Self(Command::new("sh").args(["-c", "exec sleep 1000"]).spawn().unwrap());
        let begun = Instant::now();
        while !fs::read_to_string(format!("/proc/{}/wchan", sleeper.0.id())).unwrap().contains("nanosleep") {
            assert!(begun.elapsed() < PATIENCE, "it does not sleep");
            std::thread::sleep(Duration::from_millis(1));
        }
        sleeper
    }

    fn maps(&self) -> Vec<MapsEntry> {
        parse_maps(&fs::read(format!("/proc/{}/maps", self.0.id())).unwrap()).collect()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(command: &mut Command) -> u32 {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// File and offset of each mapping that the executable segments of a file give, pages whole.
fn segments_of(file: &MappedFile) -> Vec<(FileOffset, u64)> {
    let info = identify(&fs::read(OsStr::from_bytes(&file.path)).unwrap()[..], 0).unwrap();
    let executable = info.segments.iter().filter(|segment| segment.executable);
    let pages = executable.map(|segment| {
        let start = segment.file_offset.0 & !(PAGE - 1);
        let end = (segment.file_offset.0 + segment.file_size).next_multiple_of(PAGE);
        (FileOffset(start), end - start)
    });
    pages.collect()
}

/// The name of the file, if the mapping is that of one of its executable segments.
fn checked_file(entry: &MapsEntry) -> String {
    let (file, offset) = match &entry.backing {
        Backing::File { file, offset } => (file, *offset),
        Backing::Vdso => return "[vdso]".to_owned(),
        Backing::Anonymous => return "anonymous".to_owned(),
    };
    let path = Path::new(OsStr::from_bytes(&file.path));
    assert_eq!(file.inode, fs::metadata(path).unwrap().ino(), "{path:?}");
    let mapped = (offset, entry.range.end.0 - entry.range.start.0);
    assert!(segments_of(file).contains(&mapped), "{mapped:x?} of {path:?}: {:x?}", segments_of(file));
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn short_processes_are_known_after_their_death() {
    let mut listener = Listener::start();
    let (mut execs, mut exits) = (Vec::new(), Vec::new());
    for _ in 0..SHORT_PROCESSES {
        let tgid = run(&mut Command::new("/bin/true"));
        listener.listen();
        execs.push(listener.last(tgid, |change| change == ProcessChange::Exec));
        exits.push(listener.exit_of(tgid));
    }
    let counts = listener.sideband.counts();
    assert_eq!((counts.lost, counts.undecodable), (0, 0), "{counts:?}");
    for (exec, exit) in execs.iter().zip(&exits) {
        let mappings = listener.history.mappings_at(exit.process, exit.time).expect("a known program");
        let names: BTreeSet<_> = mappings.iter().map(checked_file).collect();
        assert_eq!(names.len(), mappings.len(), "{names:?}");
        for part in ["true", "ld-", "libc.", "[vdso]"] {
            assert_eq!(names.iter().filter(|name| name.starts_with(part)).count(), 1, "{part}: {names:?}");
        }

        // What an exec maps comes before its event, and what the program maps itself after it.
        let at_exec = listener.history.mappings_at(exec.process, exec.time).unwrap();
        assert_eq!(at_exec.len(), mappings.len() - 1, "{at_exec:?}");
        assert!(at_exec.iter().all(|entry| mappings.contains(entry)));
    }
}

#[test]
fn a_living_process_maps_what_its_list_says() {
    let mut listener = Listener::start();
    let sleeper = Sleeper::start();
    listener.listen();
    let exec = listener.last(sleeper.0.id(), |change| change == ProcessChange::Exec);
    let maps = sleeper.maps();
    assert!(maps.len() >= 4, "{maps:?}");
    assert_eq!(listener.history.mappings_at(exec.process, boot_time()), Some(maps));
}

#[test]
fn a_child_without_exec_maps_what_its_parent_did() {
    let mut listener = Listener::start();
    let shell = run(Command::new("sh").args(["-c", "(:); (:); (:) & wait"]));
    listener.listen();
    let shell = listener.exit_of(shell).process;
    let parent = listener.mappings_at_exit(shell).expect("a known program");
    let is_child = |event: &&ProcessEvent| event.change == ProcessChange::Fork { parent: shell };
    let children: Vec<_> = listener.events.iter().filter(is_child).map(|event| event.process).collect();
    assert_eq!(children.len(), 3);
    for child in children {
        assert_eq!(listener.mappings_at_exit(child), Some(parent.clone()), "{child:?}");
    }
}

#[test]
fn a_ring_that_is_full_loses_and_counts_and_goes_on() {
    let mut listener = Listener::start();
    let wakes = |sideband: &Sideband| {
        poll(&mut [PollFd::new(&sideband.wakeup(), PollFlags::IN)], Some(&Timespec::default())).unwrap() == 1
    };
    let mut started = 0;
    while listener.sideband.counts().lost == 0 {
        // More than all rings hold; a lost record is told of by the next one that is written.
        for _ in 0..600 {
            run(&mut Command::new("/bin/true"));
        }
        started += 600;
        assert!(wakes(&listener.sideband), "it is readable when a ring fills");
        listener.listen();
        run(&mut Command::new("/bin/true"));
        listener.listen();
        assert!(started < 60_000, "no ring was ever full: {:?}", listener.sideband.counts());
    }
    let child = run(&mut Command::new("/bin/true"));
    listener.listen();
    let process = listener.exit_of(child).process;
    assert_eq!(listener.mappings_at_exit(process).map(|mappings| mappings.len()), Some(4));
    assert_eq!(listener.sideband.counts().undecodable, 0);
}
