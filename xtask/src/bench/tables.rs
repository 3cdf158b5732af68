//! What unwind tables cost: their size beside that of the files, the time to make them, and the memory that takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{command, workspace};

/// The program that counts, an example of the agent's.
const EXAMPLE: &str = "unwind_rows";

/// Lines of its answer that are shown.
const SHOWN: [&str; 6] = ["files", "ELF bytes", "rows", "table bytes", "speed", "peak resident"];

/// Prints the figures of the files that running processes map, and of some of the largest that there are.
pub(super) fn print() -> Result<()> {
    command::run(workspace::cargo("build")?.args([
        "--release",
        "--package",
        "parca-agent",
        "--example",
        EXAMPLE,
    ]))?;
    let program = workspace::target_dir()?.join("release/examples").join(EXAMPLE);
    let show = |what: &str, files: &[PathBuf]| -> Result<()> {
        let text = command::output(Command::new(&program).arg("--statistics").args(files))?;
        println!("  {what}: {}", shown(&text));
        Ok(())
    };
    println!("\ntables");
    let mapped: Vec<PathBuf> = mapped_files().into_iter().collect();
    show("files of running processes", &mapped)?;
    for file in large_files() {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        show(&name, &[file])?;
    }
    Ok(())
}

/// The lines that are shown, in one.
fn shown(text: &str) -> String {
    let line = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("  "))?.trim();
        Some(format!("{name} {value}"))
    };
    SHOWN.iter().filter_map(|name| line(name)).collect::<Vec<_>>().join("; ")
}

/// Files with code that any process has mapped, by their paths here.
fn mapped_files() -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        // One that ended meanwhile has none.
        let maps = fs::read_to_string(process.path().join("maps")).unwrap_or_default();
        files.extend(maps.lines().filter_map(executable).map(PathBuf::from));
    }
    files.retain(|file| file.is_file());
    files
}

/// The path in a line of `/proc/PID/maps`, if it is of code.
fn executable(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    let path = line.get(line.find('/')?..)?;
    (rest.as_bytes().get(2) == Some(&b'x')).then_some(path)
}

/// The compiler's libraries and node, where they are.
fn large_files() -> Vec<PathBuf> {
    let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"])).unwrap_or_default();
    let libraries = fs::read_dir(Path::new(sysroot.trim()).join("lib")).into_iter().flatten().flatten();
    let is_large = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("librustc_driver") || name.starts_with("libLLVM.so")
    };
    let mut files: Vec<PathBuf> = libraries.map(|library| library.path()).filter(is_large).collect();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let node = std::env::split_paths(&paths).map(|folder| folder.join("node")).find(|file| file.is_file());
    files.extend(node);
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_code_count() {
        let line = |mode: &str, path: &str| format!("7f00-7f10 {mode} 00001000 fe:00 77         {path}");
        for (mode, path, expected) in [
            ("r-xp", "/usr/lib/a b.so", Some("/usr/lib/a b.so")),
            ("r--p", "/usr/lib/libc.so.6", None),
            ("r-xp", "[vdso]", None),
            ("rwxp", "", None),
        ] {
            assert_eq!(executable(&line(mode, path)), expected, "{mode} {path}");
        }
    }

    #[test]
    fn some_lines_are_shown_in_one() {
        let text = "files                3\nELF bytes            5.0 MB\nrows of the files    9\nrows                 4\n";
        assert_eq!(shown(text), "files 3; ELF bytes 5.0 MB; rows 4");
    }
}
