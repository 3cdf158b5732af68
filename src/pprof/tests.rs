use super::{Options, build, encode, proto};
use crate::address::{KernelAddress, UserAddress};
use crate::discovery::target::{Source, Target};
use crate::label::LabelSet;
use crate::object::build_id::{BuildId, BuildIdKind};
use crate::object::{FileOffset, LoadSegment, Object, ObjectAddress, ObjectId, ObjectInfo, Unidentified};
use crate::process::comm::Comm;
use crate::process::id::{BootTime, ProcessId, Tgid, ThreadId};
use crate::profile::frame::{Frame, Unresolved};
use crate::profile::stack::StackTable;
use crate::profile::{Profile, Sample, SampleCount, Thread, Window};
use crate::symbolize::kernel::{KERNEL_IMAGE, KernelSymbol};
use flate2::read::GzDecoder;
use prost::Message;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

mod any;
mod go;

const PLAIN: Options = Options { thread_labels: false };
const THREADS: Options = Options { thread_labels: true };

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

fn segment(file_offset: u64, address: u64, size: u64) -> LoadSegment {
    LoadSegment {
        file_offset: FileOffset(file_offset),
        address: ObjectAddress(address),
        file_size: size,
        memory_size: size,
        executable: true,
    }
}

fn identified(elf_type: u16, segments: &[LoadSegment]) -> Result<ObjectInfo, Unidentified> {
    let build_id = BuildId { kind: BuildIdKind::Gnu, bytes: [0xab, 0xcd].into() };
    Ok(ObjectInfo { build_id, elf_type, machine: 62, segments: segments.into(), making: Default::default() })
}

fn object(
    number: u32,
    path: &[u8],
    info: Option<Result<ObjectInfo, Unidentified>>,
) -> (ObjectId, Arc<Object>) {
    let id = ObjectId(number);
    let info = info.map_or_else(OnceLock::new, OnceLock::from);
    (id, Arc::new(Object { id, path: path.into(), info }))
}

fn at(object: u32, offset: u64) -> Frame {
    Frame::Object { object: ObjectId(object), offset: FileOffset(offset) }
}

fn process(tgid: u32) -> ProcessId {
    ProcessId { tgid: Tgid(tgid), start: BootTime { nanos: 1 } }
}

fn thread(tid: u32, name: &[u8]) -> Thread {
    Thread { tgid: Tgid(7), tid: ThreadId(tid), name: Comm::new(name) }
}

/// A window of ten seconds at 100 Hz with one profile of these stacks, each seen `count` times.
fn window(objects: Vec<(ObjectId, Arc<Object>)>, stacks: &[(&[Frame], u64)]) -> Window {
    let mut window = Window {
        start: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        duration: Duration::from_secs(10),
        period: Duration::from_millis(10),
        stacks: StackTable::default(),
        objects: objects.into_iter().collect(),
        kernel_symbols: BTreeMap::new(),
        profiles: Vec::new(),
    };
    add_profile(&mut window, &[("comm", "a")], stacks);
    window
}

fn add_profile(window: &mut Window, labels: &[(&str, &str)], stacks: &[(&[Frame], u64)]) {
    let labels: LabelSet = labels.iter().copied().collect();
    let sample = |(frames, count): &(&[Frame], u64)| Sample {
        stack: window.stacks.intern(frames).unwrap(),
        thread: thread(8, b"worker"),
        count: SampleCount(*count),
    };
    let samples = stacks.iter().map(sample).collect();
    window.profiles.push(Profile { target: Arc::new(Target { labels, source: Source::Host }), samples });
}

fn built(window: &Window, options: Options) -> proto::Profile {
    let profiles: Vec<_> = window.profiles.iter().collect();
    let (profile, _) = build(window, &profiles, options);
    assert_well_formed(&profile);
    profile
}

/// What every reader takes for granted.
fn assert_well_formed(profile: &proto::Profile) {
    let strings = &profile.string_table;
    assert_eq!(strings.first().map(String::as_str), Some(""));
    let mut sorted = strings.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), strings.len(), "a string stands twice");
    let is_string = |index: i64| usize::try_from(index).is_ok_and(|index| index < strings.len());
    let sequential = |ids: &mut dyn Iterator<Item = u64>| ids.zip(1..).all(|(id, next)| id == next);
    assert!(sequential(&mut profile.mapping.iter().map(|mapping| mapping.id)));
    assert!(sequential(&mut profile.location.iter().map(|location| location.id)));
    assert!(sequential(&mut profile.function.iter().map(|function| function.id)));
    for mapping in &profile.mapping {
        assert!(is_string(mapping.filename) && is_string(mapping.build_id));
        assert!(mapping.memory_start <= mapping.memory_limit);
    }
    for function in &profile.function {
        assert!(is_string(function.name) && is_string(function.system_name) && is_string(function.filename));
    }
    let within = |id: u64, length: usize| (1..=length as u64).contains(&id);
    for location in &profile.location {
        assert!(within(location.mapping_id, profile.mapping.len()));
        assert!(location.line.iter().all(|line| within(line.function_id, profile.function.len())));
    }
    for sample in &profile.sample {
        assert_eq!(sample.value.len(), profile.sample_type.len());
        assert!(sample.location_id.iter().all(|id| within(*id, profile.location.len())));
        assert!(sample.label.iter().all(|label| is_string(label.key) && is_string(label.str)));
    }
    for value_type in profile.sample_type.iter().chain(&profile.period_type) {
        assert!(is_string(value_type.r#type) && is_string(value_type.unit));
    }
}

fn string(profile: &proto::Profile, index: i64) -> &str {
    &profile.string_table[index as usize]
}

/// Mapping, address and function of each frame of a sample, leaf first.
fn frames(profile: &proto::Profile, sample: usize) -> Vec<(String, u64, String)> {
    let frame = |id: &u64| {
        let location = &profile.location[*id as usize - 1];
        let mapping = &profile.mapping[location.mapping_id as usize - 1];
        let function = location.line.first().map(|line| {
            let function = &profile.function[line.function_id as usize - 1];
            format!("{} {}", string(profile, function.name), string(profile, function.filename))
        });
        (string(profile, mapping.filename).to_owned(), location.address, function.unwrap_or_default())
    };
    profile.sample[sample].location_id.iter().map(frame).collect()
}

/// `name=text` or `name=number` of each label of a sample.
fn labels(profile: &proto::Profile, sample: usize) -> Vec<String> {
    let label = |label: &proto::Label| match label.str {
        0 => format!("{}={}", string(profile, label.key), label.num),
        text => format!("{}={}", string(profile, label.key), string(profile, text)),
    };
    profile.sample[sample].label.iter().map(label).collect()
}

fn frame(mapping: &str, address: u64, function: &str) -> (String, u64, String) {
    (mapping.to_owned(), address, function.to_owned())
}

#[test]
fn addresses_and_mappings_of_a_segment_are_those_at_bias_zero() {
    // Offset in the file, then address, start, limit and offset of the mapping.
    for (name, elf_type, segment, offset, expected) in [
        (
            "static",
            ET_EXEC,
            segment(0x1000, 0x40_1000, 0x500),
            0x1234,
            (0x40_1234, 0x40_1000, 0x40_2000, 0x1000),
        ),
        ("first page", ET_EXEC, segment(0, 0x40_0000, 0x2001), 0x2000, (0x40_2000, 0x40_0000, 0x40_3000, 0)),
        (
            "position-independent",
            ET_DYN,
            segment(0x1000, 0x1000, 0x1000),
            0x1000,
            (0x1000, 0x1000, 0x2000, 0x1000),
        ),
        (
            "address apart from offset",
            ET_DYN,
            segment(0x2500, 0x4500, 0x100),
            0x2510,
            (0x4510, 0x4000, 0x5000, 0x2000),
        ),
        (
            "before it on its page",
            ET_DYN,
            segment(0x2500, 0x4500, 0x100),
            0x2010,
            (0x4010, 0x4000, 0x5000, 0x2000),
        ),
        (
            "linked high",
            ET_EXEC,
            segment(0x1000, 0xffff_f000, 0x800),
            0x1001,
            (0xffff_f001, 0xffff_f000, 0x1_0000_0000, 0x1000),
        ),
    ] {
        let objects = vec![object(1, b"/bin/a", Some(identified(elf_type, &[segment])))];
        let profile = built(&window(objects, &[(&[at(1, offset)], 1)]), PLAIN);
        let [mapping] = profile.mapping[..] else { panic!("{name}: {:?}", profile.mapping) };
        let (start, limit, file_offset) = (mapping.memory_start, mapping.memory_limit, mapping.file_offset);
        assert_eq!((profile.location[0].address, start, limit, file_offset), expected, "{name}");
        let bias = start
            .wrapping_sub(file_offset)
            .wrapping_add(segment.file_offset.0)
            .wrapping_sub(segment.address.0);
        assert_eq!(bias, 0, "{name}");
        assert_eq!(string(&profile, mapping.build_id), "abcd");
        assert!(!mapping.has_functions);
    }
}

#[test]
fn each_executable_segment_is_a_mapping() {
    let segments = [segment(0x1000, 0x1000, 0x1000), segment(0x5000, 0x9000, 0x1000)];
    let objects = vec![object(1, b"/lib/a.so", Some(identified(ET_DYN, &segments)))];
    let stack = [at(1, 0x1010), at(1, 0x5010), at(1, 0x1020)];
    let profile = built(&window(objects, &[(&stack, 1)]), PLAIN);
    let mappings: Vec<_> =
        profile.mapping.iter().map(|mapping| (mapping.memory_start, mapping.file_offset)).collect();
    assert_eq!(mappings, [(0x1000, 0x1000), (0x9000, 0x5000)]);
    assert_eq!(
        frames(&profile, 0),
        [frame("/lib/a.so", 0x1010, ""), frame("/lib/a.so", 0x9010, ""), frame("/lib/a.so", 0x1020, "")]
    );
}

#[test]
fn processes_that_map_one_object_share_its_locations() {
    let info = identified(ET_DYN, &[segment(0x1000, 0x1000, 0x1000)]);
    let anonymous = |tgid| Frame::Anonymous { process: process(tgid), address: UserAddress(0x7000) };
    let stacks: [(&[Frame], u64); 2] =
        [(&[at(1, 0x1010), anonymous(1)], 1), (&[at(1, 0x1010), anonymous(2)], 1)];
    let profile = built(&window(vec![object(1, b"/lib/a.so", Some(info))], &stacks), PLAIN);
    let first: Vec<_> = profile.sample.iter().map(|sample| sample.location_id[0]).collect();
    assert_eq!(first[0], first[1]);
    assert_eq!(profile.location.len(), 3);
}

#[test]
fn anonymous_code_of_each_process_is_a_mapping() {
    let anonymous = |tgid| Frame::Anonymous { process: process(tgid), address: UserAddress(0x7000) };
    let profile = built(&window(Vec::new(), &[(&[anonymous(1), anonymous(2)], 1)]), PLAIN);
    assert_eq!(
        frames(&profile, 0),
        [frame("//anon (process 1)", 0x7000, ""), frame("//anon (process 2)", 0x7000, "")]
    );
    assert!(
        profile.mapping.iter().all(|mapping| (mapping.memory_start..mapping.memory_limit).contains(&0x7000))
    );
}

#[test]
fn offsets_stand_for_addresses_where_nothing_better_is_known() {
    let outside = identified(ET_DYN, &[segment(0x1000, 0x8000, 0x1000)]);
    let objects = vec![
        object(1, b"/not/yet", None),
        object(2, b"/refused/\xff", Some(Err(Unidentified::Malformed))),
        object(3, b"/outside", Some(outside)),
    ];
    let stack = [at(1, 0x1010), at(2, 0x1010), at(3, 0x5010), at(4, 0x1010)];
    let profile = built(&window(objects, &[(&stack, 1)]), PLAIN);
    assert_eq!(
        frames(&profile, 0),
        [
            frame("/not/yet", 0x1010, ""),
            frame("/refused/\\xff", 0x1010, ""),
            frame("/outside", 0x5010, ""),
            frame("", 0x1010, ""),
        ]
    );
    assert!(profile.mapping.iter().all(|mapping| mapping.build_id == 0 && mapping.file_offset == 0));
}

#[test]
fn kernel_frames_tell_names_but_no_runtime_addresses() {
    let kernel = |address| Frame::Kernel(KernelAddress(address));
    let symbol = |name: &str, module: Option<&str>, link_address| KernelSymbol {
        name: name.into(),
        module: module.map(Into::into),
        link_address,
    };
    let mut window = window(Vec::new(), &[(&[kernel(1), kernel(2), kernel(3), kernel(4)], 1)]);
    window.kernel_symbols = [
        (KernelAddress(1), symbol("do_work", None, Some(KERNEL_IMAGE.start + 0x10))),
        (KernelAddress(2), symbol("handler", Some("nf_tables"), None)),
        (KernelAddress(3), symbol("handler", Some("xfs"), None)),
    ]
    .into();
    let profile = built(&window, PLAIN);
    assert_eq!(
        frames(&profile, 0),
        [
            frame("[kernel.kallsyms]", KERNEL_IMAGE.start + 0x10, "do_work "),
            frame("[kernel.kallsyms]", 0, "handler [nf_tables]"),
            frame("[kernel.kallsyms]", 0, "handler [xfs]"),
            frame("[kernel.kallsyms]", 0, "[kernel] "),
        ]
    );
    let [mapping] = profile.mapping[..] else { panic!("{:?}", profile.mapping) };
    assert!(mapping.has_functions);
    assert_eq!(mapping.memory_start..mapping.memory_limit, KERNEL_IMAGE);
}

#[test]
fn unresolved_frames_name_their_reason() {
    let stack = Unresolved::ALL.map(Frame::Unresolved);
    let profile = built(&window(Vec::new(), &[(&stack, 1)]), PLAIN);
    assert_eq!(
        frames(&profile, 0),
        Unresolved::ALL.map(|reason| frame("[unresolved]", 0, &format!("[{}] ", reason.name())))
    );
}

#[test]
fn the_first_mapping_is_that_of_an_identified_file() {
    let info = identified(ET_DYN, &[segment(0x1000, 0x1000, 0x1000)]);
    let stack = [Frame::Kernel(KernelAddress(1)), Frame::Unresolved(Unresolved::NoMapping), at(1, 0x1010)];
    let profile = built(&window(vec![object(1, b"/bin/a", Some(info))], &[(&stack, 1)]), PLAIN);
    assert_eq!(string(&profile, profile.mapping[0].filename), "/bin/a");
    assert_eq!(
        frames(&profile, 0),
        [
            frame("[kernel.kallsyms]", 0, "[kernel] "),
            frame("[unresolved]", 0, "[no_mapping] "),
            frame("/bin/a", 0x1010, "")
        ]
    );
}

#[test]
fn merged_targets_are_told_apart_by_the_labels_in_which_they_differ() {
    let stack: (&[Frame], u64) = (&[Frame::Unresolved(Unresolved::NoMapping)], 1);
    let mut window = window(Vec::new(), &[]);
    window.profiles.clear();
    add_profile(&mut window, &[("node", "n"), ("comm", "a"), ("unit", "u")], &[stack]);
    add_profile(&mut window, &[("node", "n"), ("comm", "b")], &[stack]);
    let profile = built(&window, PLAIN);
    assert_eq!(labels(&profile, 0), ["comm=a", "unit=u"]);
    assert_eq!(labels(&profile, 1), ["comm=b"]);
    let (alone, _) = build(&window, &[&window.profiles[0]], PLAIN);
    assert_eq!(labels(&alone, 0), [""; 0]);
    let (none, _) = build(&window, &[], PLAIN);
    assert_well_formed(&none);
    assert_eq!(none.sample, []);
}

#[test]
fn thread_labels_are_given_if_wanted() {
    let window = window(Vec::new(), &[(&[Frame::Unresolved(Unresolved::NoMapping)], 1)]);
    assert_eq!(labels(&built(&window, PLAIN), 0), [""; 0]);
    let profile = built(&window, THREADS);
    assert_eq!(labels(&profile, 0), ["thread_name=worker", "thread_id=8"]);
}

#[test]
fn values_are_counts_and_the_time_they_stand_for() {
    let stack = [Frame::Unresolved(Unresolved::NoMapping)];
    let window = window(Vec::new(), &[(&stack, 3), (&[], 4), (&[stack[0], stack[0]], u64::MAX)]);
    let profile = built(&window, PLAIN);
    let values: Vec<_> = profile.sample.iter().map(|sample| &sample.value[..]).collect();
    assert_eq!(values, [[3, 30_000_000], [4, 40_000_000], [i64::MAX, i64::MAX]]);
    let types: Vec<_> = profile
        .sample_type
        .iter()
        .map(|kind| (string(&profile, kind.r#type), string(&profile, kind.unit)))
        .collect();
    assert_eq!(types, [("samples", "count"), ("cpu", "nanoseconds")]);
    assert_eq!(profile.period_type, Some(profile.sample_type[1]));
    assert_eq!(
        (profile.period, profile.duration_nanos, profile.time_nanos),
        (10_000_000, 10_000_000_000, 1_700_000_000_000_000_000)
    );
}

#[test]
fn a_clock_before_1970_gives_no_time() {
    let mut window = window(Vec::new(), &[]);
    window.start = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(built(&window, PLAIN).time_nanos, 0);
}

fn decode(bytes: &[u8]) -> proto::Profile {
    let mut message = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut message).unwrap();
    proto::Profile::decode(&message[..]).unwrap()
}

#[test]
fn the_bytes_are_the_compressed_message() {
    let stack = [Frame::Unresolved(Unresolved::NoMapping)];
    let window = window(Vec::new(), &[(&stack, 3)]);
    let profiles: Vec<_> = window.profiles.iter().collect();
    let bytes = encode(&window, &profiles, THREADS);
    assert_eq!(bytes[..2], [0x1f, 0x8b]);
    assert_eq!(decode(&bytes), built(&window, THREADS));
}
