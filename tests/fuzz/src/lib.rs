//! One entry for each parser of bytes that somebody else controls: it must not panic, hang or take memory
//! out of proportion, and what it accepts must hold together.
//!
//! The fuzzer calls the entries, and so does the test suite, which keeps them from rotting.

use parca_agent::address::KernelAddress;
use parca_agent::cli::{self, Invocation};
use parca_agent::debuginfo::plan::{Part, Plan};
use parca_agent::discovery::kubernetes::event::{self, Event};
use parca_agent::discovery::kubernetes::labels;
use parca_agent::discovery::membership::Membership;
use parca_agent::discovery::systemd::units_on_path::UnitsOnPath;
use parca_agent::http::head::{self, Head};
use parca_agent::http::route::{QueryParameters, Route};
use parca_agent::http::selector::Selector;
use parca_agent::label::{LabelSet, is_label_name};
use parca_agent::metrics::Counter;
use parca_agent::object::ObjectId;
use parca_agent::process::cgroup::Cgroups;
use parca_agent::process::comm::Comm;
use parca_agent::process::mapping::{Backing, parse_maps};
use parca_agent::process::stat;
use parca_agent::relabel::{MAX_WRITTEN, Rules, Verdict};
use parca_agent::sample::btf;
use parca_agent::sample::record::{RawSample, decode_process_event};
use parca_agent::store::spool::record::{self, HEAD_BYTES, MAX_PAYLOAD};
use parca_agent::symbolize::kernel::{KERNEL_IMAGE, KernelSymbols};
use parca_agent::unwind::{Limits, MAX_ROWS_PER_PAGE, build, go};
use parca_agent::worker::extract::extract;
use parca_agent::worker::extraction::{decode_extraction, encode_extraction};
use parca_agent::worker::identify::identify;
use parca_agent::worker::protocol::{
    self, JobId, JobKind, MAX_FRAME, MAX_SEGMENTS, Packet, Reply, Request, decode_identified,
    encode_identified,
};
use parca_agent::worker::table::{decode_table, encode_table};
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;

/// Most bytes of code that a file may have hashed here: enough to go through, little enough to go fast.
const HASHED: u64 = 1 << 20;

/// A name, which is that of its target and of its seeds, and the function.
pub type Entry = (&'static str, fn(&[u8]));

/// Every entry.
pub const ENTRIES: [Entry; 20] = [
    ("arguments", arguments),
    ("cgroup", cgroup),
    ("config", config),
    ("elf", elf),
    ("extract", extract_debug_file),
    ("go_table", go_table),
    ("head", request_head),
    ("kallsyms", kallsyms),
    ("maps", maps),
    ("pod", pod),
    ("process_event", process_event),
    ("relabel", relabel),
    ("reply", reply),
    ("request", request),
    ("sample", sample),
    ("selector", selector),
    ("spool", spool),
    ("stat", process_stat),
    ("types", types),
    ("unwind_table", unwind_table),
];

/// The command line: one argument a line.
pub fn arguments(bytes: &[u8]) {
    let arguments: Vec<OsString> =
        bytes.split(|byte| *byte == b'\n').map(|line| OsStr::from_bytes(line).into()).collect();
    let invocation = Invocation { arguments, host_name: "host".to_owned(), ..Invocation::default() };
    if let Err(error) = cli::load(&invocation, |_| Ok(String::new())) {
        assert!(!error.to_string().contains('\n'), "an error is one line: {error}");
    }
}

/// `/proc/PID/cgroup`, and the containers that it names.
pub fn cgroup(bytes: &[u8]) {
    if let Some(cgroups) = Cgroups::parse(bytes) {
        assert!(cgroups.paths().iter().all(|path| !path.0.is_empty() && !path.0.contains(&b'\n')));
        Membership::of(&cgroups);
        for path in cgroups.paths() {
            let units = UnitsOnPath::parse(&path.0).units;
            assert!(units.is_sorted_by(|outer, inner| outer.depth < inner.depth));
            assert!(units.iter().all(|unit| unit.depth.0 <= path.components().count()));
        }
    }
}

/// The configuration file. What it says can be printed, and says the same then.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let load = |action: &[&str], text: &str| {
        let arguments = [&["--config-path=f"], action].concat().into_iter().map(OsString::from).collect();
        let invocation = Invocation { arguments, host_name: "host".to_owned(), ..Invocation::default() };
        cli::load(&invocation, |_| Ok(text.to_owned()))
    };
    match load(&["config", "print"], text) {
        Ok(cli::Command::Print { output, .. }) => {
            match load(&["config", "print"], &output) {
                Ok(again) => assert_eq!(again, cli::Command::Print { output, warnings: Vec::new() }),
                // What stands for a secret is not taken for one.
                Err(error) => assert!(output.contains("(hidden)"), "what was printed is not read: {error}"),
            }
        }
        Ok(other) => panic!("config print does {other:?}"),
        Err(error) => assert!(!error.to_string().contains('\n'), "an error is one line: {error}"),
    }
}

/// An executable or library.
pub fn elf(bytes: &[u8]) {
    let identified = identify(bytes, HASHED);
    if let Ok(info) = &identified {
        assert!(info.segments.len() <= MAX_SEGMENTS);
        assert!(info.segments.iter().all(|segment| segment.file_size <= segment.memory_size));
        assert_eq!(decode_identified(&encode_identified(&identified)), Ok(identified));
    }
}

/// An executable or library, for its debug information. What is made of it has the same again.
pub fn extract_debug_file(bytes: &[u8]) {
    let result = extract(bytes);
    assert_eq!(decode_extraction(&encode_extraction(&result)), Ok(result.clone()));
    let Ok(extraction) = result else { return };
    assert!(extraction.plan.copied() <= bytes.len() as u64);
    let debug_file = debug_file(&extraction.plan, bytes);
    let again = extract(&debug_file[..]).expect("a debug file is well formed");
    assert_eq!(again.content, extraction.content);
    assert_eq!(self::debug_file(&again.plan, &debug_file), debug_file);
}

fn debug_file(plan: &Plan, file: &[u8]) -> Vec<u8> {
    plan.check(file.len() as u64).expect("copies lie in the file");
    let mut bytes = Vec::new();
    for part in plan.parts() {
        match part {
            Part::Bytes(own) => bytes.extend(own),
            Part::Copy { from, length } => {
                let from = from.0 as usize;
                bytes.extend(&file[from..from + *length as usize]);
            }
            Part::Zeros(length) => bytes.resize(bytes.len() + *length as usize, 0),
        }
    }
    assert_eq!(bytes.len() as u64, plan.size());
    bytes
}

/// A Go program.
pub fn go_table(bytes: &[u8]) {
    if let Ok(Some(rows)) = go::rows(bytes) {
        assert!(rows.is_sorted_by(|left, right| left.address < right.address && left.rule != right.rule));
    }
}

/// The head of a request, as the guard reads it, and its target, as the inner server reads that.
pub fn request_head(bytes: &[u8]) {
    let Ok(Some(length)) = head::end(bytes) else { return };
    let Ok(head) = Head::parse(&bytes[..length]) else { return };
    head.host_is_allowed(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let canonical = head.canonical();
    assert!(canonical.is_ascii() && canonical.ends_with("\r\n\r\n"));
    assert_eq!(canonical.find("\r\n\r\n"), Some(canonical.len() - 4), "one head: {canonical:?}");
    let target = canonical.split(' ').nth(1).expect("a request line has three parts");
    if let Route::Query(QueryParameters { selector: Some(text), .. }) = Route::of(target) {
        selector(text.as_bytes());
    }
}

/// `/proc/kallsyms`.
pub fn kallsyms(bytes: &[u8]) {
    let Ok(symbols) = KernelSymbols::read(bytes) else { return };
    let probes = bytes.chunks(8).take(16).map(|chunk| {
        let mut word = [0xff; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    for address in probes.chain([0, KERNEL_IMAGE.start, 0xffff_ffff_9a00_0015, u64::MAX]) {
        if let Some(symbol) = symbols.find(KernelAddress(address)) {
            assert!(!symbols.is_empty() && !symbol.name.is_empty());
            assert!(symbol.link_address.is_none_or(|address| KERNEL_IMAGE.contains(&address)));
        }
    }
}

/// `/proc/PID/maps`.
pub fn maps(bytes: &[u8]) {
    for entry in parse_maps(bytes) {
        if let Backing::File { file, .. } = entry.backing {
            assert!(file.path.starts_with(b"/") && !file.path.contains(&b'\n'));
        }
    }
}

/// A line of a watch of pods, and the labels of the containers that it tells of.
pub fn pod(bytes: &[u8]) {
    let Ok(Event::Pod(pod) | Event::Deleted(pod)) = event::decode(bytes) else { return };
    let cut = Counter::default();
    for container in labels::of_containers(&pod, &labels::of_node("n1", None, &cut), &cut) {
        assert!(!container.id.is_empty() && !container.id.contains('/'));
        let discovered = container.discovered;
        assert!(discovered.meta.iter().all(|(name, _)| is_label_name(name)));
        assert!(discovered.bytes() <= 1000 + 32 * bytes.len(), "labels in proportion to what was read");
    }
}

/// A record of the event ring.
pub fn process_event(bytes: &[u8]) {
    decode_process_event(bytes);
}

/// Rules of a configuration file, applied to labels that are made of its text: what is left are labels, they did
/// not grow past their bound, and what the rules do not read makes no difference.
pub fn relabel(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let arguments = vec![OsString::from("--config-path=f")];
    let invocation = Invocation { arguments, host_name: "host".to_owned(), ..Invocation::default() };
    let Ok(cli::Command::Run { config, .. }) = cli::load(&invocation, |_| Ok(text.to_owned())) else {
        return;
    };
    let rules = config.discovery.relabel;
    let line = text.lines().next().unwrap_or_default();
    let given: LabelSet =
        [("namespace", "shop"), ("pod", line), ("__meta_kubernetes_pod_label_app", "web"), ("comm", text)]
            .into_iter()
            .collect();
    let (verdict, labels) = relabelled(&rules, given.clone());
    if let Verdict::Dropped { rule } = verdict {
        assert!(rules.get(rule).is_some_and(|rule| !rule.to_string().contains('\n')));
    }
    assert!(labels.iter().all(|(name, value)| is_label_name(name) && !value.is_empty()), "{labels}");
    assert!(labels.bytes() <= given.bytes() + MAX_WRITTEN);
    for (name, _) in given.iter().filter(|(name, _)| !rules.reads(name)) {
        let mut without = given.clone();
        without.set(name, "");
        let (again, mut left) = relabelled(&rules, without);
        let mut expected = labels.clone();
        left.set(name, "");
        expected.set(name, "");
        assert_eq!((again, left), (verdict, expected), "without {name}");
    }
}

fn relabelled(rules: &Rules, mut labels: LabelSet) -> (Verdict, LabelSet) {
    (rules.apply(&mut labels), labels)
}

/// Packets of a worker that has been taken over, each behind its length.
pub fn reply(bytes: &[u8]) {
    let limits = JobKind::Identify.limits();
    let mut reply = Reply::new(&Request { id: JobId(0), kind: JobKind::Identify, limits });
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len()).min(MAX_FRAME);
        let (packet, next) = behind.split_at(length);
        rest = next;
        let whole = reply.add(packet);
        assert!(reply.bytes().len() <= limits.reply as usize);
        match whole {
            Ok(false) => (),
            Ok(true) => return identified(reply.bytes()),
            Err(_) => return,
        }
    }
}

fn identified(bytes: &[u8]) {
    if let Ok(result) = decode_identified(bytes) {
        assert_eq!(encode_identified(&result), bytes, "one encoding for each result");
    }
    if let Ok(result) = decode_table(bytes) {
        assert_eq!(encode_table(&result), bytes, "one encoding for each table");
    }
    if let Ok(result) = decode_extraction(bytes) {
        assert_eq!(encode_extraction(&result), bytes, "one encoding for each extraction");
    }
}

/// A request to the worker, and any one packet.
pub fn request(bytes: &[u8]) {
    if let Ok(request) = Request::decode(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    match Packet::decode(bytes) {
        Ok(Packet::Started(id)) => assert_eq!(protocol::started(id), bytes),
        Ok(Packet::Part(_, part, _)) => assert!(bytes.ends_with(part)),
        Err(_) => (),
    }
    identified(bytes);
}

/// A record of the sample ring.
pub fn sample(bytes: &[u8]) {
    if let Some(sample) = RawSample::decode(bytes, &|slot| Some(ObjectId(slot.0))) {
        assert!((sample.kernel_stack.len() + sample.user_stack.len()) * size_of::<u64>() <= bytes.len());
        assert_eq!(Comm::new(sample.comm.as_bytes()), sample.comm);
    }
}

/// A selector, and the label set of which it was made.
pub fn selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let labels: LabelSet = [("__name__", "cpu"), ("comm", text)].into_iter().collect();
    match Selector::parse(text) {
        Ok(selector) => {
            let matches = selector.matches(&labels);
            // The text with its escapes may be longer than a selector may be.
            if let Ok(again) = Selector::parse(&selector.to_string()) {
                assert_eq!(again.to_string(), selector.to_string());
                assert_eq!(again.matches(&labels), matches, "{text:?}");
            }
        }
        Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.position), "{error}: {text:?}"),
    }
    if let Ok(selector) = Selector::parse(&labels.to_string()) {
        assert!(selector.matches(&labels), "{labels}");
    }
}

/// A file of the spool. What an entry says is written, and says the same then.
pub fn spool(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(head) = record::Head::decode(rest) {
        assert!(head.length as usize <= MAX_PAYLOAD);
        let Some((record, behind)) = rest.split_at_checked(HEAD_BYTES + head.length as usize) else { return };
        rest = behind;
        let Ok(entry) = head.entry(&record[HEAD_BYTES..]) else { continue };
        assert_eq!(entry.samples, head.samples);
        let Ok(again) = record::encode(&entry) else { continue };
        let head = record::Head::decode(&again).expect("what was written is read");
        assert_eq!(head.entry(&again[HEAD_BYTES..]), Ok(entry));
    }
}

/// `/proc/PID/stat`.
pub fn process_stat(bytes: &[u8]) {
    stat::start_ticks(bytes);
}

/// The kernel's BTF.
pub fn types(bytes: &[u8]) {
    if let Err(error) = btf::task_offsets(bytes) {
        assert!(!error.to_string().is_empty());
    }
    if let Err(error) = btf::pid_namespace(bytes, 1) {
        assert!(!error.to_string().is_empty());
    }
}

/// An executable or library, for its call frame information.
pub fn unwind_table(bytes: &[u8]) {
    let limits = Limits { section: 1 << 20, raw_rows: 1 << 16, work: 1 << 22, ..Limits::default() };
    let result = build(bytes, &limits);
    if let Ok(table) = &result {
        assert!(table.pages.is_sorted_by(|left, right| left.number < right.number));
        for page in &table.pages {
            assert!((1..=MAX_ROWS_PER_PAGE).contains(&page.rows.len()));
            assert_eq!(page.rows.first().map(|row| row.low()), Some(0));
            assert!(page.rows.is_sorted_by(|left, right| left.low() < right.low()));
            assert!(page.rows.iter().all(|row| usize::from(row.rule().0) < table.rules.len()));
        }
        let rows: usize = table.pages.iter().map(|page| page.rows.len()).sum();
        assert_eq!(table.statistics.rows, rows as u64);
    }
    assert_eq!(decode_table(&encode_table(&result)), Ok(result));
}
