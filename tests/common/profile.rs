//! A downloaded profile.

use flate2::read::GzDecoder;
use parca_agent::pprof::proto;
use prost::Message;
use std::io::Read;
use std::time::{Duration, SystemTime};

/// A profile and the bytes it came in.
pub(crate) struct Profile {
    pub(crate) message: proto::Profile,
    pub(crate) bytes: Vec<u8>,
}

/// One frame of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// File name of its mapping; empty for an address that is in none.
    pub(crate) mapping: &'a str,
    pub(crate) address: u64,
    /// The function's name, where the profile gives one.
    pub(crate) function: Option<&'a str>,
}

impl Profile {
    /// Decodes; prost refuses text that is not UTF-8.
    pub(crate) fn decode(bytes: Vec<u8>) -> Self {
        let mut plain = Vec::new();
        GzDecoder::new(&*bytes).read_to_end(&mut plain).unwrap();
        Self { message: proto::Profile::decode(&*plain).unwrap(), bytes }
    }

    /// A string of the string table.
    pub(crate) fn text(&self, index: i64) -> &str {
        &self.message.string_table[usize::try_from(index).unwrap()]
    }

    /// When its window began.
    pub(crate) fn start(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(self.message.time_nanos).unwrap())
    }

    /// When its window ended.
    pub(crate) fn end(&self) -> SystemTime {
        self.start() + Duration::from_nanos(u64::try_from(self.message.duration_nanos).unwrap())
    }

    /// All its samples together.
    pub(crate) fn total(&self) -> i64 {
        self.message.sample.iter().map(|sample| sample.value[0]).sum()
    }

    /// The samples of one thread together.
    pub(crate) fn total_of_thread(&self, thread: u32) -> i64 {
        let of_thread = |sample: &&proto::Sample| self.number(sample, "thread_id") == Some(i64::from(thread));
        self.message.sample.iter().filter(of_thread).map(|sample| sample.value[0]).sum()
    }

    /// The number of a sample's label.
    pub(crate) fn number(&self, sample: &proto::Sample, key: &str) -> Option<i64> {
        sample.label.iter().find(|label| self.text(label.key) == key).map(|label| label.num)
    }

    /// The text of a sample's label.
    pub(crate) fn label(&self, sample: &proto::Sample, key: &str) -> Option<&str> {
        sample.label.iter().find(|label| self.text(label.key) == key).map(|label| self.text(label.str))
    }

    /// The frames of a sample, leaf first.
    pub(crate) fn stack(&self, sample: &proto::Sample) -> Vec<Frame<'_>> {
        sample.location_id.iter().map(|id| self.frame(*id)).collect()
    }

    fn frame(&self, id: u64) -> Frame<'_> {
        let location = &self.message.location[usize::try_from(id).unwrap() - 1];
        let mapping = match location.mapping_id {
            0 => "",
            id => self.text(self.mapping(id).filename),
        };
        let function = location.line.first().map(|line| {
            let function = &self.message.function[usize::try_from(line.function_id).unwrap() - 1];
            self.text(function.name)
        });
        Frame { mapping, address: location.address, function }
    }

    /// The mapping of an id.
    pub(crate) fn mapping(&self, id: u64) -> &proto::Mapping {
        &self.message.mapping[usize::try_from(id).unwrap() - 1]
    }

    /// How many samples have a stack of which something holds.
    pub(crate) fn count(&self, mut holds: impl FnMut(&[Frame<'_>]) -> bool) -> i64 {
        let samples = self.message.sample.iter().filter(|sample| holds(&self.stack(sample)));
        samples.map(|sample| sample.value[0]).sum()
    }
}
