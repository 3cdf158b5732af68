//! Rows of Go programs beside what Go itself says of them: `debug/gosym` where functions are, the linker's
//! `.debug_frame` where the CFA and the return address are.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gimli::{CfaRule, DebugFrame, LittleEndian, RegisterRule, UnwindContext, UnwindSection};
use object::read::{Object, ObjectSection, ObjectSymbol};
use parca_agent::object::ObjectAddress;
use parca_agent::unwind::go::rows;
use parca_agent::unwind::row::RowAt;
use parca_agent_common::unwind::rule::{Cfa, ReturnAddress, Rule};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// One way to build a program.
struct Build {
    name: &'static str,
    architecture: &'static str,
    cgo: bool,
    arguments: &'static [&'static str],
}

/// With the debug information uncompressed.
const PLAIN: &str = "-ldflags=-compressdwarf=false";
const STRIPPED: &str = "-ldflags=-s -w";

const BUILDS: [Build; 10] = [
    Build { name: "x86_64", architecture: "amd64", cgo: false, arguments: &[PLAIN] },
    Build { name: "x86_64_stripped", architecture: "amd64", cgo: false, arguments: &[STRIPPED] },
    Build { name: "x86_64_pie", architecture: "amd64", cgo: false, arguments: &["-buildmode=pie", PLAIN] },
    Build { name: "aarch64", architecture: "arm64", cgo: false, arguments: &[PLAIN] },
    Build { name: "aarch64_stripped", architecture: "arm64", cgo: false, arguments: &[STRIPPED] },
    Build { name: "aarch64_pie", architecture: "arm64", cgo: false, arguments: &["-buildmode=pie", PLAIN] },
    Build { name: "cgo", architecture: "amd64", cgo: true, arguments: &[PLAIN] },
    Build { name: "cgo_pie", architecture: "amd64", cgo: true, arguments: &["-buildmode=pie", PLAIN] },
    Build {
        name: "cgo_stripped",
        architecture: "amd64",
        cgo: true,
        arguments: &["-buildmode=pie", STRIPPED],
    },
    Build { name: "c_shared", architecture: "amd64", cgo: true, arguments: &["-buildmode=c-shared", PLAIN] },
];

/// Functions whose rows must differ from `.debug_frame`, and why.
fn differs(name: &str, rule: Rule, is_aarch64: bool) -> bool {
    let name = name.strip_suffix(".abi0").unwrap_or(name);
    match rule.cfa_kind() {
        // They write to SP, so the offset from it is not the CFA's. Linker and table ignore that.
        Cfa::Fp => {
            matches!(
                name,
                "runtime.systemstack"
                    | "runtime.switchToCrashStack0"
                    | "runtime.cgocallback"
                    | "runtime.nanotime1"
                    | "runtime.walltime"
                    | "runtime.vgetrandom1"
                    | "time.now"
                    | "runtime.callCgoSigaction"
                    | "runtime.callCgoMmap"
                    | "runtime.callCgoMunmap"
                    | "runtime.sigfwd"
            ) || (!is_aarch64 && matches!(name, "runtime.mcall" | "runtime.asmcgocall"))
                // Their frames are deeper than a rule can say, but the frame pointer is enough.
                || (!is_aarch64 && name.starts_with("runtime.call"))
        }
        // Not functions but marks, and the padding behind them.
        Cfa::Uncovered => matches!(name, "go:textfipsstart" | "go:textfipsend"),
        // Nobody called them, or they forgot who did.
        Cfa::Outermost => {
            matches!(
                name,
                "gogo"
                    | "runtime.gogo"
                    | "runtime.goexit"
                    | "runtime.mcall"
                    | "runtime.morestack"
                    | "runtime.mstart"
                    | "runtime.rt0_go"
            ) || (name.starts_with("_rt0_") && !name.contains("_lib"))
        }
        // The registers are in the signal frame. The row begins one byte early, in another function.
        Cfa::Signal => !is_aarch64,
        // It has popped its return address; it goes back to what a signal interrupted, by a jump; its frame is
        // deeper than a rule can say; it has lost the frame pointer.
        Cfa::Unsupported => {
            name == "syscall.rawVforkSyscall"
                || name.starts_with("runtime.call")
                || (is_aarch64
                    && matches!(name, "runtime.asyncPreempt" | "runtime.debugCallV2" | "runtime.asmcgocall"))
        }
        _ => false,
    }
}

fn has_go() -> bool {
    static HAS_GO: OnceLock<bool> = OnceLock::new();
    let installed = *HAS_GO.get_or_init(|| Command::new("go").arg("version").output().is_ok());
    if !installed {
        eprintln!("skipped: no go");
    }
    installed
}

fn go_build(folder: &Path, source: &str, build: &Build) -> PathBuf {
    let output = folder.join(build.name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    let status = Command::new("go")
        .env("GO111MODULE", "off")
        .env("GOARCH", build.architecture)
        .env("CGO_ENABLED", if build.cgo { "1" } else { "0" })
        .args(["build", "-o"])
        .arg(&output)
        .args(build.arguments)
        .arg(source)
        .status()
        .unwrap();
    assert!(status.success(), "{}", build.name);
    output
}

/// What was built, its bytes, and where it is.
type Program = (&'static Build, Vec<u8>, PathBuf);

/// Places, and what is written there.
type Changes = Vec<(u64, u8)>;

/// Every build of the table, for as long as the test runs.
fn programs() -> (tempfile::TempDir, Vec<Program>) {
    let folder = tempfile::tempdir().unwrap();
    let programs = BUILDS.iter().map(|build| {
        let source = if build.cgo { "go_unwind/calls.go" } else { "workloads/gospin/main.go" };
        let path = go_build(folder.path(), source, build);
        (build, std::fs::read(&path).unwrap(), path)
    });
    let programs = programs.collect();
    (folder, programs)
}

fn rule_at(rows: &[RowAt], pc: u64) -> Rule {
    let index = rows.partition_point(|row| row.address <= ObjectAddress(pc));
    index.checked_sub(1).map_or(Rule::UNCOVERED, |index| rows[index].rule)
}

#[test]
fn every_build_has_the_functions_that_gosym_finds() {
    if !has_go() {
        return;
    }
    let (folder, programs) = programs();
    let build = Build { name: "functions", architecture: "amd64", cgo: false, arguments: &[] };
    let gosym = go_build(folder.path(), "go_unwind/functions.go", &build);
    for (build, bytes, path) in programs {
        let rows = rows(&bytes[..]).unwrap().unwrap();
        assert!(rows.is_sorted_by(|left, right| left.address < right.address && left.rule != right.rule));
        if build.arguments.contains(&STRIPPED) {
            continue;
        }
        let output = Command::new(&gosym).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut seen = 0;
        let mut last_end = 0;
        let mut last_covered = 0;
        for line in text.lines() {
            let mut fields = line.split(' ');
            let entry = u64::from_str_radix(fields.next().unwrap(), 16).unwrap();
            let end = u64::from_str_radix(fields.next().unwrap(), 16).unwrap();
            let name = fields.next().unwrap();
            let rule = rule_at(&rows, entry);
            // Nothing is pushed yet at the first instruction.
            let nothing_pushed =
                rule.cfa_kind() == Cfa::Sp && rule.cfa == i16::from(build.architecture == "amd64");
            let is_aarch64 = build.architecture == "arm64";
            assert!(
                nothing_pushed || entry == end || differs(name, rule, is_aarch64),
                "{}: {name} {rule:?}",
                build.name
            );
            let covered = rule_at(&rows, end - 1) != Rule::UNCOVERED;
            assert!(covered || name.starts_with("go:"), "{}: {name}", build.name);
            last_covered = if covered { end } else { last_covered };
            last_end = end;
            seen += 1;
        }
        assert!(seen > 1000, "{}", build.name);
        let last = rows.last().unwrap();
        assert_eq!(last.rule, Rule::UNCOVERED, "{}", build.name);
        assert!((last_covered..=last_end).contains(&last.address.0), "{}", build.name);
    }
}

#[test]
fn rows_are_the_same_without_symbols_and_without_sections() {
    if !has_go() {
        return;
    }
    let (_folder, programs) = programs();
    let all: BTreeMap<_, _> =
        programs.iter().map(|(build, bytes, _)| (build.name, rows(&bytes[..]).unwrap().unwrap())).collect();
    assert_eq!(all["x86_64"], all["x86_64_stripped"]);
    assert_eq!(all["aarch64"], all["aarch64_stripped"]);
    assert_eq!(all["cgo_pie"].len(), all["cgo_stripped"].len());
    for (build, mut bytes, _) in programs {
        // e_shoff, and e_shentsize to e_shstrndx.
        bytes[40..48].fill(0);
        bytes[58..64].fill(0);
        assert_eq!(rows(&bytes[..]).unwrap().unwrap(), all[build.name], "{}", build.name);
    }
}

#[test]
fn cfa_and_return_address_are_those_of_debug_frame() {
    if !has_go() {
        return;
    }
    let (_folder, programs) = programs();
    for (build, bytes, _) in programs {
        if build.arguments.contains(&STRIPPED) {
            continue;
        }
        let rows = rows(&bytes[..]).unwrap().unwrap();
        let different = compare(&bytes, &rows, build);
        // All of them show up; the table of exceptions has none that is not needed here or elsewhere.
        for name in ["runtime.systemstack", "runtime.goexit", "runtime.morestack", "runtime.mcall"] {
            assert!(different.contains(name), "{}: {name} {different:?}", build.name);
        }
    }
}

/// Compares at every address at which either table changes; gives the functions that differ.
fn compare(bytes: &[u8], rows: &[RowAt], build: &Build) -> BTreeSet<String> {
    let file = object::File::parse(bytes).unwrap();
    let is_aarch64 = build.architecture == "arm64";
    let section = file.section_by_name(".debug_frame").unwrap();
    let mut frames = DebugFrame::new(section.data().unwrap(), LittleEndian);
    frames.set_address_size(8);
    let names: BTreeMap<u64, String> = file
        .symbols()
        .filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.size() > 0)
        .map(|symbol| (symbol.address(), symbol.name().unwrap().to_owned()))
        .collect();
    let mut context = UnwindContext::new();
    let bases = gimli::BaseAddresses::default();
    let (mut different, mut compared) = (BTreeSet::new(), 0);
    let mut entries = frames.entries(&bases);
    while let Some(entry) = entries.next().unwrap() {
        let gimli::CieOrFde::Fde(partial) = entry else { continue };
        let fde = partial.parse(DebugFrame::cie_from_offset).unwrap();
        let name = names.range(..=fde.initial_address()).next_back().unwrap().1;
        let mut table = fde.rows(&frames, &bases, &mut context).unwrap();
        while let Some(row) = table.next_row().unwrap() {
            let CfaRule::RegisterAndOffset { offset, .. } = row.cfa() else { panic!("{:?}", row.cfa()) };
            let link = row.register(gimli::AArch64::X30);
            let (start, end) = (row.start_address(), row.end_address());
            if start == end {
                continue;
            }
            let first = rows.partition_point(|own| own.address <= ObjectAddress(start));
            let inside = rows[first..].iter().take_while(|own| own.address < ObjectAddress(end));
            for pc in std::iter::once(start).chain(inside.map(|own| own.address.0)) {
                let rule = rule_at(rows, pc);
                let cfa = rule.cfa_kind() == Cfa::Sp && i64::from(rule.cfa) * 8 == *offset;
                let return_address = match rule.return_address() {
                    ReturnAddress::AtCfa => {
                        link == Some(RegisterRule::Offset(i64::from(rule.extra.cast_signed()) * 8))
                    }
                    ReturnAddress::Default if is_aarch64 => link == Some(RegisterRule::SameValue),
                    ReturnAddress::Default => true,
                    ReturnAddress::InRegister => false,
                };
                compared += 1;
                if cfa && return_address {
                    continue;
                }
                // The linker says that nobody called it; the kernel did.
                let is_handler = is_aarch64 && name.starts_with("runtime.sigtramp");
                assert!(
                    differs(name, rule, is_aarch64) || (is_handler && cfa),
                    "{}: {name} at {pc:#x}: {:?} {link:?} {rule:?}",
                    build.name,
                    row.cfa(),
                );
                different.insert(name.strip_suffix(".abi0").unwrap_or(name).to_owned());
            }
        }
    }
    assert!(compared > 5000, "{}: {compared}", build.name);
    eprintln!("{}: {compared} addresses compared, different: {different:?}", build.name);
    different
}

#[test]
fn damaged_tables_of_real_programs_do_not_panic() {
    if !has_go() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for build in BUILDS.iter().filter(|build| build.name.ends_with("_stripped") && !build.cgo) {
        let bytes = std::fs::read(go_build(folder.path(), "workloads/gospin/main.go", build)).unwrap();
        let section =
            object::File::parse(&bytes[..]).unwrap().section_by_name(".gopclntab").unwrap().file_range();
        let (start, size) = section.unwrap();
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 48,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        // The head is a ten thousandth of the table, so it is hit on purpose.
        let head = vec((0..72_u64, any::<u8>()), 0..2);
        let body = vec((0..size, any::<u8>()), 0..200);
        let run = |(head, body): (Changes, Changes)| {
            let mut damaged = bytes.clone();
            for (at, byte) in head.into_iter().chain(body) {
                damaged[(start + at) as usize] = byte;
            }
            if let Ok(Some(rows)) = rows(&damaged[..]) {
                assert!(rows.is_sorted_by(|left, right| left.address < right.address));
            }
            Ok(())
        };
        runner.run(&(head, body), run).unwrap();
    }
}
