use super::{MAX_PROFILE_BYTES, MergeError, decode, merge};
use crate::label::LabelSet;
use crate::pprof::{self, proto};
use crate::store::entry::Entry;
use crate::store::message::{ExecutableInfo, LoadSegment};
use crate::store::sample_entry::{WINDOW, entry, entry_of_stacks, start_of};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A sample as text: every frame, every label, sorted.
type Text = (Vec<String>, Vec<String>);

/// Sums of values.
type Sums = BTreeMap<Text, Vec<i64>>;

/// What a profile says, however its tables are: the sums of values by what the sample is.
fn meaning(profile: &proto::Profile, executables: &[ExecutableInfo]) -> Sums {
    let string = |index: i64| profile.string_table[usize::try_from(index).unwrap()].clone();
    let frame = |id: u64| {
        let location = profile.location.iter().find(|location| location.id == id).unwrap();
        let index = profile.mapping.iter().position(|mapping| mapping.id == location.mapping_id);
        let mapping = index.map(|index| {
            let mapping = &profile.mapping[index];
            let range = (mapping.memory_start, mapping.memory_limit, mapping.file_offset);
            let names = (string(mapping.filename), string(mapping.build_id), mapping.has_functions);
            format!("{range:?} {names:?} {:?}", executables[index])
        });
        assert_eq!(mapping.is_some(), location.mapping_id != 0);
        let lines: Vec<_> = location
            .line
            .iter()
            .map(|line| {
                let function =
                    profile.function.iter().find(|function| function.id == line.function_id).unwrap();
                let names = [function.name, function.system_name, function.filename].map(string);
                (names, line.line)
            })
            .collect();
        format!("{:x} in {mapping:?}: {lines:?}", location.address)
    };
    let mut sums: Sums = BTreeMap::new();
    for sample in &profile.sample {
        let frames = sample.location_id.iter().map(|id| frame(*id)).collect();
        let label =
            |label: &proto::Label| format!("{}={}/{}", string(label.key), string(label.str), label.num);
        let mut labels: Vec<_> = sample.label.iter().map(label).collect();
        labels.sort();
        let sum = sums.entry((frames, labels)).or_insert_with(|| vec![0; sample.value.len()]);
        sum.iter_mut().zip(&sample.value).for_each(|(sum, value)| *sum += value);
    }
    sums
}

fn decoded(entry: &Entry) -> proto::Profile {
    decode(&entry.profile, MAX_PROFILE_BYTES).unwrap()
}

/// Both meanings as one.
fn sum(mut first: Sums, second: Sums) -> Sums {
    for (text, values) in second {
        let sum = first.entry(text).or_insert_with(|| vec![0; values.len()]);
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    first
}

/// Mapping, address, and lines in functions.
type LocationRow = (usize, u64, Vec<(usize, i64)>);

/// Locations, labels, and a value.
type SampleRow = (Vec<usize>, Vec<(usize, usize, i64)>, i64);

/// A profile whose tables are in any order, with rows that occur twice or are not used, and ids of any kind.
#[derive(Clone, Debug)]
struct Tables {
    strings: Vec<u8>,
    functions: Vec<(usize, usize, usize)>,
    mappings: Vec<(u64, usize, usize, u32)>,
    locations: Vec<LocationRow>,
    samples: Vec<SampleRow>,
    first_id: u64,
}

fn tables() -> impl Strategy<Value = Tables> {
    let any = || 0..64_usize;
    let functions = vec((any(), any(), any()), 1..5);
    let mappings = vec((0..3_u64, any(), any(), 0..3_u32), 1..5);
    let locations = vec((any(), 0..3_u64, vec((any(), 0..2_i64), 0..3)), 1..8);
    let samples = vec((vec(any(), 0..4), vec((any(), any(), 0..2_i64), 0..3), 0..100_i64), 0..12);
    (vec(0..6_u8, 1..10), functions, mappings, locations, samples, 1..1000_u64).prop_map(
        |(strings, functions, mappings, locations, samples, first_id)| Tables {
            strings,
            functions,
            mappings,
            locations,
            samples,
            first_id,
        },
    )
}

impl Tables {
    fn entry(&self, window: u64) -> Entry {
        let fixed = ["", "samples", "count", "cpu", "nanoseconds"].map(str::to_owned);
        let strings: Vec<String> =
            fixed.into_iter().chain(self.strings.iter().map(|text| format!("s{text}"))).collect();
        // Index 0 is the empty string, as often as any other.
        let string = |choice: &usize| match choice % (self.strings.len() + 1) {
            0 => 0,
            index => index as i64 + 4,
        };
        let id = |choice: &usize, rows: usize| self.first_id + (choice % rows) as u64;
        let function =
            |(index, (name, system_name, filename)): (u64, &(usize, usize, usize))| proto::Function {
                id: self.first_id + index,
                name: string(name),
                system_name: string(system_name),
                filename: string(filename),
            };
        let mapping =
            |(index, (start, filename, build_id, _)): (u64, &(u64, usize, usize, u32))| proto::Mapping {
                id: self.first_id + index,
                memory_start: start << 12,
                memory_limit: (start + 1) << 12,
                file_offset: 0,
                filename: string(filename),
                build_id: string(build_id),
                has_functions: start % 2 == 0,
            };
        let mappings = self.mappings.len() + 1;
        let location = |(index, row): (u64, &LocationRow)| proto::Location {
            id: self.first_id + index,
            // The last choice is no mapping.
            mapping_id: if row.0 % mappings == mappings - 1 { 0 } else { id(&(row.0 % mappings), mappings) },
            address: row.1,
            line: row
                .2
                .iter()
                .map(|(function, line)| proto::Line {
                    function_id: id(function, self.functions.len()),
                    line: *line,
                })
                .collect(),
        };
        let sample = |(locations, labels, value): &SampleRow| proto::Sample {
            location_id: locations.iter().map(|choice| id(choice, self.locations.len())).collect(),
            value: vec![*value, value * 10],
            label: labels
                .iter()
                .map(|(key, str, num)| proto::Label { key: string(key), str: string(str), num: *num })
                .collect(),
        };
        let profile = proto::Profile {
            sample_type: vec![
                proto::ValueType { r#type: 1, unit: 2 },
                proto::ValueType { r#type: 3, unit: 4 },
            ],
            sample: self.samples.iter().map(sample).collect(),
            mapping: (0..).zip(&self.mappings).map(mapping).collect(),
            location: (0..).zip(&self.locations).map(location).collect(),
            function: (0..).zip(&self.functions).map(function).collect(),
            string_table: strings,
            ..proto::Profile::default()
        };
        let executable = |(start, .., kind): &(u64, usize, usize, u32)| ExecutableInfo {
            elf_type: *kind,
            load_segment: (*kind > 0).then_some(LoadSegment { offset: *start, vaddr: u64::from(*kind) }),
        };
        Entry {
            samples: self.samples.iter().map(|(.., value)| value.unsigned_abs()).sum(),
            profile: pprof::compress(&profile),
            executables: self.mappings.iter().map(executable).collect(),
            ..entry("web", window, 0)
        }
    }
}

fn meaning_of(entry: &Entry) -> Sums {
    meaning(&decoded(entry), &entry.executables)
}

fn is_sequence(ids: impl Iterator<Item = u64>) -> bool {
    (1..).zip(ids).all(|(expected, id)| expected == id)
}

proptest! {
    #[test]
    fn a_merged_profile_says_what_both_said(first in tables(), second in tables()) {
        let (first, second) = (first.entry(3), second.entry(4));
        let merged = merge(&first, &second).unwrap();
        prop_assert_eq!(meaning_of(&merged), sum(meaning_of(&first), meaning_of(&second)));
        prop_assert_eq!(merged.samples, first.samples + second.samples);
        prop_assert_eq!((merged.start, merged.duration), (first.start, WINDOW * 2));

        let profile = decoded(&merged);
        prop_assert_eq!(&profile.string_table[0], "");
        prop_assert!(is_sequence(profile.mapping.iter().map(|row| row.id)));
        prop_assert!(is_sequence(profile.location.iter().map(|row| row.id)));
        prop_assert!(is_sequence(profile.function.iter().map(|row| row.id)));
        prop_assert_eq!(profile.mapping.len(), merged.executables.len());
        prop_assert!(profile.mapping.is_sorted_by_key(|mapping| mapping.build_id == 0));
        // Each stack once: nothing is left to be added up.
        prop_assert_eq!(profile.sample.len(), meaning_of(&merged).len());
        let mut strings = profile.string_table;
        strings.sort();
        prop_assert!(strings.is_sorted_by(|left, right| left < right), "a string twice");
    }
}

#[test]
fn a_window_between_two_is_part_of_the_time() {
    let (first, second) = (entry("web", 3, 10), entry("web", 6, 20));
    let merged = merge(&first, &second).unwrap();
    assert_eq!((merged.start, merged.duration, merged.samples), (start_of(3), WINDOW * 4, 30));
    let profile = decoded(&merged);
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap();
    let start = start_of(3).duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!((profile.time_nanos, profile.duration_nanos), (nanos(start), nanos(WINDOW * 4)));
    assert_eq!((profile.period, profile.sample_type.len()), (52_631_578, 2));
    assert_eq!(merged.labels.get("comm"), Some("web"));
}

#[test]
fn what_differs_in_kind_stays_two() {
    let change = |change: fn(&mut proto::Profile)| {
        let mut other = entry("web", 4, 10);
        let mut profile = decoded(&other);
        change(&mut profile);
        other.profile = pprof::compress(&profile);
        merge(&entry("web", 3, 10), &other)
    };
    assert!(change(|_| ()).is_ok());
    assert!(matches!(change(|profile| profile.period += 1), Err(MergeError::Different)));
    assert!(matches!(change(|profile| profile.string_table[3].push('x')), Err(MergeError::Different)));
    assert!(matches!(change(|profile| profile.period_type = None), Err(MergeError::Different)));
    assert!(matches!(change(|profile| profile.sample[0].value.truncate(1)), Err(MergeError::Values(1))));
    let dangling: [fn(&mut proto::Profile); 6] = [
        |profile| profile.sample[0].location_id.push(99),
        |profile| profile.location[0].mapping_id = 99,
        |profile| profile.location[0].line.push(proto::Line { function_id: 99, line: 0 }),
        |profile| profile.mapping[0].filename = 99,
        |profile| profile.comment.push(-1),
        |profile| profile.string_table.clear(),
    ];
    for (index, damage) in dangling.into_iter().enumerate() {
        assert!(matches!(change(damage), Err(MergeError::Dangling(_))), "{index}");
    }
}

#[test]
fn what_cannot_be_read_stays_two() {
    let good = entry("web", 3, 10);
    let with = |profile: Vec<u8>| merge(&good, &Entry { profile, ..entry("web", 4, 10) });
    assert!(matches!(with(vec![1; 50]), Err(MergeError::Compression(_))));
    assert!(matches!(with(good.profile[..good.profile.len() / 2].to_vec()), Err(MergeError::Compression(_))));
    let large = proto::Profile { string_table: vec!["x".repeat(1000)], ..proto::Profile::default() };
    let (large, bytes) = (pprof::compress(&large), large.encoded_len() as u64);
    assert!(matches!(decode(&large, bytes), Err(MergeError::TooLarge(_))));
    assert!(decode(&large, bytes + 1).is_ok());
    let without = Entry { executables: Vec::new(), ..entry("web", 4, 10) };
    let error = merge(&good, &without).unwrap_err();
    assert!(matches!(error, MergeError::Executables { executables: 0, mappings: 1 }));
}

#[test]
fn labels_are_those_of_the_series() {
    let labels: LabelSet = [("__name__", "cpu"), ("comm", "db")].into_iter().collect();
    let first = Entry { labels: labels.clone().into(), ..entry("web", 3, 10) };
    assert_eq!(*merge(&first, &first).unwrap().labels, labels);
}

#[test]
#[ignore = "measures"]
fn time_and_size_of_a_merge() {
    for (name, shift) in [("the same stacks", 0), ("half of the stacks", 250), ("other stacks", 500)] {
        let stacks = |from: u64| (from..from + 500).map(|index| index * 37).collect::<Vec<_>>();
        let first = entry_of_stacks("web", 0, 1000, &stacks(0));
        let second = entry_of_stacks("web", 1, 1000, &stacks(shift));
        const TIMES: u32 = 50;
        let begin = Instant::now();
        (0..TIMES).for_each(|_| drop(merge(&first, &second).unwrap()));
        let time = begin.elapsed() / TIMES;
        let merged = merge(&first, &second).unwrap();
        let bytes = [&first, &second, &merged].map(|entry| entry.profile.len());
        println!("{name}: {time:?}, {} + {} bytes become {}", bytes[0], bytes[1], bytes[2]);
    }
}
