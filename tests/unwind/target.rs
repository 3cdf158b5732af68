//! A running program of the table.

use super::chain::Chain;
use super::names::Executable;
use super::process;
use super::program::{Place, Program, unique};
use super::recipe;
use super::table::{Case, Start};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Copies the program to a file system that only its own mount namespace has, and starts it from there.
const NAMESPACE: &str = "folder=$(dirname \"$1\")/inner && mkdir \"$folder\" && mount -t tmpfs none \"$folder\" \
     && cp \"$1\" \"$folder\" && name=$folder/$(basename \"$1\") && shift && exec \"$name\" \"$@\"";

/// A program of the table that runs.
pub(crate) struct Target {
    pub(crate) case: &'static Case,
    pub(crate) executable: Executable,
    pub(crate) began: SystemTime,
    /// The stacks that have to be there.
    pub(crate) chains: Vec<Chain>,
    /// Those that may.
    pub(crate) others: Vec<Chain>,
    program: Program,
}

impl Target {
    /// Makes the program and starts it.
    pub(crate) fn start(case: &'static Case) -> Self {
        for (name, recipe) in case.libraries {
            recipe.make(name);
        }
        let made = case.recipe.make(case.name);
        let comm = unique(case.name);
        let (built, program) = start(case, &made, &comm);
        if case.start == Start::Deleted {
            std::fs::remove_file(&program.path).unwrap();
            std::fs::copy("/bin/true", &program.path).unwrap();
        }
        let vdso = vdso(program.id());
        let parse = |chains: &[&str]| chains.iter().map(|chain| Chain::parse(chain)).collect();
        Self {
            case,
            executable: Executable { comm, built, vdso },
            began: SystemTime::now(),
            chains: parse(case.stacks),
            others: parse(case.others),
            program,
        }
    }

    /// The processes that do the work.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let children = process::children_of(self.program.id());
        if children.is_empty() { vec![self.program.id()] } else { children }
    }
}

/// Starts what a recipe has made, and says in which file its code is.
fn start(case: &Case, made: &Path, comm: &str) -> (PathBuf, Program) {
    let arguments: Vec<String> = case.arguments.iter().map(|argument| recipe::in_folder(argument)).collect();
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let made_text = made.to_str().unwrap();
    match case.start {
        Start::Plain | Start::Deleted => {
            (made.to_owned(), Program::start_by(&[], made, Place::Copy, comm.as_ref(), &arguments))
        }
        Start::Namespace => {
            let launcher = ["unshare", "--mount", "sh", "-c", NAMESPACE, "sh"];
            (made.to_owned(), Program::start_by(&launcher, made, Place::Copy, comm.as_ref(), &arguments))
        }
        Start::Padded(size) => {
            let padded = super::padded::pad(made, size);
            let program = Program::start_by(&[], &padded, Place::Link, comm.as_ref(), &arguments);
            (padded, program)
        }
        Start::By(interpreter) => {
            let interpreter = find(interpreter);
            arguments.push(made_text);
            let program = Program::start_by(&[], &interpreter, Place::Link, comm.as_ref(), &arguments);
            (interpreter, program)
        }
        Start::Java => {
            let java = find("java");
            let line: Vec<&str> = ["-cp", made_text].into_iter().chain(arguments).collect();
            let program = Program::start_by(&[], &java, Place::Link, comm.as_ref(), &line);
            (java, program)
        }
    }
}

/// A program of this machine, behind all links and wrappers.
fn find(name: &str) -> PathBuf {
    let script = match name {
        // It may be a script that looks for the right one.
        "python3" => "python3 -c 'import sys; print(sys.executable)'",
        "node" => "command -v node",
        "java" => "command -v java",
        _ => panic!("nobody knows where to find {name}"),
    };
    let package = match name {
        "java" => "default-jre-headless",
        "node" => "nodejs",
        other => other,
    };
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "there is no {name}: install the Debian package {package}");
    let path = String::from_utf8(output.stdout).unwrap();
    std::fs::canonicalize(path.trim_end()).unwrap()
}

/// Where a process has the kernel's page of code.
fn vdso(process: u32) -> std::ops::Range<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    let range = line.and_then(|line| line.split(' ').next()?.split_once('-'));
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    range.map_or(0..0, |(start, end)| number(start)..number(end))
}

impl Target {
    /// How long after its start a program may still be about to begin its work.
    pub(crate) const WARM_UP: Duration = Duration::from_millis(500);
}
