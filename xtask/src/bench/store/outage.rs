//! An hour without the store, in the time that it takes to make its windows: what waits where, and whether all of it
//! arrives. In memory alone windows are merged when it is full; with a directory they go there whole.

use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;

use super::Programs;
use super::load::{Load, Windows};
use super::server::Server;
use crate::bench::{megabytes, table::cell};
use crate::workspace;

/// An hour of two busy CPUs, with as many programs as a build has.
const HOUR: Windows = Windows { targets: 60, number: 360, samples: 2000 };

/// The same of eight, which does not fit into memory.
const LARGE: Windows = Windows { targets: 150, number: 360, samples: 8000 };

/// What was measured, a row for each case.
#[derive(Debug, Serialize)]
pub(super) struct Outage(Vec<Row>);

#[derive(Debug, Serialize)]
struct Row {
    case: &'static str,
    spools: bool,
    peak_bytes: u64,
    queue_bytes: f64,
    spool_bytes: f64,
    merges: f64,
    dropped: f64,
    sent: u64,
    arrived: u64,
}

pub(super) fn measure(programs: &Programs) -> Result<Outage> {
    let cases = [
        ("2 CPUs, in memory", HOUR, false),
        ("2 CPUs, with a spool", HOUR, true),
        ("8 CPUs, in memory", LARGE, false),
        ("8 CPUs, with a spool", LARGE, true),
    ];
    let row = |(case, windows, spools)| row(programs, case, windows, spools);
    cases.into_iter().map(row).collect::<Result<_>>().map(Outage)
}

fn row(programs: &Programs, case: &'static str, windows: Windows, spools: bool) -> Result<Row> {
    eprintln!("+ outage: {case}");
    let spool = workspace::target_dir()?.join("bench/spool");
    if spool.exists() {
        std::fs::remove_dir_all(&spool).with_context(|| format!("cannot remove {}", spool.display()))?;
    }
    let mut server = Server::start(&programs.server)?;
    server.set_open(false)?;
    let mut load = Load::start(programs, &server.address, windows, spools.then_some(&*spool))?;
    load.wait_for("begun")?;
    let down = load.wait_for("published")?;
    server.set_open(true)?;
    let sent = load.wait_for("sent")?;
    let taken = server.taken()?;
    let (waiting, metrics) = (down.metrics(), sent.metrics());
    Ok(Row {
        case,
        spools,
        peak_bytes: sent.peak_kib * 1024,
        queue_bytes: waiting.sum("store_queue_bytes"),
        spool_bytes: waiting.sum("store_spool_bytes"),
        merges: metrics.sum("store_merges_total"),
        dropped: metrics.sum("store_samples_dropped_total"),
        sent: sent.samples,
        arrived: taken.samples,
    })
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "millions")]
    fn missing(&self) -> f64 {
        self.sent as f64 - self.arrived as f64 - self.dropped
    }
}

impl Outage {
    /// Samples that the server does not have, and that the agent did not tell of as dropped.
    pub(super) fn missing(&self) -> f64 {
        self.0.iter().map(|row| row.missing().abs()).sum()
    }

    /// Samples that were dropped although there was room on disk.
    pub(super) fn dropped_with_spool(&self) -> f64 {
        self.0.iter().filter(|row| row.spools).map(|row| row.dropped).sum()
    }
}

impl fmt::Display for Outage {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "outage: an hour of windows while the server is down, then it is up")?;
        let heads = ["", "peak MB", "queue MB", "spool MB", "merges", "dropped", "missing"];
        let [case, peak, queue, spool, merges, dropped, missing] = heads;
        writeln!(
            formatter,
            "  {case:<23} {peak:>9} {queue:>9} {spool:>9} {merges:>7} {dropped:>9} {missing:>9}"
        )?;
        for row in &self.0 {
            writeln!(
                formatter,
                "  {:<23} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9}",
                row.case,
                cell(Some(megabytes(row.peak_bytes)), 1),
                cell(Some(megabytes(row.queue_bytes as u64)), 1),
                cell(Some(megabytes(row.spool_bytes as u64)), 1),
                row.merges,
                row.dropped,
                row.missing()
            )?;
        }
        Ok(())
    }
}
