//! Programs that the tests profile.

use super::compiler;
use super::workload;
use super::{meter::Meter, process};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Priority of a program that only loads the machine: it must leave the agent its share.
const LOAD: i32 = 5;

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
        Self::start_file_measured(&workload::build(workload), name.as_ref(), arguments)
    }

    /// The same with a workload that was built before.
    pub(crate) fn start_file_measured(executable: &Path, name: &OsStr, arguments: &[&str]) -> Self {
        Self::start_by(&["chrt", "--fifo", "1"], executable, name, arguments)
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

    /// The same through a program that executes it, such as chrt(1).
    pub(crate) fn start_through(launcher: &[&str], workload: &str, name: &str, arguments: &[&str]) -> Self {
        Self::start_by(launcher, &workload::build(workload), name.as_ref(), arguments)
    }

    fn start_by(launcher: &[&str], executable: &Path, name: &OsStr, arguments: &[&str]) -> Self {
        Self::start_placed(launcher, name, arguments, |path| copy(executable, path))
    }

    /// Starts what `place` puts at the path that it is given, which ends with the name, through a program
    /// that executes it.
    pub(crate) fn start_placed(
        launcher: &[&str],
        name: &OsStr,
        arguments: &[&str],
        place: impl FnOnce(&Path),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        place(&path);
        let line: Vec<_> = launcher.iter().map(OsStr::new).chain([path.as_os_str()]).collect();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).args(arguments).stdout(Stdio::piped());
        let (child, output) = begin(&mut command);
        Self { child, output, _directory: directory, path }
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
    let path = compiler::folder("agent").join(output);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/programs").join(source);
    let mut command = compiler::C.command();
    command.args(["-std=gnu11", "-O2", "-fno-omit-frame-pointer", "-o"]).arg(&path).arg(source).args(flags);
    compiler::C.run(command);
    path
}

/// Starts a command and waits for its first line. What a test has just written may be busy: where another test
/// forks at that moment, its child has the file open for writing until it executes another.
fn begin(command: &mut Command) -> (Child, BufReader<ChildStdout>) {
    for _ in 0..BUSY_TRIES {
        let mut child = match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(BUSY_WAIT);
                continue;
            }
            child => child.unwrap(),
        };
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        if !line.is_empty() {
            return (child, output);
        }
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(CANNOT_EXECUTE), "{command:?} did not begin: {status}");
        std::thread::sleep(BUSY_WAIT);
    }
    panic!("{command:?} cannot be executed");
}

/// How often a file that is busy is tried, and how long is waited in between.
const BUSY_TRIES: usize = 20;
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// The exit status of a launcher that cannot execute what it is given.
const CANNOT_EXECUTE: i32 = 126;

/// Copies a file.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

/// A name of bytes.
pub(crate) fn bytes(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}
