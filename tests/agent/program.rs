//! Programs that the tests profile.

use super::workload;
use super::{meter::Meter, process};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Priority of a program that only loads the machine: it must leave the agent its share.
const LOAD: i32 = 5;

/// Starts a program that runs all the time, on a CPU that it has for itself.
const MEASURED: [&str; 3] = ["chrt", "--fifo", "1"];

/// How often other processes of the machine may take a chosen process id first.
const TRIES: usize = 200;

/// A running program, under a name that nothing else on the machine has.
pub(crate) struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    _directory: TempDir,
    pub(crate) path: PathBuf,
}

impl Program {
    /// Starts a workload in a file of another name, which is also its command name if it is at most 15
    /// bytes. Returns when its work begins.
    pub(crate) fn start(workload: &str, name: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        Self::start_file(&workload::build(workload), name.as_ref(), arguments)
    }

    /// The same with one thread whose samples are to be counted: it runs all the time, whatever else the
    /// machine does, on a CPU that it has for itself.
    pub(crate) fn start_measured(workload: &str, name: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        Self::start_by(&MEASURED, &workload::build(workload), name.as_ref(), arguments)
    }

    /// The same under a process id that is free. Fails where the kernel does not let us choose one.
    pub(crate) fn start_measured_as(id: u32, workload: &str, name: &str) -> std::io::Result<Self> {
        let placed = Placed::new(&workload::build(workload), name.as_ref());
        for _ in 0..TRIES {
            // The id that the kernel gave last: it gives the next free one.
            std::fs::write("/proc/sys/kernel/ns_last_pid", (id - 1).to_string())?;
            let mut child = placed.spawn(&MEASURED, &[]);
            if child.id() == id {
                return Ok(placed.begun(child));
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        panic!("no process got the id {id} in {TRIES} tries");
    }

    /// The same with threads enough to keep every CPU busy, behind everything else that runs.
    pub(crate) fn start_load() -> Self {
        let load = Self::start("threads", unique("load"), &["60", "8"]);
        for thread in std::fs::read_dir(format!("/proc/{}/task", load.id())).unwrap() {
            let thread = thread.unwrap().file_name().to_str().unwrap().parse().unwrap();
            rustix::process::setpriority_process(Some(process::pid(thread)), LOAD).unwrap();
        }
        load
    }

    /// The same with any executable that prints a line when its work begins.
    pub(crate) fn start_file(executable: &Path, name: &OsStr, arguments: &[&str]) -> Self {
        Self::start_by(&[], executable, name, arguments)
    }

    fn start_by(launcher: &[&str], executable: &Path, name: &OsStr, arguments: &[&str]) -> Self {
        let placed = Placed::new(executable, name);
        let child = placed.spawn(launcher, arguments);
        placed.begun(child)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A meter of its CPU time.
    pub(crate) fn meter(&self) -> Meter {
        Meter::start(self.id())
    }

    /// Waits for its next line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Waits until it has ended by itself, and tells the CPU time of its children.
    pub(crate) fn end(&mut self) -> Duration {
        let mut rest = Vec::new();
        self.output.read_to_end(&mut rest).unwrap();
        let id = self.id();
        process::eventually("the program has ended", Duration::from_secs(10), || process::has_ended(id));
        process::cpu_time_of_children(id).unwrap()
    }

    /// Kills it and tells its CPU time.
    pub(crate) fn kill(&mut self) -> Duration {
        self.child.kill().unwrap();
        let id = self.id();
        process::eventually("the program is dead", Duration::from_secs(10), || process::has_ended(id));
        let used = process::cpu_time(id).unwrap();
        self.child.wait().unwrap();
        used
    }
}

/// A copy of an executable under its own name, to be started.
struct Placed {
    directory: TempDir,
    path: PathBuf,
}

impl Placed {
    fn new(executable: &Path, name: &OsStr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(executable, &path).unwrap();
        Self { directory, path }
    }

    fn spawn(&self, launcher: &[&str], arguments: &[&str]) -> Child {
        let line: Vec<_> = launcher.iter().map(OsStr::new).chain([self.path.as_os_str()]).collect();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).args(arguments).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until its work begins.
    fn begun(self, mut child: Child) -> Program {
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{} did not begin", self.path.display());
        Program { child, output, _directory: self.directory, path: self.path }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command name for one test: unlike any other on the machine, and within the kernel's 15 bytes.
pub(crate) fn unique(word: &str) -> String {
    let name = format!("{word}-{}", std::process::id());
    assert!(name.len() < 16, "{name} is too long for a command name");
    name
}

/// Compiles a program or library that only these tests use.
pub(crate) fn compile(source: &str, output: &str, flags: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(output);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/programs").join(source);
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.args(["-std=gnu11", "-O2", "-fno-omit-frame-pointer", "-o"]).arg(&path).arg(source).args(flags);
    let result = command.output().unwrap();
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    path
}

/// A name of bytes.
pub(crate) fn bytes(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}
