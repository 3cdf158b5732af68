//! pprof: a window's profiles as the bytes that `go tool pprof` and stores read.
//!
//! User addresses are those of their object file at load bias 0, each executable segment one mapping, so
//! that profiles of different processes and hosts share locations and no address-space layout leaks.

mod builder;
mod gzip;
pub mod proto;

use crate::object::{FileOffset, Object, ObjectAddress, ObjectId, PAGE};
use crate::process::id::ProcessId;
use crate::profile::frame::Frame;
use crate::profile::{Profile, Sample, Window};
use crate::symbolize::kernel::KERNEL_IMAGE;
use crate::text;
use builder::{Builder, LocationId, MappingId, MappingKey, MappingRange, StringId};
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

/// What is written beside stacks and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Give each sample the labels `thread_id` and `thread_name`.
    pub thread_labels: bool,
}

/// Name of the mapping that holds all kernel frames, as every tool knows it.
const KERNEL_MAPPING: &str = "[kernel.kallsyms]";
/// Name of the mapping of frames that have none.
const UNRESOLVED_MAPPING: &str = "[unresolved]";
/// Name of the mapping of a process's code without a file, as perf writes it.
const ANONYMOUS_MAPPING: &str = "//anon";
/// A kernel function that has no name.
const UNNAMED_KERNEL_FUNCTION: &str = "[kernel]";

/// What a store has to know of the file behind a mapping, to find the addresses of the profile in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Executable {
    /// `e_type`: 2 `ET_EXEC`, 3 `ET_DYN`.
    pub elf_type: u16,
    /// `p_offset` of the segment that the mapping shows.
    pub file_offset: FileOffset,
    /// `p_vaddr` of the same.
    pub address: ObjectAddress,
}

/// Encodes profiles of one window as one gzip-compressed pprof profile. Where several targets are merged,
/// their samples carry the labels in which the targets differ.
pub fn encode(window: &Window, profiles: &[&Profile], options: Options) -> Vec<u8> {
    compress(&build(window, profiles, options).0)
}

/// A profile as tools and stores take it: compressed by gzip.
pub fn compress(profile: &proto::Profile) -> Vec<u8> {
    gzip::compress(&profile.encode_to_vec())
}

/// The profile before it is compressed, and the executable of each of its mappings.
pub fn build(
    window: &Window,
    profiles: &[&Profile],
    options: Options,
) -> (proto::Profile, Vec<Option<Executable>>) {
    let mut encoder = Encoder { window, options, builder: Builder::new(), locations: HashMap::new() };
    let samples_type = encoder.builder.value_type("samples", "count");
    let cpu_type = encoder.builder.value_type("cpu", "nanoseconds");
    let distinct = distinct_labels(profiles);
    let mut samples = Vec::new();
    for profile in profiles {
        let target_labels: Vec<_> = distinct
            .iter()
            .filter_map(|name| Some(encoder.text_label(name, profile.target.labels.get(name)?)))
            .collect();
        samples.extend(profile.samples.iter().map(|sample| encoder.sample(sample, &target_labels)));
    }
    let (tables, executables) = encoder.builder.finish();
    let profile = proto::Profile {
        sample_type: vec![samples_type, cpu_type],
        sample: samples,
        time_nanos: since_epoch(window.start),
        duration_nanos: nanos(window.duration),
        period_type: Some(cpu_type),
        period: nanos(window.period),
        ..tables
    };
    (profile, executables)
}

/// Names of the labels that are not the same in all profiles.
fn distinct_labels(profiles: &[&Profile]) -> Vec<String> {
    let mut values: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
    for (name, _) in profiles.iter().flat_map(|profile| profile.target.labels.iter()) {
        values
            .entry(name)
            .or_insert_with(|| profiles.iter().map(|profile| profile.target.labels.get(name)).collect());
    }
    let differ = |values: &Vec<Option<&str>>| values.windows(2).any(|pair| pair.first() != pair.last());
    values.into_iter().filter(|(_, values)| differ(values)).map(|(name, _)| name.to_owned()).collect()
}

struct Encoder<'a> {
    window: &'a Window,
    options: Options,
    builder: Builder,
    locations: HashMap<Frame, LocationId>,
}

impl Encoder<'_> {
    fn sample(&mut self, sample: &Sample, target_labels: &[proto::Label]) -> proto::Sample {
        let frames = self.window.stacks.frames(sample.stack);
        let location_id = frames.iter().map(|frame| self.location(*frame).0).collect();
        let count = i64::try_from(sample.count.0).unwrap_or(i64::MAX);
        let mut label = target_labels.to_vec();
        if self.options.thread_labels {
            label.push(self.text_label("thread_name", &sample.thread.name.to_string()));
            let key = self.builder.string("thread_id").0;
            label.push(proto::Label { key, str: 0, num: sample.thread.tid.0.into() });
        }
        let value = vec![count, count.saturating_mul(nanos(self.window.period))];
        proto::Sample { location_id, value, label }
    }

    fn text_label(&mut self, name: &str, value: &str) -> proto::Label {
        proto::Label { key: self.builder.string(name).0, str: self.builder.string(value).0, num: 0 }
    }

    fn location(&mut self, frame: Frame) -> LocationId {
        if let Some(id) = self.locations.get(&frame) {
            return *id;
        }
        let id = match frame {
            Frame::Kernel(address) => {
                let symbol = self.window.kernel_symbols.get(&address);
                let name = symbol.map_or(UNNAMED_KERNEL_FUNCTION, |symbol| &symbol.name);
                let module = symbol.and_then(|symbol| symbol.module.as_deref());
                let filename = module.map(|module| format!("[{module}]")).unwrap_or_default();
                let function = self.builder.function(name, &filename);
                let mapping = self.kernel_mapping();
                let address = symbol.and_then(|symbol| symbol.link_address).unwrap_or_default();
                self.builder.location(mapping, address, Some(function))
            }
            Frame::Object { object, offset } => self.object_location(object, offset.0),
            Frame::Anonymous { process, address } => {
                let mapping = self.anonymous_mapping(process);
                self.builder.location(mapping, address.0, None)
            }
            Frame::Unresolved(reason) => {
                let function = self.builder.function(&format!("[{}]", reason.name()), "");
                let mapping = self.named_mapping(UNRESOLVED_MAPPING, MappingRange::default(), true);
                self.builder.location(mapping, 0, Some(function))
            }
        };
        self.locations.insert(frame, id);
        id
    }

    fn object_location(&mut self, id: ObjectId, offset: u64) -> LocationId {
        let object = self.window.objects.get(&id);
        let identified = object.and_then(|object| object.identified());
        let file_offset = FileOffset(offset);
        let Some((info, segment)) = identified.and_then(|info| Some((info, info.segment_of(file_offset)?)))
        else {
            return self.unidentified_location(object.map(AsRef::as_ref), offset);
        };
        // Both start on the same byte of their page, so that start - file_offset is the segment's bias.
        let range = MappingRange {
            start: page_start(segment.address.0),
            limit: page_end(segment.address.0.saturating_add(segment.memory_size)),
            file_offset: page_start(segment.file_offset.0),
        };
        let address = segment.address.0.wrapping_add(offset).wrapping_sub(segment.file_offset.0);
        let build_id = self.builder.string(&info.build_id.to_string());
        let filename = self.path(object.map(AsRef::as_ref));
        let executable = Some(Executable {
            elf_type: info.elf_type,
            file_offset: segment.file_offset,
            address: segment.address,
        });
        let key = MappingKey { range, filename, build_id, has_functions: false, executable };
        let mapping = self.builder.mapping(key);
        self.builder.location(mapping, address, None)
    }

    /// A place in a file of which only the path is known: its address is the offset in the file.
    fn unidentified_location(&mut self, object: Option<&Object>, offset: u64) -> LocationId {
        let filename = self.path(object);
        let range = MappingRange { start: 0, limit: i64::MAX as u64, file_offset: 0 };
        let build_id = StringId::default();
        let key = MappingKey { range, filename, build_id, has_functions: false, executable: None };
        let mapping = self.builder.mapping(key);
        self.builder.location(mapping, offset, None)
    }

    fn path(&mut self, object: Option<&Object>) -> StringId {
        let path = object.map(|object| text::display(&object.path).to_string()).unwrap_or_default();
        self.builder.string(&path)
    }

    fn kernel_mapping(&mut self) -> MappingId {
        let range = MappingRange {
            start: KERNEL_IMAGE.start,
            limit: KERNEL_IMAGE.end,
            file_offset: KERNEL_IMAGE.start,
        };
        self.named_mapping(KERNEL_MAPPING, range, true)
    }

    /// Runtime addresses mean something in one process only, so each has a mapping of its own.
    fn anonymous_mapping(&mut self, process: ProcessId) -> MappingId {
        let name = format!("{ANONYMOUS_MAPPING} (process {})", process.tgid);
        self.named_mapping(&name, MappingRange { start: 0, limit: i64::MAX as u64, file_offset: 0 }, false)
    }

    fn named_mapping(&mut self, name: &str, range: MappingRange, has_functions: bool) -> MappingId {
        let filename = self.builder.string(name);
        let build_id = StringId::default();
        self.builder.mapping(MappingKey { range, filename, build_id, has_functions, executable: None })
    }
}

fn page_start(address: u64) -> u64 {
    address & !(PAGE - 1)
}

fn page_end(address: u64) -> u64 {
    page_start(address.saturating_add(PAGE - 1))
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Nanoseconds since 1970; 0 for a clock that stands before it.
fn since_epoch(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos)
}

#[cfg(test)]
mod tests;
