//! Other programs that read profiles: Go's pprof, and a reader in Python that shares nothing with the agent.

use super::profile::Profile;
use parca_agent::pprof::proto;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Asserts that both readers open a profile without complaint and see the same as we do.
pub(crate) fn assert_all_agree(profile: &Profile) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("profile.pb.gz");
    std::fs::write(&file, &profile.bytes).unwrap();
    assert_python_agrees(profile, &file);
    assert_go_agrees(profile, &file);
}

fn assert_python_agrees(profile: &Profile, file: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pprof_readers/pprof.py");
    let text = quiet_output(Command::new("python3").arg(script).arg(file));
    let theirs: Value = serde_json::from_str(&text).unwrap();
    let ours = as_json(profile);
    for (key, ours) in ours.as_object().unwrap() {
        assert_eq!(*ours, theirs[key], "{key}");
    }
    assert_eq!(ours.as_object().unwrap().len(), theirs.as_object().unwrap().len());
}

fn assert_go_agrees(profile: &Profile, file: &Path) {
    let (samples, time) = totals(profile);
    let raw = quiet_output(go(&["-raw"]).arg(file));
    let (mut sums, mut rows) = ([0_i64; 2], 0);
    let section = raw.split("samples/count cpu/nanoseconds\n").nth(1).unwrap();
    for line in section.split("\nLocations\n").next().unwrap().lines() {
        // Rows of numbers are samples; what stands below each are its labels.
        let Some((values, _)) = line.split_once(':') else { continue };
        let values: Vec<i64> = values.split_whitespace().map_while(|value| value.parse().ok()).collect();
        if let [count, nanos] = values[..] {
            sums = [sums[0] + count, sums[1] + nanos];
            rows += 1;
        }
    }
    assert_eq!((sums, rows), ([samples, time], profile.message.sample.len()), "{raw}");
    assert!(raw.contains(&format!("Period: {}\n", profile.message.period)), "{raw}");

    let top = quiet_output(go(&["-top", "-sample_index=samples", "-unit=count"]).arg(file));
    let total = format!("of {samples} total");
    // pprof rounds what is above a million.
    assert!(samples >= 1_000_000 || top.contains(&total), "no {total:?} in {top}");
}

fn totals(profile: &Profile) -> (i64, i64) {
    let sum = |index: usize| profile.message.sample.iter().map(|sample| sample.value[index]).sum();
    (sum(0), sum(1))
}

fn go(arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    // The file is judged, not whether the binaries it names are still there.
    command.args(["tool", "pprof", "-symbolize=none"]).args(arguments);
    command
}

/// What a reader prints; it must not fail or complain.
fn quiet_output(command: &mut Command) -> String {
    // pprof wants a place for what it downloads, and downloads nothing here.
    let output = command.env("PPROF_TMPDIR", std::env::temp_dir()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn as_json(profile: &Profile) -> Value {
    let message = &profile.message;
    let text = |index| profile.text(index);
    let kind = |kind: &proto::ValueType| json!([text(kind.r#type), text(kind.unit)]);
    let mapping = |row: &proto::Mapping| {
        json!({"id": row.id, "start": row.memory_start, "limit": row.memory_limit, "offset": row.file_offset,
            "filename": text(row.filename), "build_id": text(row.build_id), "has_functions": row.has_functions})
    };
    let location = |row: &proto::Location| {
        let lines: Vec<_> = row.line.iter().map(|line| json!([line.function_id, line.line])).collect();
        json!({"id": row.id, "mapping": row.mapping_id, "address": row.address, "lines": lines})
    };
    let function = |row: &proto::Function| {
        json!({"id": row.id, "name": text(row.name), "system_name": text(row.system_name),
            "filename": text(row.filename)})
    };
    let label = |label: &proto::Label| json!([text(label.key), text(label.str), label.num]);
    let sample = |row: &proto::Sample| {
        let labels: Vec<_> = row.label.iter().map(label).collect();
        json!({"locations": row.location_id, "values": row.value, "labels": labels})
    };
    let (samples, time) = totals(profile);
    json!({
        "sample_type": message.sample_type.iter().map(kind).collect::<Vec<_>>(),
        "period_type": kind(message.period_type.as_ref().unwrap()),
        "period": message.period, "time_nanos": message.time_nanos, "duration_nanos": message.duration_nanos,
        "mapping": message.mapping.iter().map(mapping).collect::<Vec<_>>(),
        "location": message.location.iter().map(location).collect::<Vec<_>>(),
        "function": message.function.iter().map(function).collect::<Vec<_>>(),
        "sample": message.sample.iter().map(sample).collect::<Vec<_>>(),
        "total": [samples, time],
    })
}

/// A script of the second reader's folder.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pprof_readers").join(name)
}
