//! From a window to entries, and from entries to a request.

use super::batch::Batch;
use super::entry::Entry;
use super::message::{
    ExecutableInfo, Label, Labels, LoadSegment, RawProfileSeries, RawSample, WriteRawRequest,
};
use crate::label::LabelSet;
use crate::pprof::{self, Executable};
use crate::profile::Window;
use std::sync::Arc;

/// One entry for each target of a window.
pub fn entries(window: &Window, options: pprof::Options) -> impl Iterator<Item = Entry> {
    window.profiles.iter().map(move |profile| {
        let (message, executables) = pprof::build(window, &[profile], options);
        Entry {
            labels: Arc::new(profile.target.labels.clone()),
            start: window.start,
            duration: window.duration,
            samples: profile.total().0,
            profile: pprof::compress(&message),
            executables: executables.into_iter().map(info).collect(),
        }
    })
}

/// What is not known of a mapping's file is left at its default.
fn info(executable: Option<Executable>) -> ExecutableInfo {
    executable.map_or_else(ExecutableInfo::default, |executable| ExecutableInfo {
        elf_type: executable.elf_type.into(),
        load_segment: Some(LoadSegment { offset: executable.file_offset.0, vaddr: executable.address.0 }),
    })
}

/// The message that carries a batch.
pub fn request<P: Ord>(batch: &Batch<P>) -> WriteRawRequest {
    let sample = |entry: &Entry| RawSample {
        raw_profile: entry.profile.clone(),
        executable_info: entry.executables.clone(),
    };
    let series = batch.series().map(|(labels, items)| RawProfileSeries {
        labels: Some(message_of(labels)),
        samples: items.iter().map(|item| sample(&item.entry)).collect(),
    });
    WriteRawRequest { tenant: String::new(), series: series.collect(), normalized: false }
}

fn message_of(labels: &LabelSet) -> Labels {
    let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
    Labels { labels: labels.iter().map(label).collect() }
}
