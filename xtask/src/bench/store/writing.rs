//! What encoding and sending takes, by the number of targets: the few are what the many are compared with.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::Programs;
use super::load::{Load, Windows};
use super::server::Server;
use crate::bench::table::cell;

/// Targets of each window.
const TARGETS: [u64; 3] = [100, 1000, 10_000];

/// Samples of each target in a window.
const SAMPLES: u64 = 10;

/// Profiles in all, so that each row has as many.
const PROFILES: u64 = 30_000;

/// What was measured, a row for each number of targets.
#[derive(Debug, Serialize)]
pub(super) struct Writing(Vec<Row>);

#[derive(Debug, Serialize)]
struct Row {
    targets: u64,
    cpu_microseconds_per_profile: f64,
    /// Peak memory beyond what a window itself takes.
    memory_bytes_per_target: f64,
    wire_bytes_per_sample: f64,
    requests: u64,
    sent: u64,
    arrived: u64,
}

pub(super) fn measure(programs: &Programs) -> Result<Writing> {
    TARGETS.into_iter().map(|targets| row(programs, targets)).collect::<Result<_>>().map(Writing)
}

#[expect(clippy::cast_precision_loss, reason = "millions")]
fn row(programs: &Programs, targets: u64) -> Result<Row> {
    eprintln!("+ writing: {targets} targets");
    let mut server = Server::start(&programs.server)?;
    let windows = Windows { targets, number: PROFILES / targets, samples: SAMPLES * targets };
    let mut load = Load::start(programs, &server.address, windows, None)?;
    let begun = load.wait_for("begun")?;
    load.wait_for("published")?;
    let sent = load.wait_for("sent")?;
    let taken = server.taken()?;
    let profiles = (windows.number * targets) as f64;
    Ok(Row {
        targets,
        cpu_microseconds_per_profile: (sent.cpu_seconds - begun.cpu_seconds) * 1e6 / profiles,
        memory_bytes_per_target: sent.peak_kib.saturating_sub(begun.peak_kib) as f64 * 1024.0
            / targets as f64,
        wire_bytes_per_sample: taken.bytes as f64 / taken.samples as f64,
        requests: taken.requests,
        sent: sent.samples,
        arrived: taken.samples,
    })
}

impl Writing {
    /// Samples that the server does not have.
    #[expect(clippy::cast_precision_loss, reason = "millions")]
    pub(super) fn missing(&self) -> f64 {
        self.0.iter().map(|row| row.sent.abs_diff(row.arrived)).sum::<u64>() as f64
    }
}

impl fmt::Display for Writing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "writing: {PROFILES} profiles of {SAMPLES} samples, as fast as they are encoded; stacks of 30 frames"
        )?;
        let heads =
            ["targets", "CPU us a profile", "bytes a target", "wire bytes a sample", "requests", "missing"];
        let [targets, cpu, memory, wire, requests, missing] = heads;
        writeln!(formatter, "  {targets:>8} {cpu:>17} {memory:>15} {wire:>20} {requests:>9} {missing:>8}")?;
        for row in &self.0 {
            writeln!(
                formatter,
                "  {:>8} {:>17} {:>15} {:>20} {:>9} {:>8}",
                row.targets,
                cell(Some(row.cpu_microseconds_per_profile), 1),
                cell(Some(row.memory_bytes_per_target), 0),
                cell(Some(row.wire_bytes_per_sample), 1),
                row.requests,
                row.sent.abs_diff(row.arrived)
            )?;
        }
        Ok(())
    }
}
