//! What knowing of pods takes: the memory of an agent that an API server tells of none, of many, and of more than any
//! node has.

use std::fmt;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::api_server::ApiServer;
use crate::bench::contender::{Running, Tools};
use crate::bench::table::cell;
use crate::bench::{agent, megabytes, process};

/// How many pods the server has. The first is what the others are compared with.
const PODS: [usize; 3] = [0, 1000, 5000];

/// Time after the list in which the agent gives back what it took to read it.
const SETTLED: Duration = Duration::from_secs(3);

/// The source, as a label of the metrics.
const SOURCE: &str = "source=\"kubernetes\"";

/// What was measured, a row for each number of pods.
#[derive(Debug, Serialize)]
pub(super) struct Pods(Vec<Row>);

#[derive(Clone, Copy, Debug, Serialize)]
struct Row {
    pods: usize,
    peak_bytes: u64,
    resident_bytes: u64,
    /// What the agent itself counts.
    known_bytes: f64,
    /// Containers for which there was no room.
    refused: f64,
}

/// Starts an agent for each number of pods.
pub(super) fn measure(tools: &Tools) -> Result<Pods> {
    PODS.into_iter().map(|pods| row(tools, pods)).collect::<Result<_>>().map(Pods)
}

fn row(tools: &Tools, pods: usize) -> Result<Row> {
    eprintln!("+ pods: {pods}");
    let server = ApiServer::start(pods)?;
    let path = tools.folder.join("kubeconfig");
    fs::write(&path, server.kubeconfig()).with_context(|| format!("cannot write {}", path.display()))?;
    let flag = format!("--kubeconfig={}", path.display());
    let mut agent = agent::start_with(tools, &[&flag, "--node=bench"])?;
    agent.wait_for("target_source_working", SOURCE, 1.0)?;
    let _ = fs::remove_file(&path); // it has been read
    #[expect(clippy::cast_precision_loss, reason = "thousands of pods")]
    agent.wait_for("containers_known", SOURCE, pods as f64)?;
    thread::sleep(SETTLED);
    let (usage, metrics) = (process::tree(agent.id()), agent.metrics()?);
    Box::new(agent).stop()?;
    Ok(Row {
        pods,
        peak_bytes: usage.peak_bytes,
        resident_bytes: usage.resident_bytes,
        known_bytes: metrics.sum_with("containers_known_bytes", SOURCE),
        refused: metrics.sum_with("containers_refused_total", SOURCE),
    })
}

impl Pods {
    /// Bytes of a pod, by the memory of the agent and by its own count.
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    fn each(&self, row: &Row) -> [Option<f64>; 2] {
        let without = self.0.first().map_or(0, |row| row.resident_bytes);
        let each = |bytes: f64| (row.pods > 0).then(|| bytes / row.pods as f64);
        [each(row.resident_bytes as f64 - without as f64), each(row.known_bytes)]
    }
}

impl fmt::Display for Pods {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "pods: each with 20 labels, 10 annotations and one container {:>8} {:>12} {:>16} {:>16} {:>8}",
            "peak MB", "resident MB", "resident B/pod", "counted B/pod", "refused"
        )?;
        for row in &self.0 {
            let [resident, counted] = self.each(row);
            writeln!(
                formatter,
                "  {:<57} {:>8.1} {:>12.1} {:>16} {:>16} {:>8}",
                row.pods,
                megabytes(row.peak_bytes),
                megabytes(row.resident_bytes),
                cell(resident, 0),
                cell(counted, 0),
                row.refused
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_takes_what_the_agent_has_more_than_without_any() {
        let row = |pods, resident_bytes, known_bytes| Row {
            pods,
            peak_bytes: 0,
            resident_bytes,
            known_bytes,
            refused: 0.0,
        };
        let pods = Pods(vec![row(0, 1_000_000, 0.0), row(1000, 5_000_000, 3_000_000.0)]);
        let each = pods.0.iter().map(|row| pods.each(row)).collect::<Vec<_>>();
        assert_eq!(each, [[None, None], [Some(4000.0), Some(3000.0)]]);
    }
}
