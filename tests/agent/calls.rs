//! The main job: a program's calls are in its profile, as they are and as often as they are.

use super::agent::{Agent, selector};
use super::profile::{Frame, Profile};
use super::program::{Program, unique};
use super::readers::assert_all_agree;
use super::symbols::Symbols;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Samples a second on each CPU, unless something else is asked for.
const FREQUENCY: f64 = 100.0;

/// The names of a program's own functions in a stack, leaf first.
fn calls<'a>(stack: &[Frame<'_>], program: &Path, symbols: &'a Symbols) -> Vec<&'a str> {
    let own = stack.iter().filter(|frame| Path::new(frame.mapping) == program);
    own.map(|frame| symbols.name(frame.address)).collect()
}

/// Share of a chain's samples that have this function as their leaf, with its known callers.
fn share_of(profile: &Profile, program: &Program, chain: &[&str]) -> f64 {
    let symbols = Symbols::of(&program.path);
    let matching = profile.count(|stack| calls(stack, &program.path, &symbols).starts_with(chain));
    matching as f64 / profile.total() as f64
}

fn assert_near(what: &str, found: f64, expected: f64, tolerance: f64) {
    let low_and_high = expected * (1.0 - tolerance)..=expected * (1.0 + tolerance);
    assert!(low_and_high.contains(&found), "{what}: {found}, not within {tolerance} of {expected}");
}

#[test]
fn a_chain_of_calls_is_profiled_as_it_runs() {
    let agent = Agent::start(&["--profiling-duration=2s"]);
    let name = unique("chain");
    let chain = Program::start_measured("chain", &name, &[]);
    let meter = chain.meter();
    let profile = agent.identified(&name, &chain.path, meter.began());

    let leaf = share_of(&profile, &chain, &["leaf", "middle", "outer", "main"]);
    let brief = share_of(&profile, &chain, &["brief", "outer", "main"]);
    assert!(leaf > 0.6 && brief > 0.13 && leaf + brief > 0.9, "leaf {leaf}, brief {brief}");

    let used = meter.used(profile.start(), profile.end()).as_secs_f64();
    assert!(used > 1.0, "the machine gave the program only {used} s of 2 s");
    assert_near("samples", profile.total() as f64, used * FREQUENCY, 0.1);

    let listed = agent.targets();
    let targets = listed["targets"].as_array().unwrap();
    assert!(targets.iter().any(|target| target["labels"]["comm"] == name.as_str()), "{listed}");
    assert_fields(&profile);
    assert_threads(&profile, chain.id(), &name);
    assert_mapping(&profile, &chain.path);
    assert_all_agree(&profile);
    agent.stop();
}

fn assert_fields(profile: &Profile) {
    let message = &profile.message;
    let kind = |kind: &parca_agent::pprof::proto::ValueType| {
        (profile.text(kind.r#type).to_owned(), profile.text(kind.unit).to_owned())
    };
    let pair = |kind: &str, unit: &str| (kind.to_owned(), unit.to_owned());
    let types: Vec<_> = message.sample_type.iter().map(kind).collect();
    assert_eq!(types, [pair("samples", "count"), pair("cpu", "nanoseconds")]);
    assert_eq!(message.period_type.as_ref().map(kind), Some(pair("cpu", "nanoseconds")));
    assert_eq!(message.period, 10_000_000);
    for sample in &message.sample {
        assert_eq!(sample.value[1], sample.value[0] * message.period);
    }
    assert_near("duration", message.duration_nanos as f64, 2e9, 0.2);
    let age = SystemTime::now().duration_since(profile.end()).expect("the window has not ended yet");
    assert!(age < Duration::from_secs(5), "the window ended {age:?} ago");
}

fn assert_threads(profile: &Profile, process: u32, name: &str) {
    for sample in &profile.message.sample {
        assert_eq!(profile.number(sample, "thread_id"), Some(i64::from(process)));
        assert_eq!(profile.label(sample, "thread_name"), Some(name));
    }
}

/// The executable segment is one mapping at load bias 0, as readelf prints it.
fn assert_mapping(profile: &Profile, program: &Path) {
    let mapping = profile.message.mapping.iter().find(|row| Path::new(profile.text(row.filename)) == program);
    let mapping = mapping.unwrap();
    let headers = readelf("-lW", program);
    let is_code = |line: &&str| line.trim_start().starts_with("LOAD") && line.contains(" R E ");
    let fields: Vec<u64> =
        headers.lines().find(is_code).unwrap().split_whitespace().filter_map(number).collect();
    let [offset, address, _, _, size] = fields[..5] else { panic!("{headers}") };
    let page = |address: u64| address & !0xfff;
    // pprof takes the first mapping for that of the program.
    assert_eq!(mapping.id, 1);
    assert_eq!(mapping.memory_start, page(address));
    assert_eq!(mapping.file_offset, page(offset));
    assert_eq!(mapping.memory_limit, page(address + size + 0xfff));
    let notes = readelf("-n", program);
    let build_id = notes.split("Build ID: ").nth(1).unwrap().split_whitespace().next();
    assert_eq!(Some(profile.text(mapping.build_id)), build_id);
}

fn number(field: &str) -> Option<u64> {
    u64::from_str_radix(field.strip_prefix("0x")?, 16).ok()
}

fn readelf(option: &str, program: &Path) -> String {
    let output = Command::new("readelf").arg(option).arg(program).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_reader_opens_the_profile_of_the_whole_host() {
    let agent = Agent::start(&["--profiling-duration=1s"]);
    let _threads = Program::start("threads", unique("thr"), &["30", "3"]);
    let _deep = Program::start("deep", unique("deep"), &[]);
    agent.next_window();
    let profile = agent.next_window();
    let of_spinners = |sample: &&parca_agent::pprof::proto::Sample| {
        profile.label(sample, "thread_name").is_some_and(|name| name.starts_with("spinner-"))
    };
    assert!(profile.message.sample.iter().filter(of_spinners).count() >= 3);
    assert_all_agree(&profile);
    agent.stop();
}

/// pprof asks the server for the names that it does not find itself, and shows nothing unless that goes well.
#[test]
fn pprof_shows_a_program_without_symbols_by_the_address_of_its_profile() {
    let agent = Agent::start(&["--profiling-duration=1s"]);
    let directory = tempfile::tempdir().unwrap();
    let (name, stripped) = (unique("stripped"), directory.path().join("stripped"));
    let strip =
        Command::new("strip").arg("-o").arg(&stripped).arg(super::workload::build("chain")).status().unwrap();
    assert!(strip.success());
    let _program = Program::start_file(&stripped, name.as_ref(), &[]);
    agent.profile(&selector(&name));
    let url =
        format!("http://{}/query?query={}&latest=1", agent.address, super::http::encode(&selector(&name)));
    let pprof = Command::new("go")
        .args(["tool", "pprof", "-top", &url])
        .env("PPROF_TMPDIR", directory.path())
        .output()
        .unwrap();
    let [shown, complaints] = [pprof.stdout, pprof.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(pprof.status.success() && shown.contains("Type: cpu"), "{shown}{complaints}");
    agent.stop();
}

#[test]
fn threads_carry_their_own_ids_and_names_and_can_be_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    std::fs::write(&file, "profiling-duration = \"1s\"\n").unwrap();
    let agent = Agent::start(&["--config-path", file.to_str().unwrap()]);
    let name = unique("thr");
    let threads = Program::start("threads", &name, &["30", "2"]);
    let profile = agent.profile_since(&name, SystemTime::now());
    for sample in &profile.message.sample {
        let thread = profile.number(sample, "thread_id").unwrap();
        let expected = std::fs::read_to_string(format!("/proc/{}/task/{thread}/comm", threads.id())).unwrap();
        assert_eq!(profile.label(sample, "thread_name"), Some(expected.trim_end()));
    }
    agent.stop();
}

#[test]
fn both_bpf_objects_give_the_same_profile() {
    let name = unique("both");
    let chain = Program::start_measured("chain", &name, &[]);
    let meter = chain.meter();
    let [modern, baseline] = ["modern", "baseline"].map(|object| {
        let force = format!("--force-object={object}");
        let agent = Agent::start(&["--profiling-duration=3s", &force]);
        assert_eq!(agent.metrics().value(&format!("bpf_object{{object=\"{object}\"}}")), 1.0);
        let profile = agent.identified(&name, &chain.path, meter.began());
        agent.metrics().assert_books_balance();
        // Each window has its own samples, and none of the next.
        let windows = [agent.profile(&selector(&name)), agent.profile(&selector(&name))];
        agent.stop();
        for window in [&profile].into_iter().chain(&windows) {
            let used = meter.used(window.start(), window.end()).as_secs_f64();
            assert_near(object, window.total() as f64, used * FREQUENCY, 0.1);
        }
        share_of(&profile, &chain, &["leaf", "middle", "outer", "main"])
    });
    // Three standard deviations of two times 300 samples.
    assert!((modern - baseline).abs() < 0.1, "modern {modern}, baseline {baseline}");
    assert!(modern > 0.6, "{modern}");
}

#[test]
fn a_selector_that_matches_nothing_is_not_found() {
    let agent = Agent::start(&["--profiling-duration=1s"]);
    let nobody = selector("nobody has this name");
    let response = agent.get(&format!("/query?query={}", super::http::encode(&nobody)));
    assert_eq!(response.status, 404, "{}", response.text());
    agent.stop();
}
