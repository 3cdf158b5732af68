//! Every fuzz entry, run without the fuzzer: over its seeds, over seeds that are cut and changed, and over
//! bytes of any kind.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzzer uses it as a crate")]
mod entries;

use entries::ENTRIES;
use parca_agent::cli::{self, Invocation};
use parca_agent::discovery::kubernetes::event::{self, Event};
use parca_agent::http::head::Head;
use parca_agent::http::selector::Selector;
use parca_agent::process::cgroup::Cgroups;
use parca_agent::process::mapping::parse_maps;
use parca_agent::process::stat;
use parca_agent::sample::btf;
use parca_agent::sample::record::{RawSample, decode_process_event};
use parca_agent::store::spool::record::{self, HEAD_BYTES};
use parca_agent::symbolize::kernel::KernelSymbols;
use parca_agent::unwind::{Limits, build, go};
use parca_agent::worker::extract::extract;
use parca_agent::worker::identify::identify;
use parca_agent::worker::protocol::{Request, decode_identified};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name)
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    fs::read_dir(folder).unwrap().map(|entry| stem(entry.unwrap().path())).collect()
}

fn seeds(entry: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder("seeds").join(entry)).unwrap();
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn seed(entry: &str, name: &str) -> Vec<u8> {
    fs::read(folder("seeds").join(entry).join(name)).unwrap()
}

fn text(entry: &str, name: &str) -> String {
    String::from_utf8(seed(entry, name)).unwrap()
}

#[test]
fn each_entry_has_a_target_and_seeds() {
    let entries: BTreeSet<_> = ENTRIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in(&folder("targets")), entries);
    assert_eq!(names_in(&folder("seeds")), entries);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for name in entries {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
    }
}

#[test]
fn seeds_are_what_they_are_named() {
    assert!(Cgroups::parse(&seed("cgroup", "hybrid")).is_some());
    assert_eq!(parse_maps(&seed("maps", "process")).count(), 3);
    assert_eq!(stat::start_ticks(&seed("stat", "plain")), Some(12345));
    assert_eq!(RawSample::decode(&seed("sample", "two_stacks"), &|_| None).unwrap().kernel_stack.len(), 2);
    let Event::Pod(pod) = event::decode(&seed("pod", "added")).unwrap() else { panic!("a pod") };
    assert_eq!(pod.status.container_statuses.len(), 1);
    assert!(decode_process_event(&seed("process_event", "kind_1")).is_some());
    assert!(btf::task_offsets(&seed("types", "task_struct")).is_ok());
    assert!(btf::pid_namespace(&seed("types", "pid_namespace"), 1).is_ok());
    assert!(Request::decode(&seed("request", "identify")).is_ok());
    assert!(matches!(decode_identified(&seed("request", "identified")), Ok(Ok(_))));
    for (name, build_id) in [("gnu_note", "0001020304050607"), ("note_section", "0001020304050607")] {
        assert_eq!(
            identify(&seed("elf", name)[..], 1 << 20).unwrap().build_id.to_string(),
            build_id,
            "{name}"
        );
    }
    assert!(identify(&seed("elf", "hashed")[..], 1 << 20).is_ok());
    let content = |name| extract(&seed("extract", name)[..]).unwrap().content;
    assert!(content("dwarf").has_dwarf && content("dwarf").has_symtab && content("go").has_go_tables);
    assert!(content("links").debug_link.is_some() && content("links").alternate_link.is_some());
    for name in ["go116_x86_64", "go118_aarch64", "go120_x86_64", "go126_aarch64"] {
        assert!(matches!(go::rows(&seed("go_table", name)[..]), Ok(Some(_))), "{name}");
    }
    for name in ["aarch64", "debug_frame", "sections", "stripped"] {
        let table = build(&seed("unwind_table", name)[..], &Limits::default());
        assert!(table.is_ok_and(|table| table.statistics.functions == 3), "{name}");
    }
    assert!(Selector::parse(&text("selector", "matchers")).is_ok());
    let file = seed("spool", "delivered_and_held");
    let mut rest = file.as_slice();
    for is_finished in [true, false] {
        let head = record::Head::decode(rest).unwrap();
        let (record, behind) = rest.split_at(HEAD_BYTES + head.length as usize);
        assert_eq!(head.is_finished, is_finished);
        assert!(head.entry(&record[HEAD_BYTES..]).is_ok());
        rest = behind;
    }
    assert_eq!(rest, b"");
    assert!(Head::parse(&seed("head", "query")).is_ok());
    assert!(!KernelSymbols::read(&seed("kallsyms", "few")[..]).unwrap().is_empty());
    for name in ["every_action", "doubling"] {
        let invocation = Invocation {
            arguments: vec!["--config-path=f".into()],
            host_name: "host".to_owned(),
            ..Invocation::default()
        };
        let loaded = cli::load(&invocation, |_| Ok(text("relabel", name)));
        assert!(
            matches!(loaded, Ok(cli::Command::Run { config, .. }) if !config.discovery.relabel.is_empty()),
            "{name}"
        );
    }
    for name in ["everything", "alias"] {
        let arguments = vec!["config".into(), "check".into(), name.into()];
        let invocation = Invocation { arguments, host_name: "host".to_owned(), ..Invocation::default() };
        assert!(cli::load(&invocation, |_| Ok(text("config", name))).is_ok(), "{name}");
    }
}

#[test]
fn every_entry_takes_its_seeds_whole_and_cut() {
    for (name, entry) in ENTRIES {
        for seed in seeds(name) {
            for length in 0..=seed.len() {
                entry(&seed[..length]);
            }
        }
    }
}

/// A seed with some bytes replaced and its end taken away or grown.
fn damaged(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..8);
    (proptest::sample::select(seeds), changes, any::<Index>(), vec(any::<u8>(), 0..16)).prop_map(
        |(mut seed, changes, length, tail)| {
            seed.truncate(seed.len() - length.index(seed.len().min(8) + 1).min(seed.len()));
            for (index, byte) in changes {
                if !seed.is_empty() {
                    let at = index.index(seed.len());
                    seed[at] = byte;
                }
            }
            seed.extend(tail);
            seed
        },
    )
}

#[test]
fn every_entry_takes_damaged_seeds_and_any_bytes() {
    for (name, entry) in ENTRIES {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 128,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let run = |bytes: Vec<u8>| {
            entry(&bytes);
            Ok(())
        };
        runner.run(&damaged(seeds(name)), run).unwrap_or_else(|error| panic!("{name}: {error}"));
        runner.run(&vec(any::<u8>(), 0..512), run).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
