//! `cargo xtask tidy`: the house rules that no compiler knows, checked by reading the tree.
//!
//! One module holds one rule, with what it allows as a table at its top. A rule is a function of what it
//! reads, so each has a test with an input that it refuses.

mod doors;
mod layers;
mod path;
mod runtime;
mod size;
mod source;
mod top;
mod unsafe_code;
mod words;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use argh::FromArgs;

use crate::{command, workspace};
use source::Source;

/// Check the house rules: layers, doors, sizes, unsafe code, words, names.
#[derive(FromArgs)]
#[argh(subcommand, name = "tidy")]
pub(crate) struct Tidy {}

/// One thing a rule objects to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// Relative to the project.
    path: PathBuf,
    /// Counted from 1; 0 for the file as a whole.
    line: usize,
    message: String,
    /// Whether it is merely worth a look.
    warning: bool,
}

impl Finding {
    fn new(path: &Path, line: usize, message: String) -> Self {
        Self { path: path.to_owned(), line, message, warning: false }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning" } else { "error" };
        write!(formatter, "{}:{}: {kind}: {}", self.path.display(), self.line, self.message)
    }
}

pub(crate) fn run(_: &Tidy) -> Result<()> {
    let root = workspace::root()?;
    let paths = files(&root)?;
    let mut findings = top::check(&paths);
    for path in &paths {
        let Some(text) = read(&root, path)? else { continue };
        findings.extend(words::check(path, &text));
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = Source::new(path, &text);
            let named = path::paths(&source);
            findings.extend(size::check(&source));
            findings.extend(unsafe_code::check(&source));
            findings.extend(layers::check(&source, &named));
            findings.extend(doors::check(&source, &named));
        }
    }
    findings.extend(runtime::check()?);

    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| !finding.warning).count();
    if errors > 0 {
        bail!("tidy objects to {errors} places");
    }
    println!("tidy: {} files", paths.len());
    Ok(())
}

/// The files of the project, relative to it: what git tracks or would.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = command::output(&mut git).context("tidy reads the files that git knows")?;
    Ok(list.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect())
}

/// The text of a file; nothing if it is not text, or deleted but still tracked.
fn read(root: &Path, path: &Path) -> Result<Option<String>> {
    match fs::read(root.join(path)) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
