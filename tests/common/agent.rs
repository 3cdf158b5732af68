//! A running agent.

use super::http::{self, Response};
use super::metrics::Metrics;
use super::process;
use super::profile::Profile;
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_parca-agent");

/// Longer than a start takes on a loaded machine with an unoptimised build.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Promised from SIGTERM to the end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Queries that may find nothing before the window that they want is closed.
const LATE_WINDOWS: usize = 4;
/// Highest priority: what is tested is not whether the agent gets the CPU.
const PRIORITY: i32 = -20;

/// Held by whoever runs an agent: two would count each other's work.
static MACHINE: Mutex<()> = Mutex::new(());

/// A running agent, which ends with the test.
pub(crate) struct Agent {
    child: Child,
    /// The agent's own, where the child is a launcher that waits for it.
    process: u32,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    temporary: TempDir,
    /// Held by the first of those that run beside each other.
    _machine: Option<MutexGuard<'static, ()>>,
}

impl Agent {
    /// Starts the program under test, and returns when it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_by(&[], arguments)
    }

    /// The same through a program that executes it, such as setpriv(1), or runs it, as unshare(1) does with `--fork`.
    pub(crate) fn start_by(launcher: &[&str], arguments: &[&str]) -> Self {
        Self::start_with(Some(MACHINE.lock().unwrap_or_else(PoisonError::into_inner)), launcher, arguments)
    }

    /// Starts another one, for a test in which nothing is counted that they do to each other. It may not outlive this
    /// one.
    pub(crate) fn start_beside(&self, launcher: &[&str], arguments: &[&str]) -> Self {
        Self::start_with(None, launcher, arguments)
    }

    fn start_with(machine: Option<MutexGuard<'static, ()>>, launcher: &[&str], arguments: &[&str]) -> Self {
        // Of this thread, and what it starts inherits it.
        let _ = rustix::process::setpriority_process(None, PRIORITY);
        let temporary = shared_directory();
        let mut child = command(launcher, arguments, temporary.path()).spawn().unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, output) = (log.clone(), BufReader::new(child.stderr.take().unwrap()));
        let reader = std::thread::spawn(move || {
            for line in output.split(b'\n') {
                lines.lock().unwrap().push(String::from_utf8(line.unwrap()).unwrap());
            }
        });
        let begun = Instant::now();
        let address = loop {
            if let Some(address) = log.lock().unwrap().iter().find_map(|line| address_in(line)) {
                break address;
            }
            let ended = child.try_wait().unwrap();
            let waiting = ended.is_none() && begun.elapsed() < START_LIMIT;
            assert!(waiting, "the agent did not start ({ended:?}): {:#?}", log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(5));
        };
        let process = if launcher.contains(&"--fork") {
            process::children(child.id(), PROGRAM).pop().unwrap()
        } else {
            child.id()
        };
        let agent = Self { child, process, address, log, reader: Some(reader), temporary, _machine: machine };
        process::eventually("the agent is ready", START_LIMIT, || {
            http::get(address, "/-/ready").is_ok_and(|response| response.status == 200)
        });
        agent.favour_worker();
        agent
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Asks for a page or file.
    pub(crate) fn get(&self, target: &str) -> Response {
        http::get(self.address, target).unwrap()
    }

    /// Its metrics.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::parse(self.get("/metrics").expect_ok().text())
    }

    /// What `/api/v1/targets` tells.
    pub(crate) fn targets(&self) -> serde_json::Value {
        serde_json::from_slice(&self.get("/api/v1/targets").expect_ok().body).unwrap()
    }

    /// Waits for the next profile that matches.
    pub(crate) fn profile(&self, selector: &str) -> Profile {
        let target = format!("/query?query={}", http::encode(selector));
        // A loaded machine may close a window later than a query waits.
        let answer = (0..LATE_WINDOWS).map(|_| self.get(&target)).find(|answer| answer.status != 404);
        Profile::decode(answer.unwrap_or_else(|| panic!("no profile of {selector}")).expect_ok().body)
    }

    /// Waits for the next window, and takes the profile of all that ran. Something runs for sure: on an idle
    /// machine a window may hold no sample.
    pub(crate) fn next_window(&self) -> Profile {
        let _work = Work::start();
        self.profile("{}")
    }

    /// Waits for a profile of a command name, of a window that began after some moment.
    pub(crate) fn profile_since(&self, comm: &str, moment: std::time::SystemTime) -> Profile {
        // One window may be under way, and a loaded machine may be late with the next.
        for _ in 0..4 {
            let profile = self.profile(&selector(comm));
            if profile.start() >= moment {
                return profile;
            }
        }
        panic!("no window of {comm} began after {moment:?}");
    }

    /// The same, of a window in which the program's file is identified: its frames have ELF addresses then.
    pub(crate) fn identified(&self, comm: &str, program: &Path, moment: std::time::SystemTime) -> Profile {
        for _ in 0..12 {
            let profile = self.profile_since(comm, moment);
            let rows = &profile.message.mapping;
            let own = rows.iter().find(|row| Path::new(profile.text(row.filename)) == program);
            if own.is_some_and(|row| !profile.text(row.build_id).is_empty()) {
                return profile;
            }
            self.favour_worker();
        }
        panic!("{} is still not identified", program.display());
    }

    /// The worker stands back behind all others, and on a loaded machine would keep a test waiting.
    pub(crate) fn favour_worker(&self) {
        for worker in process::children(self.id(), "worker") {
            let _ = rustix::process::setpriority_process(Some(process::pid(worker)), PRIORITY);
        }
    }

    /// Ends it as a service manager does. It must end cleanly and in time.
    pub(crate) fn stop(mut self) -> Vec<String> {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        let status = self.wait(STOP_LIMIT);
        assert_eq!(status.code(), Some(0), "{:#?}", self.log());
        assert!(begun.elapsed() < STOP_LIMIT);
        self.reader.take().unwrap().join().unwrap();
        let left: Vec<_> = std::fs::read_dir(self.temporary.path()).unwrap().collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        self.log()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(self.id(), signal);
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, limit: Duration) -> std::process::ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < limit, "the agent still runs after {limit:?}: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended, as most tests want it to.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("log of the agent: {:#?}", self.log());
        }
    }
}

/// How an agent ended that was not to start.
pub(crate) struct Refused {
    pub(crate) code: Option<i32>,
    pub(crate) error: String,
}

/// Runs an agent that must end by itself.
pub(crate) fn refused(arguments: &[&str]) -> Refused {
    refused_by(&[], arguments)
}

/// The same through a program that executes it. Nothing of it may be left.
pub(crate) fn refused_by(launcher: &[&str], arguments: &[&str]) -> Refused {
    let temporary = shared_directory();
    let mut child = command(launcher, arguments, temporary.path()).spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > START_LIMIT {
            child.kill().unwrap();
            panic!("the agent runs with {launcher:?} {arguments:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(
        std::fs::read_dir(temporary.path()).unwrap().count(),
        0,
        "left behind in the temporary directory"
    );
    Refused { code: status.code(), error }
}

/// The selector of a command name.
pub(crate) fn selector(comm: &str) -> String {
    format!("{{comm=\"{}\"}}", parca_agent::label::escape_value(comm))
}

fn command(launcher: &[&str], arguments: &[&str], temporary: &Path) -> Command {
    assert!(rustix::process::geteuid().is_root(), "these tests profile this machine: run them as root");
    let mut line: Vec<&str> = launcher.to_vec();
    line.push(PROGRAM);
    let mut command = Command::new(line[0]);
    command.args(&line[1..]).args(arguments);
    let has = |flag: &str| arguments.iter().any(|argument| argument.starts_with(flag));
    if !has("--http-address") {
        command.arg("--http-address=127.0.0.1:0");
    }
    if !has("--temp-dir") {
        command.arg("--temp-dir").arg(temporary);
    }
    if !has("--unwind-table-cache") {
        // What another test left must not matter either.
        command.arg("--unwind-table-cache=off");
    }
    // The machine's own configuration must not matter here.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A directory that any user may write to, as `/tmp` is.
fn shared_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    directory
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let url = line.split("url=").nth(1).filter(|_| line.contains("msg=\"serving\""))?;
    url.trim_matches('"').strip_prefix("http://")?.split('/').next()?.parse().ok()
}

/// A thread that runs a fifth of the time, until this is dropped.
struct Work(Arc<AtomicBool>);

impl Work {
    fn start() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let work = Self(ended.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(10) {
                    std::hint::spin_loop();
                }
                std::thread::sleep(Duration::from_millis(40));
            }
        });
        work
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
