//! One entry in a file of the spool. Numbers are little-endian.
//!
//! ```text
//! magic 4 | state 4 | version u32 | length u32 | samples u64 | CRC-32C of these but the state | CRC-32C of the payload
//! payload, of the length: an entry as a protobuf message
//! ```
//! The state is overwritten in place when the entry was delivered, so no sum covers it; it is a word, so that a bit
//! that flips does not make one of the other.

use super::checksum::crc32c;
use crate::label::LabelSet;
use crate::store::entry::Entry;
use crate::store::message::ExecutableInfo;
use prost::Message;
use std::time::{Duration, SystemTime};

/// What a record begins with.
pub const MAGIC: [u8; 4] = *b"PASR";

/// Of the layout above.
const VERSION: u32 = 1;

/// Bytes of a record before its payload.
pub const HEAD_BYTES: usize = 32;

/// Most bytes of a payload.
pub const MAX_PAYLOAD: usize = 16 << 20;

/// Most labels of an entry. Targets have at most 128.
const MAX_LABELS: usize = 1024;

/// Where in a record its state is.
pub const STATE_OFFSET: u64 = MAGIC.len() as u64;

/// The state of a record whose entry was delivered.
pub const FINISHED: [u8; 4] = *b"DONE";

/// The state of one whose entry was not.
const HELD: [u8; 4] = *b"HELD";

/// Why a record is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It ends too early.
    #[error("the record is cut")]
    Cut,
    /// It does not begin as a record does.
    #[error("there is no record")]
    NoRecord,
    /// It seems to be one of a later agent.
    #[error("the record is of a newer version")]
    Newer,
    /// A sum is wrong.
    #[error("a sum of the record is wrong")]
    Sum,
    /// The sum is right and the rest is not.
    #[error("the record does not hold an entry")]
    NoEntry,
}

/// Why an entry is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry of {0} bytes is too large for a record")]
pub struct TooLarge(pub usize);

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// Its entry was delivered.
    pub is_finished: bool,
    /// Bytes of the payload.
    pub length: u32,
    /// Samples of the entry.
    pub samples: u64,
    payload_sum: u32,
}

impl Head {
    /// Reads the head of a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut rest = Rest(bytes);
        let (magic, state) = (rest.split::<4>()?, rest.split::<4>()?);
        let (version, length) = (u32::from_le_bytes(rest.split()?), u32::from_le_bytes(rest.split()?));
        let samples = u64::from_le_bytes(rest.split()?);
        let (sum, payload_sum) = (u32::from_le_bytes(rest.split()?), u32::from_le_bytes(rest.split()?));
        let is_sound = sum == head_sum(length, samples) && length as usize <= MAX_PAYLOAD;
        // With the sum of this version, only the word of the version was changed.
        if magic == MAGIC && version > VERSION && !is_sound {
            return Err(Damage::Newer);
        }
        if magic != MAGIC || version != VERSION || (state != HELD && state != FINISHED) {
            return Err(Damage::NoRecord);
        }
        if !is_sound {
            return Err(Damage::Sum);
        }
        Ok(Self { is_finished: state == FINISHED, length, samples, payload_sum })
    }

    /// Bytes of the whole record.
    pub fn record_bytes(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.length)
    }

    /// The entry in the payload behind it.
    pub fn entry(&self, payload: &[u8]) -> Result<Entry, Damage> {
        if payload.len() != self.length as usize {
            return Err(Damage::Cut);
        }
        if crc32c(payload) != self.payload_sum {
            return Err(Damage::Sum);
        }
        let payload = Payload::decode(payload).map_err(|_| Damage::NoEntry)?;
        let start = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(payload.start));
        let labels = payload.labels;
        if labels.len() > MAX_LABELS {
            return Err(Damage::NoEntry);
        }
        let labels = labels.into_iter().map(|label| (label.name, label.value)).collect::<LabelSet>();
        Ok(Entry {
            labels: labels.into(),
            start: start.ok_or(Damage::NoEntry)?,
            duration: Duration::from_nanos(payload.duration),
            samples: self.samples,
            profile: payload.profile,
            executables: payload.executables,
        })
    }
}

/// The record of an entry that was not delivered.
pub fn encode(entry: &Entry) -> Result<Vec<u8>, TooLarge> {
    let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
    let payload = Payload {
        labels: entry.labels.iter().map(label).collect(),
        start: entry.start.duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos),
        duration: nanos(entry.duration),
        profile: entry.profile.clone(),
        executables: entry.executables.clone(),
    };
    let length = payload.encoded_len();
    let Some(length) = u32::try_from(length).ok().filter(|_| length <= MAX_PAYLOAD) else {
        return Err(TooLarge(length));
    };
    let payload = payload.encode_to_vec();
    let mut record = Vec::with_capacity(HEAD_BYTES + payload.len());
    record.extend(MAGIC);
    record.extend(HELD);
    record.extend(VERSION.to_le_bytes());
    record.extend(length.to_le_bytes());
    record.extend(entry.samples.to_le_bytes());
    record.extend(head_sum(length, entry.samples).to_le_bytes());
    record.extend(crc32c(&payload).to_le_bytes());
    record.extend(payload);
    Ok(record)
}

fn head_sum(length: u32, samples: u64) -> u32 {
    let words = [u32::from_le_bytes(MAGIC), VERSION, length].map(u32::to_le_bytes);
    let mut bytes = [0; 20];
    for (to, from) in bytes.iter_mut().zip(words.as_flattened().iter().chain(&samples.to_le_bytes())) {
        *to = *from;
    }
    crc32c(&bytes)
}

/// A `Duration` in nanoseconds: 584 years are the most.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn split<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (part, rest) = self.0.split_first_chunk().ok_or(Damage::Cut)?;
        self.0 = rest;
        Ok(*part)
    }
}

/// An entry, but for its samples.
#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    /// Nanoseconds since 1970.
    #[prost(uint64, tag = "2")]
    start: u64,
    /// Nanoseconds.
    #[prost(uint64, tag = "3")]
    duration: u64,
    #[prost(bytes = "vec", tag = "4")]
    profile: Vec<u8>,
    #[prost(message, repeated, tag = "5")]
    executables: Vec<ExecutableInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[cfg(test)]
mod tests {
    use super::{Damage, FINISHED, HEAD_BYTES, Head, MAX_PAYLOAD, STATE_OFFSET, TooLarge, encode};
    use crate::store::entry::Entry;
    use crate::store::sample_entry::entry;

    fn decode(record: &[u8]) -> Result<Entry, Damage> {
        let head = Head::decode(record)?;
        head.entry(&record[HEAD_BYTES..])
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let entry = entry("web", 7, 30);
        let record = encode(&entry).unwrap();
        let head = Head::decode(&record).unwrap();
        assert_eq!((head.is_finished, head.samples), (false, 30));
        assert_eq!(head.record_bytes(), record.len() as u64);
        assert_eq!(decode(&record), Ok(entry));
    }

    #[test]
    fn the_state_is_written_in_place() {
        let entry = entry("web", 7, 30);
        let mut record = encode(&entry).unwrap();
        record[STATE_OFFSET as usize..][..FINISHED.len()].copy_from_slice(&FINISHED);
        assert!(Head::decode(&record).unwrap().is_finished);
        assert_eq!(decode(&record), Ok(entry));
    }

    #[test]
    fn whatever_bit_is_changed_or_lost_the_record_is_damaged() {
        let record = encode(&entry("web", 7, 30)).unwrap();
        for index in 0..record.len() {
            for bit in 0..8 {
                let mut changed = record.clone();
                changed[index] ^= 1 << bit;
                assert!(decode(&changed).is_err(), "bit {bit} of byte {index}");
            }
            assert_eq!(decode(&record[..index]), Err(Damage::Cut), "cut at {index}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_a_flipped_bit() {
        let record = encode(&entry("web", 7, 30)).unwrap();
        let version = 8..12;
        let mut flipped = record;
        flipped[version.start] ^= 2;
        assert_eq!(decode(&flipped), Err(Damage::NoRecord));
        let mut newer = flipped.clone();
        newer[24] ^= 1; // its sum covers the version, too
        assert_eq!(decode(&newer), Err(Damage::Newer));
        let mut older = newer;
        older[version].fill(0);
        assert_eq!(decode(&older), Err(Damage::NoRecord));
    }

    #[test]
    fn what_is_too_large_is_not_written() {
        let with = |bytes| Entry { profile: vec![1; bytes], ..entry("web", 7, 30) };
        let around = encode(&with(0)).unwrap().len() - HEAD_BYTES;
        // A field of 16 MiB has six bytes before it, one of none has none.
        let most = MAX_PAYLOAD - around - 5;
        let record = encode(&with(most)).unwrap();
        assert_eq!(record.len(), HEAD_BYTES + MAX_PAYLOAD);
        assert!(decode(&record).is_ok());
        assert_eq!(encode(&with(most + 1)), Err(TooLarge(MAX_PAYLOAD + 1)));
    }
}
