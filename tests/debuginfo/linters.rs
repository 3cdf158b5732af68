//! What other people's programs find wrong with a debug file.

use super::extracted::Extracted;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Fails if there is anything wrong.
pub(crate) fn assert_no_complaint(extracted: &Extracted) {
    let complaints = complaints(&extracted.debug_file, true);
    assert!(complaints.is_empty(), "{}: {complaints:#?}", extracted.debug_file.display());
}

/// Fails if there is anything wrong that is not wrong with the original too.
pub(crate) fn assert_nothing_new(extracted: &Extracted) {
    let mut known = complaints(&extracted.original, false);
    known.extend(complaints(&extracted.original, true));
    let found = complaints(&extracted.debug_file, true);
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "{}: {new:#?}", extracted.debug_file.display());
}

fn complaints(path: &Path, is_debug_file: bool) -> BTreeSet<String> {
    let run = |program: &str, package: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg(path).output();
        output.unwrap_or_else(|error| panic!("no {program} ({error}): install {package}"))
    };
    let readelf = run("readelf", "binutils", &["--all", "--wide"]);
    let dwarf = run("readelf", "binutils", &["--debug-dump=rawline,abbrev,aranges,Ranges"]);
    // Without the option a section without its bytes is wrong. Linkers other than the one it is for do the same.
    let flags: &[&str] = if is_debug_file { &["--gnu-ld", "--debuginfo"] } else { &["--gnu-ld"] };
    let lint = run("eu-elflint", "elfutils", flags);
    assert!(!readelf.stdout.is_empty() && !lint.stdout.is_empty(), "{}", path.display());
    let texts = [readelf.stderr, dwarf.stderr, lint.stdout, lint.stderr];
    let lines = texts.iter().flat_map(|text| text.split(|byte| *byte == b'\n'));
    lines
        .map(|line| String::from_utf8_lossy(line).trim().to_owned())
        .filter(|line| !line.is_empty() && line != "No errors")
        // Both begin with the path where they print it at all.
        .map(|line| line.replace(path.to_str().unwrap(), "FILE"))
        .collect()
}
