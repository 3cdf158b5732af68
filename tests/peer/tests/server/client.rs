//! A plain client, and profiles to write with it.

use crate::peer::Peer;
use flate2::Compression;
use flate2::write::GzEncoder;
use peer::proto::pprof::{Function, Line, Location, Mapping, Profile, Sample, ValueType};
use peer::proto::profilestore::profile_store_service_client::ProfileStoreServiceClient;
use peer::proto::profilestore::{
    ExecutableInfo, Label, LabelSet, RawProfileSeries, RawSample, WriteRawRequest,
};
use prost::Message;
use std::io::Write;
use std::time::{Duration, Instant};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// How long anything that has to happen may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A channel that connects when it is first used, and again after that.
pub(crate) fn channel(peer: &Peer) -> Channel {
    Endpoint::from_shared(format!("http://{}", peer.address())).unwrap().connect_lazy()
}

pub(crate) fn profiles(peer: &Peer) -> ProfileStoreServiceClient<Channel> {
    ProfileStoreServiceClient::new(channel(peer))
}

/// Writes one valid profile.
pub(crate) async fn write(client: &mut ProfileStoreServiceClient<Channel>) -> Result<(), Status> {
    let answer = tokio::time::timeout(LIMIT, client.write_raw(Written::default().request())).await;
    answer.unwrap().map(drop)
}

/// The same after a connection has ended, which the client may learn only now.
pub(crate) async fn write_at_last(client: &mut ProfileStoreServiceClient<Channel>) {
    let begun = Instant::now();
    while let Err(status) = write(client).await {
        assert!(begun.elapsed() < LIMIT, "after {LIMIT:?} still: {status}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What is written: one profile of one series.
pub(crate) struct Written {
    pub(crate) labels: Vec<(&'static str, &'static str)>,
    pub(crate) profile: Profile,
    pub(crate) executables: usize,
    pub(crate) normalized: bool,
    /// Instead of the profile.
    pub(crate) raw: Option<Vec<u8>>,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            labels: vec![("__name__", "process_cpu"), ("node", "a")],
            profile: profile(),
            executables: 1,
            normalized: false,
            raw: None,
        }
    }
}

impl Written {
    pub(crate) fn request(self) -> WriteRawRequest {
        let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
        let sample = RawSample {
            raw_profile: self.raw.unwrap_or_else(|| gzip(&self.profile.encode_to_vec())).into(),
            executable_info: vec![ExecutableInfo::default(); self.executables],
        };
        let series = RawProfileSeries {
            labels: Some(LabelSet { labels: self.labels.into_iter().map(label).collect() }),
            samples: vec![sample],
        };
        WriteRawRequest { series: vec![series], normalized: self.normalized, ..WriteRawRequest::default() }
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Seven samples at two locations, one of them in a mapping and one in a function.
pub(crate) fn profile() -> Profile {
    let strings = ["", "samples", "count", "cpu", "nanoseconds", "main", "/bin/a", "0123"];
    let sample = |location_id: Vec<u64>, samples: i64| Sample {
        location_id,
        value: vec![samples, samples * 10_000_000],
        ..Sample::default()
    };
    Profile {
        sample_type: vec![ValueType { r#type: 1, unit: 2 }, ValueType { r#type: 3, unit: 4 }],
        sample: vec![sample(vec![1, 2], 3), sample(vec![2], 4)],
        mapping: vec![Mapping { id: 1, filename: 6, build_id: 7, ..Mapping::default() }],
        location: vec![
            Location { id: 1, mapping_id: 1, address: 0x1000, ..Location::default() },
            Location { id: 2, line: vec![Line { function_id: 1, ..Line::default() }], ..Location::default() },
        ],
        function: vec![Function { id: 1, name: 5, ..Function::default() }],
        string_table: strings.map(str::to_owned).to_vec(),
        time_nanos: 1_000,
        duration_nanos: 10_000_000_000,
        period_type: Some(ValueType { r#type: 3, unit: 4 }),
        period: 10_000_000,
        ..Profile::default()
    }
}

/// Waits until something holds, and lets tasks run meanwhile.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if holds() {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "after {LIMIT:?} still not so: {what}");
    }
}
