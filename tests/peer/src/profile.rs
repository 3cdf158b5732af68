//! A profile and its labels, checked by the rules of the real server.

use crate::proto::pprof::{Profile, ValueType};
use crate::proto::profilestore::{Label, RawSample};
use flate2::read::GzDecoder;
use prost::Message;
use std::collections::BTreeSet;
use std::io::Read;

/// The most that a profile may take when it is unpacked, in bytes.
const UNPACKED_LIMIT: u64 = 1 << 30;

/// What a profile adds to its series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The sum of the first values of its samples.
    pub samples: i64,
    /// The sum of the second values.
    pub nanos: i64,
    /// When it begins, in nanoseconds since the epoch.
    pub time: i64,
}

/// Reads a profile, checks it and adds it up. What is wrong with it comes as sentences.
pub fn check(name: &str, sample: &RawSample) -> Result<Totals, Vec<String>> {
    let profile = read(&sample.raw_profile).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    check_strings(&profile, &mut faults);
    check_ids(&profile, &mut faults);
    check_samples(&profile, &mut faults);
    if faults.is_empty() {
        // Only now do all indices lead somewhere.
        check_selectors(name, &profile, &mut faults);
    }
    if sample.executable_info.len() != profile.mapping.len() {
        faults.push(format!(
            "{} executable_info for {} mappings",
            sample.executable_info.len(),
            profile.mapping.len()
        ));
    }
    if profile.time_nanos <= 0 {
        faults.push("time_nanos is not set".to_owned());
    }
    let total = |index: usize| profile.sample.iter().filter_map(|sample| sample.value.get(index)).sum();
    let totals = Totals { samples: total(0), nanos: total(1), time: profile.time_nanos };
    if faults.is_empty() { Ok(totals) } else { Err(faults) }
}

fn read(packed: &[u8]) -> Result<Profile, String> {
    let mut unpacked = Vec::new();
    let mut reader = GzDecoder::new(packed).take(UNPACKED_LIMIT);
    reader.read_to_end(&mut unpacked).map_err(|error| format!("profile is not gzip: {error}"))?;
    Profile::decode(unpacked.as_slice()).map_err(|error| format!("profile is not pprof: {error}"))
}

fn check_strings(profile: &Profile, faults: &mut Vec<String>) {
    match profile.string_table.first() {
        None => return faults.push("string table is empty".to_owned()),
        Some(first) if !first.is_empty() => faults.push(format!("string 0 is {first:?}, not empty")),
        Some(_) => {}
    }
    let mut used: Vec<i64> = vec![profile.drop_frames, profile.keep_frames, profile.default_sample_type];
    used.extend(&profile.comment);
    let types = profile.sample_type.iter().chain(&profile.period_type);
    used.extend(types.flat_map(|kind| [kind.r#type, kind.unit]));
    used.extend(profile.mapping.iter().flat_map(|mapping| [mapping.filename, mapping.build_id]));
    let functions = profile.function.iter();
    used.extend(functions.flat_map(|function| [function.name, function.system_name, function.filename]));
    let labels = profile.sample.iter().flat_map(|sample| &sample.label);
    used.extend(labels.flat_map(|label| [label.key, label.str, label.num_unit]));
    for index in used {
        if usize::try_from(index).is_ok_and(|index| index < profile.string_table.len()) {
            continue;
        }
        faults.push(format!("string {index} of {}", profile.string_table.len()));
        return;
    }
}

fn check_ids(profile: &Profile, faults: &mut Vec<String>) {
    let mut sequential = |what: &str, ids: &mut dyn Iterator<Item = u64>| {
        if let Some((expected, id)) = (1..).zip(ids).find(|(expected, id)| expected != id) {
            faults.push(format!("{what} id {id} where {expected} should be"));
        }
    };
    sequential("mapping", &mut profile.mapping.iter().map(|mapping| mapping.id));
    sequential("location", &mut profile.location.iter().map(|location| location.id));
    sequential("function", &mut profile.function.iter().map(|function| function.id));
    for location in &profile.location {
        if location.mapping_id > profile.mapping.len() as u64 {
            let mappings = profile.mapping.len();
            faults.push(format!(
                "location {} is in mapping {} of {mappings}",
                location.id, location.mapping_id
            ));
        }
        for line in &location.line {
            if line.function_id == 0 || line.function_id > profile.function.len() as u64 {
                let functions = profile.function.len();
                faults.push(format!(
                    "location {} is in function {} of {functions}",
                    location.id, line.function_id
                ));
            }
        }
    }
}

fn check_samples(profile: &Profile, faults: &mut Vec<String>) {
    if profile.sample_type.is_empty() {
        faults.push("no sample type".to_owned());
    }
    for (number, sample) in profile.sample.iter().enumerate() {
        if sample.value.len() != profile.sample_type.len() {
            let types = profile.sample_type.len();
            faults.push(format!("sample {number} has {} values for {types} types", sample.value.len()));
        }
        let locations = profile.location.len() as u64;
        if let Some(id) = sample.location_id.iter().find(|&&id| id == 0 || id > locations) {
            faults.push(format!("sample {number} is at location {id} of {locations}"));
        }
        if sample.label.iter().any(|label| label.key == 0) {
            faults.push(format!("sample {number} has a label without a key"));
        }
    }
}

/// Each sample type is queried by `NAME:type:unit:period_type:period_unit`, of which every part has to be a word
/// of the query language.
fn check_selectors(name: &str, profile: &Profile, faults: &mut Vec<String>) {
    let string = |index: i64| {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        profile.string_table.get(index).map_or("", String::as_str)
    };
    let words = |kind: &ValueType| [string(kind.r#type).to_owned(), string(kind.unit).to_owned()];
    let period = profile.period_type.as_ref().map(words).unwrap_or_default();
    for kind in &profile.sample_type {
        let parts: Vec<String> =
            [name.to_owned()].into_iter().chain(words(kind)).chain(period.clone()).collect();
        if !parts.iter().all(|part| is_name(part)) {
            faults.push(format!("{:?} is no selector", parts.join(":")));
        }
    }
}

/// The name of a series, if its labels are valid.
pub fn check_labels(labels: &[Label]) -> Result<&str, Vec<String>> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for label in labels {
        if !is_name(&label.name) {
            faults.push(format!("label name {:?} is not valid", label.name));
        }
        if !seen.insert(label.name.as_str()) {
            faults.push(format!("label {:?} is there twice", label.name));
        }
    }
    let name = labels.iter().find(|label| label.name == "__name__").map_or("", |label| &label.value);
    if name.is_empty() {
        faults.push("there is no label __name__".to_owned());
    }
    if faults.is_empty() { Ok(name) } else { Err(faults) }
}

/// Whether it is a valid label name of Prometheus.
fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}
