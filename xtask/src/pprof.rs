//! A reader of pprof profiles that shares nothing with the agent's writer: wire format by hand, after
//! <https://protobuf.dev/programming-guides/encoding/> and pprof's `proto/profile.proto`.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};

/// The part of a profile that tests look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) samples: Vec<Sample>,
    /// When the time that it covers began, since 1970.
    pub(crate) start_nanos: u64,
    /// Length of the time it covers.
    pub(crate) duration_nanos: u64,
    /// Processor time between two samples.
    pub(crate) period_nanos: u64,
}

/// A stack, and how often it was seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Value of the first sample type, which is the number of samples.
    pub(crate) count: u64,
    /// Innermost first.
    pub(crate) frames: Vec<Frame>,
    /// Those whose values are text.
    pub(crate) labels: BTreeMap<String, String>,
}

/// One place in a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) address: u64,
    /// File name of the mapping.
    pub(crate) mapping: String,
    /// Innermost first; several where functions were inlined, none where nobody named them.
    pub(crate) functions: Vec<String>,
}

impl Profile {
    /// Number of samples.
    pub(crate) fn total(&self) -> u64 {
        self.samples.iter().map(|sample| sample.count).sum()
    }

    /// Decodes an uncompressed profile. A reference to something that is not there is an error.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut tables = Tables::default();
        let mut profile = Self::default();
        let mut samples = Vec::new();
        let mut fields = Fields(bytes);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (2, Value::Bytes(sample)) => samples.push(raw_sample(sample)?),
                (3, Value::Bytes(mapping)) => tables.add_mapping(mapping)?,
                (4, Value::Bytes(location)) => tables.add_location(location)?,
                (5, Value::Bytes(function)) => tables.add_function(function)?,
                (6, Value::Bytes(string)) => tables.strings.push(std::str::from_utf8(string)?.to_owned()),
                (9, Value::Varint(nanos)) => profile.start_nanos = nanos,
                (10, Value::Varint(nanos)) => profile.duration_nanos = nanos,
                (12, Value::Varint(period)) => profile.period_nanos = period,
                _ => {}
            }
        }
        for RawSample { locations, count, labels } in samples {
            let frames = locations.iter().map(|id| tables.frame(*id)).collect::<Result<_>>()?;
            let label = |(key, value)| Ok((tables.string(key)?, tables.string(value)?));
            let labels = labels.into_iter().map(label).collect::<Result<_>>()?;
            profile.samples.push(Sample { count, frames, labels });
        }
        Ok(profile)
    }
}

/// What samples refer to, by id. The tables of a profile may come in any order.
#[derive(Default)]
struct Tables {
    strings: Vec<String>,
    /// Index of the file name.
    mappings: HashMap<u64, u64>,
    /// Index of the name.
    functions: HashMap<u64, u64>,
    locations: HashMap<u64, RawLocation>,
}

#[derive(Default)]
struct RawLocation {
    mapping: u64,
    address: u64,
    functions: Vec<u64>,
}

impl Tables {
    fn add_mapping(&mut self, bytes: &[u8]) -> Result<()> {
        let (id, filename) = two_numbers(bytes, 1, 5)?;
        self.mappings.insert(id, filename);
        Ok(())
    }

    fn add_function(&mut self, bytes: &[u8]) -> Result<()> {
        let (id, name) = two_numbers(bytes, 1, 2)?;
        self.functions.insert(id, name);
        Ok(())
    }

    fn add_location(&mut self, bytes: &[u8]) -> Result<()> {
        let mut location = RawLocation::default();
        let mut own_id = 0;
        let mut fields = Fields(bytes);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Varint(id)) => own_id = id,
                (2, Value::Varint(id)) => location.mapping = id,
                (3, Value::Varint(address)) => location.address = address,
                (4, Value::Bytes(line)) => location.functions.push(two_numbers(line, 1, 2)?.0),
                _ => {}
            }
        }
        self.locations.insert(own_id, location);
        Ok(())
    }

    fn frame(&self, id: u64) -> Result<Frame> {
        let location = self.locations.get(&id).with_context(|| format!("there is no location {id}"))?;
        let mapping = match location.mapping {
            0 => String::new(),
            id => {
                self.string(*self.mappings.get(&id).with_context(|| format!("there is no mapping {id}"))?)?
            }
        };
        let name = |id: &u64| {
            self.string(*self.functions.get(id).with_context(|| format!("there is no function {id}"))?)
        };
        let functions = location.functions.iter().map(name).collect::<Result<_>>()?;
        Ok(Frame { address: location.address, mapping, functions })
    }

    fn string(&self, index: u64) -> Result<String> {
        let string = usize::try_from(index).ok().and_then(|index| self.strings.get(index));
        string.cloned().with_context(|| format!("there is no string {index}"))
    }
}

/// A sample as it is written.
struct RawSample {
    /// By their ids.
    locations: Vec<u64>,
    /// The first value.
    count: u64,
    /// Indices of keys and values; not those whose values are numbers.
    labels: Vec<(u64, u64)>,
}

fn raw_sample(bytes: &[u8]) -> Result<RawSample> {
    let (mut locations, mut values, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        let list = match number {
            1 => &mut locations,
            2 => &mut values,
            3 => {
                let Value::Bytes(label) = value else { bail!("a label is no message") };
                // The empty string stands for no text.
                labels.extend(Some(two_numbers(label, 1, 2)?).filter(|(_, value)| *value != 0));
                continue;
            }
            _ => continue,
        };
        match value {
            Value::Varint(one) => list.push(one),
            Value::Bytes(mut packed) => {
                while !packed.is_empty() {
                    list.push(varint(&mut packed)?);
                }
            }
            Value::Fixed => bail!("field {number} of a sample is no integer"),
        }
    }
    Ok(RawSample { locations, count: *values.first().context("a sample has no value")?, labels })
}

/// Two integer fields of a message; 0 stands for an absent one.
fn two_numbers(bytes: &[u8], first: u64, second: u64) -> Result<(u64, u64)> {
    let mut found = (0, 0);
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match value {
            Value::Varint(value) if number == first => found.0 = value,
            Value::Varint(value) if number == second => found.1 = value,
            _ => {}
        }
    }
    Ok(found)
}

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// 32 or 64 bits; pprof has no such field.
    Fixed,
}

/// What is left of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Number and value of the next field.
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = varint(&mut self.0)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = varint(&mut self.0)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            kind => bail!("wire type {kind} does not exist"),
        };
        Ok(Some((tag >> 3, value)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let split = usize::try_from(length).ok().and_then(|length| self.0.split_at_checked(length));
        let (taken, rest) = split.context("the message ends inside a field")?;
        self.0 = rest;
        Ok(taken)
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().context("the message ends inside a number")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a number has more than 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: &[u8] = &[0x1a, 4, 0x08, 1, 0x10, 2, 0x1a, 4, 0x08, 2, 0x18, 5];

    /// A length-delimited field.
    fn message(number: u8, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        [&[number << 3 | 2, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    }

    /// Two locations, one of them with a name, in a mapping; the tables come after the sample, which has a label of
    /// text and one of a number.
    fn profile() -> Vec<u8> {
        [
            message(2, &[&[0x0a, 2, 1, 2], &[0x12, 3, 0x83, 0x01, 9], LABELS]),
            message(3, &[&[0x08, 1], &[0x28, 2]]),
            message(4, &[&[0x08, 1], &[0x10, 1], &[0x18, 0x80, 0x20]]),
            message(4, &[&[0x08, 2], &[0x22, 2, 0x08, 7]]),
            message(5, &[&[0x08, 7], &[0x10, 1]]),
            message(6, &[]),
            message(6, &[b"main"]),
            message(6, &[b"/bin/a"]),
            vec![0x48, 7, 0x50, 3, 0x60, 10],
        ]
        .concat()
    }

    #[test]
    fn samples_are_joined_with_what_they_refer_to() {
        let frames = vec![
            Frame { address: 0x1000, mapping: "/bin/a".to_owned(), functions: vec![] },
            Frame { address: 0, mapping: String::new(), functions: vec!["main".to_owned()] },
        ];
        let labels = [("main".to_owned(), "/bin/a".to_owned())].into();
        let samples = vec![Sample { count: 131, frames, labels }];
        let expected = Profile { samples, start_nanos: 7, duration_nanos: 3, period_nanos: 10 };
        assert_eq!(Profile::decode(&profile()).unwrap(), expected);
    }

    #[test]
    fn a_profile_cut_short_is_an_error_or_lacks_something() {
        let whole = profile();
        for length in 0..whole.len() {
            let cut = Profile::decode(&whole[..length]);
            assert!(cut.is_err() || cut.unwrap() != Profile::decode(&whole).unwrap(), "{length}");
        }
    }

    #[test]
    fn a_reference_to_nothing_is_an_error() {
        let error = Profile::decode(&message(2, &[&[0x08, 5], &[0x10, 1]])).unwrap_err();
        assert_eq!(error.to_string(), "there is no location 5");
    }
}
