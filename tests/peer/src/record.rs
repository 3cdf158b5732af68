//! What the server was asked, and what it has of it.

use crate::profile::Totals;
use crate::upload::Upload;
use serde::Serialize;
use std::collections::BTreeMap;

/// More violations than this are only counted.
const VIOLATIONS: usize = 1000;

/// The answer to the command `state`.
#[derive(Debug, Default, Serialize)]
pub struct Record {
    /// Requests of any method, whatever became of them.
    pub requests: u64,
    /// The same by method.
    pub methods: BTreeMap<String, u64>,
    /// What was written and acknowledged.
    #[serde(serialize_with = "values")]
    pub series: BTreeMap<BTreeMap<String, String>, Series>,
    /// What was read and not acknowledged, so that the client has to send it again or count it as lost.
    pub unacknowledged: Unacknowledged,
    /// What was against the rules.
    pub violations: Vec<String>,
    /// How many more there were than are listed.
    pub more_violations: u64,
    /// Connections that were accepted.
    pub connections: u64,
    /// Those that are open.
    pub open: u64,
    /// Of the last request.
    pub metadata: Vec<(String, String)>,
    /// Bytes of all WriteRaw messages.
    pub bytes: u64,
    /// In the order in which they were announced.
    pub uploads: Vec<Upload>,
    /// Build ids that ShouldInitiateUpload was asked of, with how often.
    pub asked: BTreeMap<String, u64>,
}

/// Profiles of one label set.
#[derive(Debug, Default, Serialize)]
pub struct Series {
    labels: BTreeMap<String, String>,
    samples: i64,
    nanos: i64,
    /// Nanoseconds since the epoch.
    first: i64,
    last: i64,
    profiles: u64,
}

/// What a client cannot know to be written.
#[derive(Debug, Default, Serialize)]
pub struct Unacknowledged {
    profiles: u64,
    samples: i64,
}

fn values<K, V: Serialize, S: serde::Serializer>(
    map: &BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(map.values())
}

impl Record {
    /// Notes a request.
    pub fn request(&mut self, method: &str, metadata: Vec<(String, String)>) {
        self.requests += 1;
        *self.methods.entry(method.to_owned()).or_default() += 1;
        self.metadata = metadata;
    }

    /// Notes something against the rules.
    pub fn violation(&mut self, text: String) {
        if self.violations.len() < VIOLATIONS {
            self.violations.push(text);
        } else {
            self.more_violations += 1;
        }
    }

    /// Notes a profile that the client is told to be written.
    pub fn written(&mut self, labels: &BTreeMap<String, String>, totals: Totals) {
        let series = self.series.entry(labels.clone()).or_insert_with(|| Series {
            labels: labels.clone(),
            first: totals.time,
            last: totals.time,
            ..Series::default()
        });
        series.samples += totals.samples;
        series.nanos += totals.nanos;
        series.first = series.first.min(totals.time);
        series.last = series.last.max(totals.time);
        series.profiles += 1;
    }

    /// Notes a profile that it is not told of.
    pub fn not_acknowledged(&mut self, totals: Totals) {
        self.unacknowledged.profiles += 1;
        self.unacknowledged.samples += totals.samples;
    }
}
