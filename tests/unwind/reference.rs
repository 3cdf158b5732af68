//! Whether the programs are as the table says, by a profiler that reads the same tables of frames in another
//! way: perf, which copies stacks out of the kernel and unwinds them afterwards.

use super::cases::{WITHOUT_FRAME_POINTERS, selected};
use super::chain::{Fit, NamedFrame, text};
use super::common::symbols::Symbols;
use super::target::Target;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What perf does not find its way through: code that no table that it reads describes, stacks that turn back,
/// files that are gone, stacks larger than it copies, and two thousand threads.
const BEYOND_PERF: &[&str] = &[
    "static",
    "musl",
    "musl-static",
    "replaced",
    "deep-300",
    "deep-900",
    "bare",
    "crowd",
    "signal",
    "signal-below",
    "signal-above",
    "signal-prologue",
    "gochain",
    "cgo-callback",
    "node",
    "java",
];

/// What perf calls code before the first function, which is that of PLT stubs.
const BEFORE_ALL: &str = "_init";

/// Share of samples that must fit, as for the agent.
const SHARE: f64 = 0.97;

#[test]
#[ignore = "needs perf; checks the programs, not the agent"]
fn perf_sees_the_chains_that_the_table_says() {
    let mut failed = Vec::new();
    let all = selected(WITHOUT_FRAME_POINTERS).into_iter();
    for case in all.filter(|case| !BEYOND_PERF.contains(&case.name)) {
        let target = Target::start(case, &case.build.executable(case.name), 0);
        let stacks = stacks_by_perf(&target);
        let mut fits: BTreeMap<Fit, usize> = BTreeMap::new();
        let mut example = String::new();
        for stack in &stacks {
            let fit = case.chains().iter().map(|chain| chain.fit(stack)).min().unwrap();
            *fits.entry(fit).or_default() += 1;
            if matches!(fit, Fit::Cut | Fit::Wrong) {
                example = text(stack);
            }
        }
        let good = [Fit::Whole, Fit::Outer].iter().filter_map(|fit| fits.get(fit)).sum::<usize>();
        println!("{}: {fits:?} {example}", case.name);
        if good as f64 / (stacks.len() as f64) < SHARE {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// The user stacks of a second.
fn stacks_by_perf(target: &Target) -> Vec<Vec<NamedFrame>> {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("perf.data");
    let id = target.program.id().to_string();
    let mut record = Command::new("perf");
    record.args([
        "record",
        "--quiet",
        "--freq=199",
        "--call-graph=dwarf,16384",
        "--user-callchains",
        "--pid",
        &id,
    ]);
    record.arg("--output").arg(&data).args(["--", "sleep", "1"]);
    assert!(record.output().unwrap().status.success(), "{record:?}");
    let mut script = Command::new("perf");
    script.args(["script", "--no-inline", "--no-demangle", "--fields=ip,sym,dso", "--input"]).arg(&data);
    let output = script.output().unwrap();
    let mut symbols: BTreeMap<String, Symbols> = BTreeMap::new();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let stack = |lines: &str| lines.lines().filter_map(|line| frame(line, target, &mut symbols)).collect();
    text.split("\n\n").filter(|lines| !lines.trim().is_empty()).map(stack).collect()
}

/// A line like `    7f12 name (/path/of/a/file)`; nothing for the kernel's.
fn frame(line: &str, target: &Target, symbols: &mut BTreeMap<String, Symbols>) -> Option<NamedFrame> {
    let (_, rest) = line.trim().split_once(' ')?;
    let (name, path) = rest.rsplit_once(" (")?;
    let path = path.trim_end_matches(')');
    if path == "[kernel.kallsyms]" {
        return None;
    }
    let own = path == target.path;
    let name = if name == BEFORE_ALL { "[plt]" } else { name };
    let known = symbols.entry(path.to_owned()).or_insert_with(|| match Path::new(path) {
        file if file.is_file() => Symbols::of(file),
        _ => Symbols::default(),
    });
    let file = if own { "" } else { path.rsplit('/').next().unwrap_or_default() };
    let names = known.aliases(name).map_or_else(|| vec![name.to_owned()], <[String]>::to_vec);
    Some(NamedFrame { file: file.to_owned(), names })
}
