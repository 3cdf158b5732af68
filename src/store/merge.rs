//! Two entries of one series made one: as if the window had been as long as both.

mod union;

use super::entry::Entry;
use super::message::ExecutableInfo;
use crate::pprof::{self, proto};
use flate2::read::GzDecoder;
use prost::Message;
use std::io::{self, Read};
use std::time::SystemTime;
use union::Union;

/// Largest profile that is merged, in bytes before compression. Two of it and their union are in memory at once.
const MAX_PROFILE_BYTES: u64 = 32 << 20;

/// Why two entries stay two.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A profile is no gzip stream.
    #[error("failed to decompress a profile")]
    Compression(#[source] io::Error),
    /// A profile is too large.
    #[error("a profile has {0} bytes or more")]
    TooLarge(u64),
    /// A profile is no pprof.
    #[error("failed to decode a profile")]
    Encoding(#[from] prost::DecodeError),
    /// A profile names something that it does not hold.
    #[error("a profile names a {0} that it does not hold")]
    Dangling(&'static str),
    /// The number of values of a sample is not that of the profile's kinds of values.
    #[error("a sample has {0} values")]
    Values(usize),
    /// An entry does not have an executable for each mapping.
    #[error("{executables} executables for {mappings} mappings")]
    Executables {
        /// Executables of the entry.
        executables: usize,
        /// Mappings of its profile.
        mappings: usize,
    },
    /// The values of the profiles cannot be added up.
    #[error("the profiles have different kinds of values, or different periods")]
    Different,
}

/// Makes two entries of one series one. It lasts from the start of the first to the end of the last, with what is
/// between them.
pub fn merge(first: &Entry, second: &Entry) -> Result<Entry, MergeError> {
    let mut union = Union::default();
    for entry in [first, second] {
        union.add(&decode(&entry.profile, MAX_PROFILE_BYTES)?, &entry.executables)?;
    }
    let start = first.start.min(second.start);
    let duration = first.end().max(second.end()).duration_since(start).unwrap_or_default();
    let (profile, executables): (_, Vec<ExecutableInfo>) = union.finish();
    let profile = proto::Profile {
        time_nanos: start
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
        duration_nanos: i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX),
        ..profile
    };
    Ok(Entry {
        labels: first.labels.clone(),
        start,
        duration,
        samples: first.samples + second.samples,
        profile: pprof::compress(&profile),
        executables,
    })
}

/// A profile of less than so many bytes.
fn decode(profile: &[u8], limit: u64) -> Result<proto::Profile, MergeError> {
    let mut bytes = Vec::new();
    GzDecoder::new(profile).take(limit).read_to_end(&mut bytes).map_err(MergeError::Compression)?;
    if bytes.len() as u64 == limit {
        return Err(MergeError::TooLarge(limit));
    }
    Ok(proto::Profile::decode(&*bytes)?)
}

#[cfg(test)]
mod tests;
