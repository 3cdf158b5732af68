//! Stacks that were captured with gdb, unwound by the tables of their files and by the step function: the frames
//! have to be gdb's. How captures are made, and what they look like, is in README.md.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod capture;
mod object_file;
mod walk;

use capture::{Capture, Stop};
use object_file::ObjectFile;
use parca_agent_common::unwind::StackEnd;
use parca_agent_common::unwind::rule::Cfa;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use walk::{Memory, walk};

/// A capture, and the kinds of rules that it is for.
struct Case {
    name: &'static str,
    kinds: &'static [Cfa],
}

const fn case(name: &'static str, kinds: &'static [Cfa]) -> Case {
    Case { name, kinds }
}

const X86_64: &[Case] = &[
    case("plain", &[Cfa::Sp, Cfa::Outermost]),
    case("bare_start", &[Cfa::Sp, Cfa::Outermost]),
    case("frame_pointer", &[Cfa::Sp, Cfa::Fp, Cfa::Outermost]),
    case("prologue", &[Cfa::Sp]),
    case("prologue_frame_pointer", &[Cfa::Sp, Cfa::Fp]),
    case("realign", &[Cfa::Sp, Cfa::Fp, Cfa::DerefFp, Cfa::Register]),
    case("large", &[Cfa::Sp]),
    case("noreturn", &[Cfa::Sp]),
    case("signal_below", &[Cfa::Sp, Cfa::Signal]),
    case("signal_above", &[Cfa::Sp, Cfa::Signal]),
    case("signal_frame_pointer", &[Cfa::Fp, Cfa::Signal]),
    case("signal_cfi", &[Cfa::Sp, Cfa::Signal]),
    case("linkage", &[Cfa::Sp, Cfa::Plt]),
    case("linkage_ibt", &[Cfa::Sp, Cfa::Plt]),
    case("assembly", &[Cfa::DerefSp, Cfa::Uncovered]),
    case("broken", &[Cfa::Fp]),
];

const AARCH64: &[Case] = &[
    case("plain", &[Cfa::Sp, Cfa::Outermost]),
    case("bare_start", &[Cfa::Sp, Cfa::Outermost]),
    case("frame_pointer", &[Cfa::Sp, Cfa::Outermost]),
    case("prologue", &[Cfa::Sp]),
    case("prologue_frame_pointer", &[Cfa::Sp]),
    case("realign", &[Cfa::Sp, Cfa::Fp]),
    case("large", &[Cfa::Sp]),
    case("noreturn", &[Cfa::Sp]),
    case("signal_below", &[Cfa::Sp, Cfa::Signal]),
    case("signal_above", &[Cfa::Sp, Cfa::Signal]),
    case("signal_frame_pointer", &[Cfa::Fp, Cfa::Signal]),
    case("signed", &[Cfa::Sp]),
    case("assembly", &[Cfa::Uncovered]),
    case("broken", &[Cfa::Fp]),
];

/// A capture and the files that it names.
struct Replay {
    path: PathBuf,
    capture: Capture,
    files: BTreeMap<String, ObjectFile>,
}

impl Replay {
    fn read(architecture: &str, case: &Case) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/replay/captures").join(architecture);
        let path = folder.join(case.name).with_extension("capture");
        let capture = Capture::parse(&fs::read_to_string(&path).unwrap());
        let names = capture.mappings.iter().filter_map(|mapping| mapping.file.clone());
        let files = names.map(|name| (name.clone(), ObjectFile::read(&folder.join(name)))).collect();
        Self { path, capture, files }
    }

    /// Where a stop is, for people.
    fn place(&self, stop: &Stop) -> String {
        format!("{}:{}", self.path.display(), stop.line)
    }
}

fn replays() -> impl Iterator<Item = (&'static Case, Replay)> {
    [("x86_64", X86_64), ("aarch64", AARCH64)].into_iter().flat_map(|(architecture, cases)| {
        cases.iter().map(move |case| (case, Replay::read(architecture, case)))
    })
}

#[test]
fn every_captured_stack_has_the_frames_that_gdb_gives() {
    let mut differences = String::new();
    for (case, replay) in replays() {
        let mut kinds = BTreeSet::new();
        for stop in &replay.capture.stops {
            let walked = walk(&replay.capture, &replay.files, stop, Memory::of(stop));
            if walked.frames != stop.frames || Some(walked.end) != stop.end {
                differences += &format!(
                    "{}\n  gdb  {:x?} {:?}\n  here {:x?} {:?}\n",
                    replay.place(stop),
                    stop.frames,
                    stop.end,
                    walked.frames,
                    walked.end,
                );
            }
            kinds.extend(walked.kinds);
        }
        let missing: Vec<_> = case.kinds.iter().filter(|kind| !kinds.contains(kind)).collect();
        assert!(missing.is_empty(), "{}: no rule of the kinds {missing:?}", replay.path.display());
    }
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn a_stack_that_is_cut_has_the_frames_up_to_there() {
    let mut cut = 0;
    for (_, replay) in replays() {
        for stop in &replay.capture.stops {
            let whole = walk(&replay.capture, &replay.files, stop, Memory::of(stop));
            for end in stop.stack.keys() {
                let walked = walk(&replay.capture, &replay.files, stop, Memory::until(stop, *end));
                assert!(stop.frames.starts_with(&walked.frames), "{} cut at {end:#x}", replay.place(stop));
                let wanted = if walked.frames == whole.frames && walked.end == whole.end {
                    whole.end
                } else {
                    StackEnd::UnreadableStack
                };
                assert_eq!(walked.end, wanted, "{} cut at {end:#x}", replay.place(stop));
                cut += u32::from(walked.frames.len() < whole.frames.len());
            }
        }
    }
    assert!(cut > 1000, "only {cut} stacks were cut");
}
