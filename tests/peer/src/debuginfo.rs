//! DebuginfoService.

use crate::order::{How, Strategy, Uploads};
use crate::peer::Peer;
use crate::proto::debuginfo::debuginfo_service_server::DebuginfoService;
use crate::proto::debuginfo::upload_instructions::UploadStrategy;
use crate::proto::debuginfo::upload_request::Data;
use crate::proto::debuginfo::{
    BuildIdType, DebuginfoType, InitiateUploadRequest, InitiateUploadResponse, MarkUploadFinishedRequest,
    MarkUploadFinishedResponse, ShouldInitiateUploadRequest, ShouldInitiateUploadResponse,
    UploadInstructions, UploadRequest, UploadResponse,
};
use crate::record::Record;
use crate::upload::{Sink, Upload};
use std::sync::Arc;
use tonic::{Code, Request, Response, Status, Streaming};

/// The real server's reasons.
const FIRST_TIME_SEEN: &str =
    "First time we see this Build ID, and it does not exist in debuginfod, therefore please upload!";
const IN_PROGRESS: &str =
    "A previous upload is still in-progress and not stale yet (only stale uploads can be retried).";
const EXISTS: &str =
    "Debuginfo already exists and is not marked as invalid, therefore no new upload is needed.";

/// The service.
#[derive(Clone)]
pub(crate) struct Debuginfo(pub(crate) Arc<Peer>);

#[tonic::async_trait]
impl DebuginfoService for Debuginfo {
    async fn should_initiate_upload(
        &self,
        request: Request<ShouldInitiateUploadRequest>,
    ) -> Result<Response<ShouldInitiateUploadResponse>, Status> {
        How::of(&request).before().await?;
        let message = request.into_inner();
        let uploads = self.0.orders().uploads();
        let mut record = self.0.record();
        *record.asked.entry(message.build_id.clone()).or_default() += 1;
        check_build_id(&mut record, "ShouldInitiateUpload", &message.build_id, message.build_id_type)?;
        let kind = type_name(message.r#type);
        let (should, reason) = should(&record, &uploads, &message.build_id, kind, message.force);
        Ok(Response::new(ShouldInitiateUploadResponse {
            should_initiate_upload: should,
            reason: uploads.reason.unwrap_or_else(|| reason.to_owned()),
        }))
    }

    async fn initiate_upload(
        &self,
        request: Request<InitiateUploadRequest>,
    ) -> Result<Response<InitiateUploadResponse>, Status> {
        How::of(&request).before().await?;
        let message = request.into_inner();
        let uploads = self.0.orders().uploads();
        let mut record = self.0.record();
        check_build_id(&mut record, "InitiateUpload", &message.build_id, message.build_id_type)?;
        let size = u64::try_from(message.size).unwrap_or(0);
        if size == 0 || message.hash.is_empty() {
            return refuse(&mut record, Code::InvalidArgument, "InitiateUpload: size and hash must be set");
        }
        if let Some(code) = uploads.initiate_status {
            return Err(Status::new(Code::from_i32(code), "ordered"));
        }
        let kind = type_name(message.r#type);
        match should(&record, &uploads, &message.build_id, kind, message.force) {
            (true, _) => {}
            (false, EXISTS) => return Err(Status::already_exists(EXISTS)),
            (false, reason) => return Err(Status::failed_precondition(reason)),
        }
        let upload_id = format!("upload-{}", record.uploads.len() + 1);
        record.uploads.push(Upload {
            upload_id: upload_id.clone(),
            build_id: message.build_id.clone(),
            build_id_type: build_id_type_name(message.build_id_type),
            r#type: kind,
            hash: message.hash,
            declared: size,
            ..Upload::default()
        });
        let (strategy, signed_url) = match uploads.strategy {
            Strategy::Grpc => (UploadStrategy::Grpc, String::new()),
            Strategy::SignedUrl => {
                let own = || self.0.signed_url(&upload_id);
                (UploadStrategy::SignedUrl, uploads.signed_url.unwrap_or_else(own))
            }
            Strategy::Unspecified => (UploadStrategy::Unspecified, String::new()),
        };
        Ok(Response::new(InitiateUploadResponse {
            upload_instructions: Some(UploadInstructions {
                build_id: message.build_id,
                upload_id,
                upload_strategy: strategy.into(),
                signed_url,
                r#type: message.r#type,
            }),
        }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        How::of(&request).before().await?;
        let mut messages = request.into_inner();
        let peer = &*self.0;
        let Some(Data::Info(info)) = messages.message().await?.and_then(|message| message.data) else {
            let text = "Upload: the first message is not info";
            return refuse(&mut peer.record(), Code::InvalidArgument, text);
        };
        self.known(&info.upload_id, &info.build_id, info.r#type, "Upload")?;
        let code = peer.orders().uploads().upload_status;
        if let Some(code) = code {
            return Err(Status::new(Code::from_i32(code), "ordered"));
        }
        let mut sink = Sink::create(peer, &info.upload_id)?;
        while let Some(message) = messages.message().await? {
            let Some(Data::ChunkData(chunk)) = message.data else {
                let text = "Upload: a message without a chunk after the first";
                return refuse(&mut peer.record(), Code::InvalidArgument, text);
            };
            sink.write(&chunk)?;
        }
        let size = sink.finish("grpc");
        Ok(Response::new(UploadResponse { build_id: info.build_id, size }))
    }

    async fn mark_upload_finished(
        &self,
        request: Request<MarkUploadFinishedRequest>,
    ) -> Result<Response<MarkUploadFinishedResponse>, Status> {
        How::of(&request).before().await?;
        let message = request.into_inner();
        self.known(&message.upload_id, &message.build_id, message.r#type, "MarkUploadFinished")?;
        let code = self.0.orders().uploads().finish_status;
        if let Some(code) = code {
            return Err(Status::new(Code::from_i32(code), "ordered"));
        }
        let mut record = self.0.record();
        let complete = |upload: &&mut Upload| upload.upload_id == message.upload_id && upload.is_complete();
        let Some(upload) = record.uploads.iter_mut().find(complete) else {
            return refuse(&mut record, Code::FailedPrecondition, "MarkUploadFinished: nothing was uploaded");
        };
        upload.finished = true;
        Ok(Response::new(MarkUploadFinishedResponse {}))
    }
}

impl Debuginfo {
    /// Refuses an upload that is not as it was announced.
    fn known(&self, upload_id: &str, build_id: &str, kind: i32, method: &str) -> Result<(), Status> {
        let mut record = self.0.record();
        let announced = record.uploads.iter().any(|upload| {
            upload.upload_id == upload_id && upload.build_id == build_id && upload.r#type == type_name(kind)
        });
        if announced {
            return Ok(());
        }
        let text = format!("{method}: {upload_id:?} of {build_id:?} was not announced");
        refuse(&mut record, Code::FailedPrecondition, &text)
    }
}

/// A status for something against the rules, which is noted.
fn refuse<T>(record: &mut Record, code: Code, text: &str) -> Result<T, Status> {
    record.violation(text.to_owned());
    Err(Status::new(code, text))
}

/// Whether an upload is wanted, and why.
fn should(
    record: &Record,
    orders: &Uploads,
    build_id: &str,
    kind: &str,
    force: bool,
) -> (bool, &'static str) {
    let same = |upload: &&Upload| upload.build_id == build_id && upload.r#type == kind;
    let mut before = record.uploads.iter().filter(same);
    let (should, reason) = match before.next_back() {
        None => (true, FIRST_TIME_SEEN),
        Some(upload) if upload.finished => (force, EXISTS),
        Some(_) => (false, IN_PROGRESS),
    };
    (orders.should.unwrap_or(should), reason)
}

/// GNU's are hexadecimal; all are longer than two characters.
fn check_build_id(record: &mut Record, method: &str, build_id: &str, kind: i32) -> Result<(), Status> {
    let is_hexadecimal = build_id.chars().all(|character| character.is_ascii_hexdigit());
    if build_id.len() <= 2 || (build_id_type_name(kind) == "gnu" && !is_hexadecimal) {
        return refuse(
            record,
            Code::InvalidArgument,
            &format!("{method}: build id {build_id:?} is not valid"),
        );
    }
    Ok(())
}

fn type_name(number: i32) -> &'static str {
    match DebuginfoType::try_from(number) {
        Ok(DebuginfoType::DebuginfoUnspecified) => "debuginfo",
        Ok(DebuginfoType::Executable) => "executable",
        Ok(DebuginfoType::Sources) => "sources",
        Err(_) => "none of these",
    }
}

fn build_id_type_name(number: i32) -> &'static str {
    match BuildIdType::try_from(number) {
        Ok(BuildIdType::UnknownUnspecified) => "unknown",
        Ok(BuildIdType::Gnu) => "gnu",
        Ok(BuildIdType::Hash) => "hash",
        Ok(BuildIdType::Go) => "go",
        Err(_) => "none of these",
    }
}
