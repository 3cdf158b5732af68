//! ProfileStoreService.

use crate::order::How;
use crate::peer::Peer;
use crate::profile;
use crate::proto::profilestore::profile_store_service_server::ProfileStoreService;
use crate::proto::profilestore::{RawProfileSeries, WriteRawRequest, WriteRawResponse};
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service.
#[derive(Clone)]
pub(crate) struct Profiles(pub(crate) Arc<Peer>);

/// Profiles that were read, with the labels of their series.
type Written = Vec<(BTreeMap<String, String>, profile::Totals)>;

#[tonic::async_trait]
impl ProfileStoreService for Profiles {
    async fn write_raw(
        &self,
        request: Request<WriteRawRequest>,
    ) -> Result<Response<WriteRawResponse>, Status> {
        let how = How::of(&request);
        let message = request.into_inner();
        let mut written = Vec::new();
        let mut faults = Vec::new();
        if message.normalized {
            faults.push("normalized is set".to_owned());
        }
        for series in &message.series {
            read(series, &mut written, &mut faults);
        }
        {
            let mut record = self.0.record();
            record.bytes += message.encoded_len() as u64;
            faults.iter().for_each(|fault| record.violation(format!("WriteRaw: {fault}")));
        }
        let unacknowledged = Unacknowledged { peer: &self.0, written };
        let is_acknowledged = how.before().await?;
        let labels =
            message.series.iter().filter_map(|series| series.labels.as_ref()).flat_map(|set| &set.labels);
        for label in labels {
            how.check_label(&label.name, &label.value)?;
        }
        if let Some(first) = faults.first() {
            return Err(Status::invalid_argument(first));
        }
        if is_acknowledged {
            unacknowledged.acknowledge();
        }
        Ok(Response::new(WriteRawResponse {}))
    }
}

/// Notes what is in it as not acknowledged when it is dropped: also if the client does not wait for the answer.
struct Unacknowledged<'a> {
    peer: &'a Peer,
    written: Written,
}

impl Unacknowledged<'_> {
    fn acknowledge(mut self) {
        let mut record = self.peer.record();
        for (labels, totals) in std::mem::take(&mut self.written) {
            record.written(&labels, totals);
        }
    }
}

impl Drop for Unacknowledged<'_> {
    fn drop(&mut self) {
        let mut record = self.peer.record();
        self.written.iter().for_each(|(_, totals)| record.not_acknowledged(*totals));
    }
}

fn read(series: &RawProfileSeries, written: &mut Written, faults: &mut Vec<String>) {
    let labels = series.labels.as_ref().map_or(&[][..], |set| &set.labels);
    let name = profile::check_labels(labels).unwrap_or_else(|found| {
        faults.extend(found);
        "unnamed"
    });
    let set: BTreeMap<_, _> = labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
    if series.samples.is_empty() {
        faults.push(format!("a series without profiles: {set:?}"));
    }
    for sample in &series.samples {
        match profile::check(name, sample) {
            Ok(totals) => written.push((set.clone(), totals)),
            Err(found) => faults.extend(found),
        }
    }
}
