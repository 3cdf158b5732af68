//! The results, for people and for programs.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::figure::Figure;
use super::load::Set;
use super::store::Store;
use super::targets::Targets;
use super::{Results, host};

/// Head and figure of each column after the first, and its decimals.
const COLUMNS: [(&str, Figure, usize); 11] = [
    ("BPF ns/run", Figure::BpfNanosPerSample, 0),
    ("x floor", Figure::TimesFloor, 2),
    ("BPF %", Figure::BpfPercent, 3),
    ("CPU %", Figure::CpuPercent, 3),
    ("peak MB", Figure::PeakMegabytes, 1),
    ("resident MB", Figure::ResidentMegabytes, 1),
    ("maps MB", Figure::MapMegabytes, 1),
    ("samples", Figure::SamplesDelivered, 0),
    ("expected", Figure::SamplesExpected, 0),
    ("delivered %", Figure::DeliveredPercent, 1),
    ("whole %", Figure::WholePercent, 2),
];

/// One line for each profiler. Percentages of time are of one processor.
pub(super) fn text(set: Set, results: &Results) -> String {
    let mut text = format!("{:<10}", set.name());
    COLUMNS.iter().for_each(|(head, ..)| text.push_str(&format!(" {head:>11}")));
    text.push('\n');
    for (contender, figures) in results {
        text.push_str(&format!("{:<10}", contender.name()));
        let cells = COLUMNS.iter().map(|(_, figure, decimals)| cell(figures.get(figure).copied(), *decimals));
        for cell in cells {
            text.push_str(&format!(" {cell:>11}"));
        }
        text.push('\n');
    }
    text
}

/// A value with so many decimals.
pub(super) fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Everything, with when and where it was measured.
pub(super) fn json(
    all: &BTreeMap<&'static str, Results>,
    targets: Option<&Targets>,
    store: Option<&Store>,
    seconds: u64,
    rounds: usize,
) -> Result<String> {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let sets: BTreeMap<&str, Value> = all.iter().map(|(set, results)| (*set, of_set(results))).collect();
    let machine = host::describe()?;
    let whole = json!({
        "time_seconds": time, "machine": machine, "seconds": seconds, "rounds": rounds, "sets": sets,
        "targets": targets, "store": store,
    });
    serde_json::to_string_pretty(&whole).context("the figures are no JSON")
}

fn of_set(results: &Results) -> Value {
    let contenders = results.iter().map(|(contender, figures)| (contender.name(), json!(figures)));
    Value::Object(contenders.map(|(name, figures)| (name.to_owned(), figures)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::contender::Contender;
    use super::super::figure::Figures;
    use super::*;

    fn results() -> Results {
        let floor = Figures::from([(Figure::BpfNanosPerSample, 2000.0)]);
        let ours = Figures::from([
            (Figure::BpfNanosPerSample, 2100.4),
            (Figure::TimesFloor, 1.05),
            (Figure::CpuPercent, 0.25),
        ]);
        Results::from([(Contender::Ours, ours), (Contender::Floor, floor)])
    }

    #[test]
    fn each_profiler_has_a_line_of_what_is_known_of_it() {
        let text = text(Set::Busy, &results());
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0][0], "busy");
        assert_eq!(lines[1], ["floor", "2000", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]);
        assert_eq!(lines[2], ["ours", "2100", "1.05", "-", "0.250", "-", "-", "-", "-", "-", "-", "-"]);
    }

    #[test]
    fn json_names_sets_profilers_and_figures() {
        let text = json(&BTreeMap::from([("busy", results())]), None, None, 30, 2).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["sets"]["busy"]["ours"]["cpu_percent"], 0.25);
        assert_eq!(json["seconds"], 30);
    }
}
