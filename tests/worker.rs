//! The worker as the agent runs it: the real program, really sandboxed, on real and on hostile files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use parca_agent::debuginfo::plan::{Extraction, NoExtraction};
use parca_agent::object::build_id::BuildIdKind;
use parca_agent::object::{ObjectInfo, Unidentified};
use parca_agent::unwind::{Limits, NoTable, Table, build};
use parca_agent::worker::metrics::Restart;
use parca_agent::worker::supervisor::{Options, Supervisor};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use support::fuse::Fuse;

type Outcome = Result<ObjectInfo, Unidentified>;

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn options() -> Options {
    Options {
        program: PathBuf::from(env!("CARGO_BIN_EXE_parca-agent")),
        deadline: PATIENCE,
        table_deadline: PATIENCE,
        ..Options::default()
    }
}

fn start(options: Options) -> Supervisor {
    Supervisor::start(options).unwrap()
}

fn submit(supervisor: &Supervisor, file: impl Into<OwnedFd>) -> Receiver<Outcome> {
    let (sender, receiver) = channel();
    supervisor.identify(file.into(), move |outcome| sender.send(outcome).unwrap());
    receiver
}

fn identify(supervisor: &Supervisor, path: impl AsRef<Path>) -> Outcome {
    submit(supervisor, File::open(path).unwrap()).recv_timeout(PATIENCE).unwrap()
}

fn submit_table(supervisor: &Supervisor, file: impl Into<OwnedFd>) -> Receiver<Result<Table, NoTable>> {
    let (sender, receiver) = channel();
    supervisor.build_table(file.into(), || 0, move |outcome| sender.send(outcome).unwrap());
    receiver
}

fn build_table(supervisor: &Supervisor, path: impl AsRef<Path>) -> Result<Table, NoTable> {
    submit_table(supervisor, File::open(path).unwrap()).recv_timeout(PATIENCE).unwrap()
}

fn extract(supervisor: &Supervisor, path: impl AsRef<Path>) -> Result<Extraction, NoExtraction> {
    let (sender, receiver) = channel();
    supervisor.extract(File::open(path).unwrap().into(), move |outcome| sender.send(outcome).unwrap());
    receiver.recv_timeout(PATIENCE).unwrap()
}

/// The live worker, started by a job if there is none.
fn worker(supervisor: &Supervisor) -> u32 {
    identify(supervisor, "/bin/true").unwrap();
    supervisor.worker().unwrap()
}

fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    rustix::process::kill_process(process, signal).unwrap();
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_gone(process: u32) -> bool {
    // A zombie is gone too, but for its parent's word.
    fs::read_to_string(format!("/proc/{process}/stat"))
        .map_or(true, |stat| stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An ELF file with one executable segment of `code` zeros and `unused` empty program headers.
fn sparse_elf(code: u64, unused: u16) -> File {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for number in [0_u64, 64, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([0, 0, 0, 0, 64, 0, 56, 0]);
    bytes.extend((unused + 1).to_le_bytes());
    bytes.extend([64, 0, 0, 0, 0, 0]);
    bytes.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for number in [0, 0x40_0000, 0, code, code, 4096] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.resize(bytes.len() + usize::from(unused) * 56, 0);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.set_len(code.max(bytes.len() as u64)).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

/// Compares with what readelf prints.
fn assert_same_as_readelf(path: &Path, outcome: Outcome) {
    let text = path.to_str().unwrap();
    let info = outcome.unwrap_or_else(|reason| panic!("{text}: {reason}"));
    let notes = output("readelf", &["-n", text]);
    match notes.split("Build ID: ").nth(1) {
        Some(rest) => {
            assert_eq!(info.build_id.kind, BuildIdKind::Gnu, "{text}");
            assert_eq!(info.build_id.to_string(), rest.split_whitespace().next().unwrap(), "{text}");
        }
        None => assert_ne!(info.build_id.kind, BuildIdKind::Gnu, "{text}"),
    }
    let hexadecimal = |field: &str| u64::from_str_radix(field.strip_prefix("0x").unwrap(), 16).unwrap();
    let listed: Vec<_> = output("readelf", &["-lW", text])
        .lines()
        .filter(|line| line.trim_start().starts_with("LOAD "))
        .map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let numbers = [fields[1], fields[2], fields[4], fields[5]].map(hexadecimal);
            // Flags are one to three letters apart, and "E" stands for executable.
            (numbers, fields[6..fields.len() - 1].concat().contains('E'))
        })
        .collect();
    let found: Vec<_> = info
        .segments
        .iter()
        .map(|segment| {
            let numbers = [segment.file_offset.0, segment.address.0, segment.file_size, segment.memory_size];
            (numbers, segment.executable)
        })
        .collect();
    assert!(!found.is_empty(), "{text}");
    assert_eq!(found, listed, "{text}");
    let header = output("readelf", &["-hW", text]);
    assert!(header.contains(match info.elf_type {
        2 => "EXEC (",
        3 => "DYN (",
        other => panic!("{text}: type {other}"),
    }));
}

#[test]
fn real_files_are_what_readelf_says() {
    let supervisor = start(options());
    let mut seen = 0;
    for folder in ["/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/sbin"] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let loadable = |path: &PathBuf| {
            let head = path.is_file().then(|| fs::read(path).ok()).flatten().unwrap_or_default();
            head.starts_with(b"\x7fELF\x02\x01") && matches!(head.get(16), Some(2 | 3))
        };
        for path in paths.into_iter().filter(loadable).take(25) {
            let outcome = identify(&supervisor, &path);
            assert_same_as_readelf(&path, outcome);
            seen += 1;
        }
    }
    assert!(seen >= 50, "only {seen} files");
    assert_eq!(Restart::ALL.map(|reason| supervisor.metrics().restarts(reason)), [0; 3]);
}

/// The largest of some programs and libraries that a host may have, and a few more.
fn files_with_tables() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/bin/true"), std::env::current_exe().unwrap()];
    for name in ["/usr/bin/node", "/usr/bin/git", "/usr/lib/x86_64-linux-gnu/libc.so.6"] {
        files.extend(Some(PathBuf::from(name)).filter(|path| path.is_file()));
    }
    files
}

#[test]
fn the_worker_makes_the_same_tables_as_anybody() {
    let supervisor = start(options());
    let first = worker(&supervisor);
    for path in files_with_tables() {
        let expected = build(&fs::read(&path).unwrap()[..], &Limits::default());
        assert!(expected.is_ok(), "{path:?}");
        assert_eq!(build_table(&supervisor, &path), expected, "{path:?}");
    }
    assert_eq!(supervisor.worker(), Some(first));
    assert_eq!(build_table(&supervisor, "/etc/hostname"), Err(NoTable::Malformed));
    assert_eq!(supervisor.metrics().without_table(NoTable::Malformed), 1);
    assert_eq!(supervisor.metrics().failures(Unidentified::Malformed), 0);
}

#[test]
fn damaged_files_have_some_table_or_none_and_the_worker_survives_them() {
    let supervisor = start(options());
    let first = worker(&supervisor);
    let real = fs::read("/bin/true").unwrap();
    for at in (0..real.len()).step_by(real.len() / 200 + 1) {
        let mut bytes = real.clone();
        let end = real.len().min(at + 64);
        bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0xa5);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let outcome = submit_table(&supervisor, file).recv_timeout(PATIENCE).unwrap();
        let of_the_file =
            !matches!(outcome, Err(NoTable::KilledWorker | NoTable::NoWorker | NoTable::QueueFull));
        assert!(of_the_file, "{at:#x}: {outcome:?}");
    }
    assert_eq!(supervisor.worker(), Some(first));
}

#[test]
fn identifications_go_before_tables_and_those_go_by_their_weight() {
    let supervisor = start(options());
    let (running, worker) = long_job(&supervisor);
    signal(worker, Signal::STOP);
    let (sender, order) = channel();
    let file = || File::open("/bin/true").unwrap().into();
    for index in 0..3 {
        let done = sender.clone();
        // The one in the middle first, then in their order.
        let weight = move || u64::from(index == 1);
        let done = move |outcome: Result<_, _>| done.send(("table", index, outcome.is_ok())).unwrap();
        supervisor.build_table(file(), weight, done);
        let done = sender.clone();
        supervisor.identify(file(), move |outcome| done.send(("identity", index, outcome.is_ok())).unwrap());
    }
    signal(worker, Signal::CONT);
    assert!(running.recv_timeout(PATIENCE).unwrap().is_ok());
    for (kind, indices) in [("identity", [0, 1, 2]), ("table", [1, 0, 2])] {
        for index in indices {
            assert_eq!(order.recv_timeout(PATIENCE).unwrap(), (kind, index, true));
        }
    }
}

#[test]
fn a_table_has_a_deadline_of_its_own() {
    let supervisor = start(Options { table_deadline: Duration::ZERO, ..options() });
    let first = worker(&supervisor);
    // Two workers were given the job, and neither had said a word before time was up.
    let outcome = build_table(&supervisor, "/bin/true");
    assert!(matches!(outcome, Err(NoTable::KilledWorker | NoTable::NoWorker)), "{outcome:?}");
    assert!(supervisor.metrics().restarts(Restart::Hung) >= 1);
    assert!(identify(&supervisor, "/bin/true").is_ok());
    assert_ne!(supervisor.worker(), Some(first));
}

#[test]
fn a_go_binary_has_the_build_id_that_go_says() {
    if Command::new("go").arg("version").output().is_err() {
        eprintln!("go is not installed: nothing to compare with");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.go"), "package main\nfunc main() {}\n").unwrap();
    let build = |name: &str, flags: &str| {
        let status = Command::new("go")
            .args(["build", "-ldflags", flags, "-o", name, "main.go"])
            .current_dir(folder.path())
            .env("GOFLAGS", "-mod=mod")
            .status()
            .unwrap();
        assert!(status.success());
        folder.path().join(name)
    };
    let supervisor = start(options());
    let plain = build("plain", "-B none");
    let info = identify(&supervisor, &plain).unwrap();
    assert_eq!(info.build_id.kind, BuildIdKind::Go);
    let expected = output("go", &["tool", "buildid", plain.to_str().unwrap()]);
    assert_eq!(info.build_id.bytes.as_ref(), expected.trim_end().as_bytes());
    let both = build("both", "-B gobuildid");
    let outcome = identify(&supervisor, &both);
    assert_same_as_readelf(&both, outcome);
}

#[test]
fn the_worker_has_no_rights() {
    let supervisor = start(options());
    let worker = worker(&supervisor);
    let read = |name: &str| fs::read_to_string(format!("/proc/{worker}/{name}")).unwrap();
    let status = read("status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    assert_eq!(field("Threads"), "1");
    let limits = read("limits");
    for limit in [
        "Max address space 536870912 536870912",
        "Max cpu time 120 120",
        "Max open files 8 8",
        "Max file size 0 0",
        "Max core file size 0 0",
        "Max processes 0 0",
    ] {
        let found = limits
            .lines()
            .any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(limit));
        assert!(found, "{limit}: {limits}");
    }
    assert_eq!(read("cmdline"), "parca-agent\0worker\0");
    assert_eq!(read("environ"), "");
    assert_eq!(read("comm"), "parca-worker\n");
    assert_eq!(fs::read_link(format!("/proc/{worker}/cwd")).unwrap(), Path::new("/"));
}

#[test]
fn the_worker_holds_only_its_socket_and_standard_error() {
    let supervisor = start(options());
    // Without close-on-exec, as a careless library would leave one.
    let leaked = File::open("/etc/hostname").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let worker = worker(&supervisor);
    drop(leaked);
    let mut held: Vec<_> = fs::read_dir(format!("/proc/{worker}/fd"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_link(entry.path()).unwrap())
        })
        .collect();
    held.sort();
    let names: Vec<_> = held.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0", "1", "2"]);
    assert!(held[0].1.to_str().unwrap().starts_with("socket:"), "{held:?}");
    assert_eq!(held[1].1, Path::new("/dev/null"));
    assert_eq!(held[2].1, fs::read_link("/proc/self/fd/2").unwrap());
}

#[test]
fn a_worker_killed_while_idle_costs_no_job() {
    let supervisor = start(options());
    let first = worker(&supervisor);
    signal(first, Signal::KILL);
    eventually("the worker dies", || is_gone(first));
    assert!(identify(&supervisor, "/bin/true").is_ok());
    assert_ne!(supervisor.worker(), Some(first));
    assert_eq!(supervisor.metrics().restarts(Restart::Died), 1);
    assert_eq!(supervisor.metrics().failures(Unidentified::KilledWorker), 0);
}

#[test]
fn a_worker_stopped_while_idle_costs_time_but_no_job() {
    let supervisor = start(Options { deadline: Duration::from_secs(2), ..options() });
    let first = worker(&supervisor);
    signal(first, Signal::STOP);
    let waiting: Vec<_> = (0..5).map(|_| submit(&supervisor, File::open("/bin/true").unwrap())).collect();
    for outcome in waiting {
        assert!(outcome.recv_timeout(PATIENCE).unwrap().is_ok());
    }
    assert!(is_gone(first));
    assert_eq!(supervisor.metrics().restarts(Restart::Hung), 1);
}

/// A job of some tenths of a second, taken by the worker but not ended; and the worker.
fn long_job(supervisor: &Supervisor) -> (Receiver<Outcome>, u32) {
    let worker = worker(supervisor);
    let outcome = submit(supervisor, sparse_elf(64 << 20, 0));
    eventually("the worker takes the job", || Path::new(&format!("/proc/{worker}/fd/3")).exists());
    (outcome, worker)
}

#[test]
fn a_job_that_hangs_is_given_up_and_the_rest_goes_on() {
    let supervisor = start(Options { deadline: Duration::from_secs(2), ..options() });
    let (hung, worker) = long_job(&supervisor);
    signal(worker, Signal::STOP);
    let later: Vec<_> = (0..5).map(|_| submit(&supervisor, File::open("/bin/true").unwrap())).collect();
    assert_eq!(hung.recv_timeout(PATIENCE).unwrap(), Err(Unidentified::KilledWorker));
    for outcome in later {
        assert!(outcome.recv_timeout(PATIENCE).unwrap().is_ok());
    }
    assert_eq!(supervisor.metrics().restarts(Restart::Hung), 1);
    assert_eq!(supervisor.metrics().failures(Unidentified::KilledWorker), 1);
}

#[test]
fn a_job_during_which_the_worker_dies_is_blamed_and_the_rest_goes_on() {
    let supervisor = start(options());
    let (blamed, worker) = long_job(&supervisor);
    let later = submit(&supervisor, File::open("/bin/true").unwrap());
    signal(worker, Signal::KILL);
    assert_eq!(blamed.recv_timeout(PATIENCE).unwrap(), Err(Unidentified::KilledWorker));
    assert!(later.recv_timeout(PATIENCE).unwrap().is_ok());
    assert_eq!(supervisor.metrics().restarts(Restart::Died), 1);
}

/// Runs an ignored test of this file in a process of its own, whose output is piped here.
fn run_alone(test: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

// A worker that another test starts meanwhile would have the file too, and wait for its file system.
#[test]
fn a_file_system_that_never_answers_holds_up_one_job_only() {
    assert!(run_alone("silent_file_system").wait().unwrap().success());
}

#[test]
#[ignore = "a_file_system_that_never_answers_holds_up_one_job_only runs this in a process of its own"]
fn silent_file_system() {
    let Some(fuse) = Fuse::mount(fs::read("/bin/true").unwrap()) else {
        eprintln!("this kernel has no FUSE: nothing to wait for");
        return;
    };
    let supervisor = start(Options { deadline: Duration::from_secs(1), ..options() });
    assert!(identify(&supervisor, fuse.file()).is_ok());
    let file = File::open(fuse.file()).unwrap();
    fuse.fall_silent();
    let hung = submit(&supervisor, file);
    let later = submit(&supervisor, File::open("/bin/true").unwrap());
    assert_eq!(hung.recv_timeout(PATIENCE).unwrap(), Err(Unidentified::KilledWorker));
    // The kernel does not let the killed worker die while its request waits.
    assert_eq!(supervisor.metrics().stuck.get(), 1);
    assert!(later.recv_timeout(PATIENCE).unwrap().is_ok());
    drop(fuse);
    eventually("the killed worker is reaped", || {
        identify(&supervisor, "/bin/true").unwrap();
        supervisor.metrics().stuck.get() == 0
    });
}

#[test]
fn hostile_files_are_malformed_and_the_worker_survives_them() {
    let supervisor = start(options());
    let first = worker(&supervisor);
    let real = fs::read("/bin/true").unwrap();
    for at in (0..64).chain((64..2048).step_by(7)) {
        let mut bytes = real.clone();
        bytes[at] ^= 0xff;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        // Whatever comes of it, an answer comes.
        let outcome = submit(&supervisor, file).recv_timeout(PATIENCE).unwrap();
        assert!(matches!(outcome, Ok(_) | Err(Unidentified::Malformed)), "byte {at}: {outcome:?}");
    }
    let (reader, _writer) = std::io::pipe().unwrap();
    let cases: [(&str, OwnedFd, Unidentified); 4] = [
        ("empty", tempfile::tempfile().unwrap().into(), Unidentified::Malformed),
        ("pipe", reader.into(), Unidentified::Malformed),
        ("directory", File::open("/").unwrap().into(), Unidentified::Malformed),
        ("more code than is hashed", sparse_elf(257 << 20, 0).into(), Unidentified::TooLarge),
    ];
    for (name, file, expected) in cases {
        assert_eq!(submit(&supervisor, file).recv_timeout(PATIENCE).unwrap(), Err(expected), "{name}");
    }
    assert_eq!(supervisor.worker(), Some(first));
}

#[test]
fn a_job_that_needs_more_memory_than_the_worker_has_is_an_error() {
    let supervisor = start(options());
    let large = || sparse_elf(4096, 60_000);
    assert!(submit(&supervisor, large()).recv_timeout(PATIENCE).unwrap().is_ok());
    // 1 MiB more than it has now; the table of program headers takes 3.
    let first = supervisor.worker().unwrap();
    let pages: u64 = fs::read_to_string(format!("/proc/{first}/statm"))
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let limit = Some(pages * 4096 + (1 << 20));
    let process = Pid::from_raw(i32::try_from(first).unwrap());
    rustix::process::prlimit(process, Resource::As, Rlimit { current: limit, maximum: limit }).unwrap();
    let outcome = submit(&supervisor, large()).recv_timeout(PATIENCE).unwrap();
    assert!(matches!(outcome, Err(Unidentified::Malformed | Unidentified::KilledWorker)), "{outcome:?}");
    assert!(identify(&supervisor, "/bin/true").is_ok());
}

#[test]
fn a_full_queue_refuses_at_once() {
    let supervisor = start(Options { queue: 2, ..options() });
    let (running, worker) = long_job(&supervisor);
    signal(worker, Signal::STOP);
    let waiting: Vec<_> = (0..2).map(|_| submit(&supervisor, File::open("/bin/true").unwrap())).collect();
    let refused = submit(&supervisor, File::open("/bin/true").unwrap());
    assert_eq!(refused.try_recv(), Ok(Err(Unidentified::QueueFull)));
    assert_eq!(supervisor.metrics().queued.get(), 2);
    signal(worker, Signal::CONT);
    for outcome in waiting.into_iter().chain([running]) {
        assert!(outcome.recv_timeout(PATIENCE).unwrap().is_ok());
    }
    assert_eq!(supervisor.metrics().failures(Unidentified::QueueFull), 1);
}

#[test]
fn a_worker_that_has_worked_enough_is_replaced() {
    let supervisor = start(Options { jobs_per_worker: 2, ..options() });
    for _ in 0..5 {
        assert!(identify(&supervisor, "/bin/true").is_ok());
    }
    assert_eq!(supervisor.metrics().restarts(Restart::Recycled), 2);
    assert_eq!(supervisor.metrics().restarts(Restart::Died), 0);
}

#[test]
fn without_any_worker_jobs_fail_and_nothing_else_does() {
    let supervisor = start(Options { program: PathBuf::from("/nonexistent"), ..options() });
    assert_eq!(identify(&supervisor, "/bin/true"), Err(Unidentified::NoWorker));
    assert_eq!(supervisor.worker(), None);
    assert_eq!(supervisor.metrics().failures(Unidentified::NoWorker), 1);
}

/// A program that answers every job with the same bytes, as one under a stranger's control might.
fn lying_worker(folder: &Path, answers: &[&str]) -> Options {
    let program = folder.join("liar");
    let mut script = String::from("#!/bin/sh\n");
    for answer in answers {
        script.push_str(&format!("printf '{answer}' >&0\n"));
    }
    script.push_str("exec sleep 1000\n");
    // Written by another process: a worker that another test starts meanwhile would inherit a descriptor
    // that was open for writing here, and the kernel executes no file that is open for writing.
    let mut install = Command::new("install")
        .args(["-m", "700", "/dev/stdin"])
        .arg(&program)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    install.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(install.wait().unwrap().success());
    Options { program, deadline: Duration::from_secs(5), ..Options::default() }
}

#[test]
fn a_worker_that_lies_is_killed() {
    const STARTED: &str = r"\001\000\000\000\000\000\000\000\000";
    const LAST: &str = r"\001\000\000\000\000\000\000\000\002";
    let folder = tempfile::tempdir().unwrap();
    let lie = |bytes: &str| format!("{LAST}{bytes}");
    // A build id of 3 bytes; more after the end; no such result.
    for reply in [r"\000\000\003\000abc", r"\001\001", r"\011"] {
        let supervisor = start(lying_worker(folder.path(), &[STARTED, &lie(reply)]));
        assert_eq!(identify(&supervisor, "/bin/true"), Err(Unidentified::KilledWorker), "{reply}");
        assert_eq!(supervisor.metrics().restarts(Restart::Died), 1, "{reply}");
    }
    for reply in [r"\001\001", r"\377", r"\000\076\000\000"] {
        let supervisor = start(lying_worker(folder.path(), &[STARTED, &lie(reply)]));
        assert_eq!(build_table(&supervisor, "/bin/true"), Err(NoTable::KilledWorker), "{reply}");
    }
    // Padding of 64 bytes; a copy that ends nowhere; parts that are not there.
    let plans = [
        r"\001\000\000\000\002\100".to_owned(),
        format!(r"\001\000\000\000\001{}", r"\377".repeat(16)),
        r"\377\377\377\377".to_owned(),
    ];
    for plan in plans {
        let reply = format!(r"\000\000\000\000\000\000{plan}");
        let supervisor = start(lying_worker(folder.path(), &[STARTED, &lie(&reply)]));
        assert_eq!(extract(&supervisor, "/bin/true"), Err(NoExtraction::KilledWorker), "{reply}");
        assert_eq!(supervisor.metrics().without_extraction(NoExtraction::KilledWorker), 1);
    }
    // Nonsense before the job was taken says nothing about the file.
    let supervisor = start(lying_worker(folder.path(), &["nonsense"]));
    assert_eq!(identify(&supervisor, "/bin/true"), Err(Unidentified::NoWorker));
}

#[test]
fn dropping_the_supervisor_ends_the_worker_and_tells_every_job() {
    let supervisor = start(options());
    let (running, worker) = long_job(&supervisor);
    signal(worker, Signal::STOP);
    let waiting = submit(&supervisor, File::open("/bin/true").unwrap());
    drop(supervisor);
    assert!(is_gone(worker));
    assert_eq!(running.try_recv(), Ok(Err(Unidentified::QueueFull)));
    assert_eq!(waiting.try_recv(), Ok(Err(Unidentified::QueueFull)));
}

#[test]
#[ignore = "the agent of the_worker_dies_with_the_agent, which runs this in a process of its own"]
fn agent_with_a_busy_worker() {
    let supervisor = start(options());
    let (_running, worker) = long_job(&supervisor);
    println!("\nworker {worker}");
    std::thread::sleep(PATIENCE);
}

#[test]
fn the_worker_dies_with_the_agent() {
    let mut agent = run_alone("agent_with_a_busy_worker");
    let lines = BufReader::new(agent.stdout.take().unwrap()).lines();
    let worker =
        lines.map(Result::unwrap).find_map(|line| line.strip_prefix("worker ")?.parse().ok()).unwrap();
    assert!(!is_gone(worker));
    agent.kill().unwrap();
    agent.wait().unwrap();
    let begun = Instant::now();
    eventually("the worker dies", || is_gone(worker));
    assert!(begun.elapsed() < Duration::from_secs(1));
}
