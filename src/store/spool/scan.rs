//! How a file of the spool is looked through, by the heads of its records.

use super::record::{Damage, HEAD_BYTES, Head, MAGIC};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// Bytes that are read at a time to find where records go on behind damage.
const WINDOW: usize = 64 << 10;

/// A record in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Where it begins.
    pub offset: u64,
    /// How it begins.
    pub head: Head,
}

/// What else than records a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Places that are not as they were written.
    pub places: u64,
    /// What is wrong with the first of them.
    pub damage: Option<Damage>,
    /// It is the file of a newer version: it begins so, and has no record of ours.
    pub is_newer: bool,
}

/// Finds the records of which nobody knows that they were delivered, up to an offset.
pub fn scan(file: &File, end: u64, mut each: impl FnMut(Record)) -> io::Result<Survey> {
    let mut survey = Survey::default();
    let mut has_records = false;
    let mut offset = 0;
    while offset < end {
        match record(file, offset, end)? {
            Ok(record) => {
                has_records = true;
                if !record.head.is_finished {
                    each(record);
                }
                offset += record.head.record_bytes();
            }
            Err(damage) => {
                survey.places += 1;
                survey.damage.get_or_insert(damage);
                // Nothing is ever written behind a part of a record.
                let next = if damage == Damage::Cut { None } else { next_record(file, offset + 1, end)? };
                let Some(next) = next else { break };
                offset = next;
            }
        }
    }
    survey.is_newer = survey.damage == Some(Damage::Newer) && !has_records;
    Ok(survey)
}

/// The record that begins at an offset and ends before another.
fn record(file: &File, offset: u64, end: u64) -> io::Result<Result<Record, Damage>> {
    let mut bytes = [0; HEAD_BYTES];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => (),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Err(Damage::Cut)),
        Err(error) => return Err(error),
    }
    Ok(Head::decode(&bytes).and_then(|head| {
        let is_whole = head.record_bytes() <= end.saturating_sub(offset);
        if is_whole { Ok(Record { offset, head }) } else { Err(Damage::Cut) }
    }))
}

/// Where the first whole record begins that does so from an offset on, if one does.
fn next_record(file: &File, from: u64, end: u64) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; WINDOW];
    let mut offset = from;
    while let Some(length) = end.checked_sub(offset).filter(|length| *length >= HEAD_BYTES as u64) {
        let length = usize::try_from(length).map_or(WINDOW, |length| length.min(WINDOW));
        let Some(window) = buffer.get_mut(..length) else { break };
        match file.read_exact_at(window, offset) {
            Ok(()) => (),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        for (start, bytes) in (offset..).zip(window.windows(HEAD_BYTES)) {
            let head = bytes.starts_with(&MAGIC).then(|| Head::decode(bytes));
            if let Some(Ok(head)) = head
                && head.record_bytes() <= end - start
            {
                return Ok(Some(start));
            }
        }
        // A head may begin in what is too short for one.
        offset += (length - HEAD_BYTES + 1) as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES, Survey, WINDOW, scan};
    use crate::store::entry::Entry;
    use crate::store::sample_entry::entry;
    use crate::store::spool::record::{Damage, encode};
    use std::io::Write;

    /// Samples of the records in bytes that are a file.
    fn samples(bytes: &[u8]) -> (Vec<u64>, Survey) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut samples = Vec::new();
        let survey = scan(&file, bytes.len() as u64, |record| samples.push(record.head.samples)).unwrap();
        (samples, survey)
    }

    fn record(samples: u64, bytes: usize) -> Vec<u8> {
        encode(&Entry { profile: vec![b'P'; bytes], ..entry("web", 1, samples) }).unwrap()
    }

    #[test]
    fn records_go_on_behind_damage_wherever_they_do() {
        // The second record begins in the first window, at its end in every way, and in later ones.
        let around = (WINDOW - HEAD_BYTES - 100)..(WINDOW + 100);
        for bytes in [0, 100, 3 * WINDOW].into_iter().chain(around) {
            let mut file = record(1, bytes);
            file.extend(record(2, 10));
            file[20] ^= 1;
            let expected = Survey { places: 1, damage: Some(Damage::Sum), is_newer: false };
            assert_eq!(samples(&file), (vec![2], expected), "{bytes}");
        }
    }

    #[test]
    fn each_damaged_place_is_counted_and_passed() {
        let mut file = Vec::new();
        let mut starts = Vec::new();
        for number in 1..=6 {
            starts.push(file.len());
            file.extend(record(number, 50));
        }
        for damaged in [1, 3, 4] {
            file[starts[damaged]] = 0;
        }
        // The fourth and the fifth record are one place.
        let expected = Survey { places: 2, damage: Some(Damage::NoRecord), is_newer: false };
        assert_eq!(samples(&file), (vec![1, 3, 6], expected));
    }

    #[test]
    fn a_magic_that_no_sound_head_follows_is_passed() {
        let mut file = b"PASRHELD".repeat(WINDOW / 4);
        file.extend(record(1, 50));
        assert_eq!(samples(&file).0, [1]);
        // A head that promises more than there is.
        file.truncate(file.len() - 1);
        assert_eq!(samples(&file).0, [0; 0]);
    }

    #[test]
    fn a_newer_file_has_nothing_of_ours() {
        let mut newer = record(1, 50);
        newer[8] = 2; // the version
        newer[24] ^= 1; // its sum
        assert!(samples(&newer).1.is_newer);
        let damaged = [newer, record(2, 50)].concat();
        let (found, survey) = samples(&damaged);
        assert_eq!((found, survey.is_newer, survey.damage), (vec![2], false, Some(Damage::Newer)));
    }
}
