//! Entries for tests, with profiles that can be merged.

use super::entry::Entry;
use super::message::{ExecutableInfo, LoadSegment};
use super::queue::Queue;
use crate::label::LabelSet;
use crate::pprof::{self, proto};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Length of every window.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Start of a window.
pub(super) fn start_of(window: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + WINDOW * u32::try_from(window).unwrap()
}

/// A target's entry for a window; windows share most of their stacks.
pub(super) fn entry(target: &str, window: u64, samples: u64) -> Entry {
    let stacks = (0..4).map(|index| (index * window) % 6).collect::<Vec<_>>();
    entry_of_stacks(target, window, samples, &stacks)
}

/// An entry with a stack for each number, the same for the same. All samples are those of the first.
pub(super) fn entry_of_stacks(target: &str, window: u64, samples: u64, stacks: &[u64]) -> Entry {
    let mut profile = proto::Profile {
        string_table: ["", "samples", "count", "cpu", "nanoseconds", "libx.so", "0123abcd"]
            .map(str::to_owned)
            .into(),
        sample_type: vec![proto::ValueType { r#type: 1, unit: 2 }, proto::ValueType { r#type: 3, unit: 4 }],
        period_type: Some(proto::ValueType { r#type: 3, unit: 4 }),
        period: 52_631_578,
        mapping: vec![proto::Mapping {
            id: 1,
            memory_start: 0x1000,
            memory_limit: 0x90_0000,
            file_offset: 0x1000,
            filename: 5,
            build_id: 6,
            has_functions: false,
        }],
        ..proto::Profile::default()
    };
    let mut rest = samples;
    for stack in stacks {
        let mut location_id = Vec::new();
        // Deeper frames are shared by more stacks.
        for depth in 0..12 {
            let address = 0x1000 + (depth << 16) + (stack >> depth) * 0x24;
            let found = profile.location.iter().find(|location| location.address == address);
            location_id.push(found.map_or(profile.location.len() as u64 + 1, |location| location.id));
            if found.is_none() {
                let id = profile.location.len() as u64 + 1;
                profile.location.push(proto::Location { id, mapping_id: 1, address, line: Vec::new() });
            }
        }
        let count = std::mem::take(&mut rest).try_into().unwrap();
        profile.sample.push(proto::Sample {
            location_id,
            value: vec![count, count * 52_631_578],
            label: vec![],
        });
    }
    let mut labels: LabelSet = [("__name__", "cpu"), ("comm", target), ("node", "n1")].into_iter().collect();
    labels.shrink();
    Entry {
        labels: Arc::new(labels),
        start: start_of(window),
        duration: WINDOW,
        samples,
        profile: pprof::compress(&profile),
        executables: vec![ExecutableInfo {
            elf_type: 3,
            load_segment: Some(LoadSegment { offset: 0x1000, vaddr: 0x1000 }),
        }],
    }
}

/// Takes an entry in as [`Account::admit`](super::account::Account::admit) does, with as many merges as it takes.
pub(super) fn admit(queue: &mut Queue, entry: Entry) {
    queue.push(entry);
    while let Some(pair) = queue.pair_to_merge() {
        let merged = pair.merge();
        queue.replace(&pair, merged);
    }
    queue.drop_oldest();
}
