//! Debug information of the machine's largest programs and libraries, sent as the agent does, beside what objcopy takes
//! to make debug files of the same: it reads and writes them and sends nothing.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::Programs;
use super::server::Server;
use crate::bench::contender::Tools;
use crate::bench::megabytes;
use crate::metrics::Metrics;

/// Files that are sent.
const FILES: usize = 200;

/// Where programs and libraries are.
const FOLDERS: [&str; 5] = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/opt"];

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Uploads {
    files: u64,
    file_bytes: f64,
    sent_bytes: f64,
    seconds: f64,
    cpu_seconds: f64,
    /// Beyond what the process had before.
    memory_bytes: u64,
    worker_peak_bytes: u64,
    objcopy_seconds: Option<f64>,
}

/// What the example `debuginfo_load` tells.
#[derive(Debug, Deserialize)]
struct Told {
    files: u64,
    seconds: f64,
    cpu_seconds: f64,
    before_kib: u64,
    peak_kib: u64,
    worker_peak_kib: u64,
    metrics: String,
}

pub(super) fn measure(programs: &Programs, tools: &Tools) -> Result<Uploads> {
    let files = largest()?;
    eprintln!("+ uploads: debug information of {} files", files.len());
    let server = Server::start(&programs.server)?;
    let output = Command::new(&programs.uploads)
        .env("AGENT", &tools.agent)
        .arg(&server.address)
        .args(&files)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot send debug information")?;
    ensure!(output.status.success(), "debug information was not sent: {}", output.status);
    let told: Told = serde_json::from_slice(&output.stdout).context("no JSON from debuginfo_load")?;
    let metrics = Metrics::parse(&told.metrics);
    Ok(Uploads {
        files: told.files,
        file_bytes: metrics.sum("debuginfo_uploaded_file_bytes_total"),
        sent_bytes: metrics.sum("debuginfo_uploaded_bytes_total"),
        seconds: told.seconds,
        cpu_seconds: told.cpu_seconds,
        memory_bytes: told.peak_kib.saturating_sub(told.before_kib) * 1024,
        worker_peak_bytes: told.worker_peak_kib * 1024,
        objcopy_seconds: objcopy(&files, &tools.folder),
    })
}

/// The largest ELF files, each inode once.
fn largest() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).filter(|path| path.is_dir()).collect();
    while let Some(folder) = folders.pop() {
        // What cannot be read is not there.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.is_file() && is_elf(&entry.path()) {
                found.push((metadata.len(), metadata.ino(), entry.path()));
            }
        }
    }
    found.sort_by(|left, right| right.cmp(left));
    found.dedup_by_key(|(_, inode, _)| *inode);
    found.truncate(FILES);
    ensure!(!found.is_empty(), "no programs in {}", FOLDERS.join(", "));
    Ok(found.into_iter().map(|(_, _, path)| path).collect())
}

fn is_elf(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok()) && magic == *b"\x7fELF"
}

/// Nothing where it is not installed.
fn objcopy(files: &[PathBuf], folder: &Path) -> Option<f64> {
    let output = folder.join("objcopy.debug");
    let begun = Instant::now();
    for file in files {
        let mut command = Command::new("objcopy");
        command.arg("--only-keep-debug").arg(file).arg(&output);
        // It refuses some; the time counts.
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let _ = fs::remove_file(&output); // there may be none
    Some(seconds)
}

impl fmt::Display for Uploads {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, sent) = (megabytes(self.file_bytes as u64), megabytes(self.sent_bytes as u64));
        writeln!(
            formatter,
            "uploads: debug information of the {} largest programs and libraries, two at a time, to a server that keeps it",
            self.files
        )?;
        writeln!(formatter, "  {from:.0} MB of files, {sent:.1} MB sent ({:.1} %)", sent / from * 100.0)?;
        writeln!(
            formatter,
            "  {:.1} s ({:.0} MB of files a second), {:.2} s of CPU without the worker's",
            self.seconds,
            from / self.seconds,
            self.cpu_seconds
        )?;
        if let Some(seconds) = self.objcopy_seconds {
            writeln!(
                formatter,
                "  objcopy --only-keep-debug of the same, one after the other: {seconds:.1} s"
            )?;
        }
        writeln!(
            formatter,
            "  memory: {:.1} MB more at the peak, {:.1} MB of the worker",
            megabytes(self.memory_bytes),
            megabytes(self.worker_peak_bytes)
        )
    }
}
