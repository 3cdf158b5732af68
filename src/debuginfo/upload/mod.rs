//! A debug file on its way to the store.
//!
//! ```text
//! ask: ShouldInitiateUpload ------------------------> Answer            (nothing is read yet)
//! upload: hash -> InitiateUpload -> Upload by gRPC -> MarkUploadFinished
//!                               \-> PUT to a URL  -/
//! ```
//! Which file, when, and how often is the caller's to say: it is told by [`Failure::remedy`] what a failure means.

pub mod answer;
pub mod failure;
pub mod message;
pub mod rate;
pub mod signed_url;

mod pieces;

use super::plan::Plan;
use super::reader::ReadError;
use super::stamp::Stamp;
use crate::backoff::{Backoff, random_fraction};
use crate::net::Limits;
use crate::net::proxy::Proxies;
use crate::object::build_id::BuildId;
use crate::store::channel::StoreChannel;
use answer::Answer;
use failure::{Failure, Remedy, Step};
use message::{
    BuildIdType, DebuginfoType, InitiateUploadRequest, InitiateUploadResponse, MarkUploadFinishedRequest,
    MarkUploadFinishedResponse, ShouldInitiateUploadRequest, ShouldInitiateUploadResponse, UploadData,
    UploadInfo, UploadInstructions, UploadRequest, UploadResponse, UploadStrategy,
};
use pieces::Stop;
use prost::bytes::Bytes;
use rate::{Rate, duration};
use signed_url::Put;
use signed_url::route::Route;
use signed_url::url::SignedUrl;
use smol::Timer;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::{FutureExt, pending};
use smol::stream::{self, Stream};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one message. Small enough that a line of 5 KB/s moves one within [`Patience::stall`].
const CHUNK: usize = 256 << 10;
/// Bytes of an answer. A signed URL takes 2 KiB.
const MAX_ANSWER: usize = 64 << 10;
/// What an upload's time is reckoned by, bytes a second: slower lines do not get large files through.
const SLOWEST: NonZeroU64 = NonZeroU64::new(128 << 10).unwrap();
/// Time of an upload of no bytes.
const LEAST: Duration = Duration::from_secs(120);
/// How often a store that has a whole file is asked to take note of that.
const FINISHES: usize = 4;
/// What the longest pause between two of these is, in shortest ones.
const PAUSES: u32 = 8;

const ASK: &str = "/parca.debuginfo.v1alpha1.DebuginfoService/ShouldInitiateUpload";
const INITIATE: &str = "/parca.debuginfo.v1alpha1.DebuginfoService/InitiateUpload";
const UPLOAD: &str = "/parca.debuginfo.v1alpha1.DebuginfoService/Upload";
const FINISH: &str = "/parca.debuginfo.v1alpha1.DebuginfoService/MarkUploadFinished";

/// A debug file that is made while it is read.
#[derive(Clone, Debug)]
pub struct DebugFile {
    /// Of the program that was profiled, whichever file this comes from.
    pub build_id: BuildId,
    /// What the plan copies from.
    pub file: Arc<OwnedFd>,
    /// Of `file`, from before the plan was made.
    pub stamp: Stamp,
    /// How it is made.
    pub plan: Plan,
}

/// How long a store may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For an answer to a message.
    pub call: Duration,
    /// Without taking another piece of a file.
    pub stall: Duration,
    /// To be connected to, for a signed URL.
    pub connect: Duration,
    /// The shortest pause before it is asked again to take note of an upload.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            connect: Duration::from_secs(5),
            pause: Duration::from_secs(1),
        }
    }
}

/// A file that the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its bytes.
    pub size: u64,
    /// By which way it went.
    pub way: Way,
}

/// How a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// To the store itself.
    Grpc,
    /// To where the store says.
    SignedUrl,
}

/// Sends debug files.
pub struct Uploader {
    store: Arc<StoreChannel>,
    proxies: Proxies,
    rate: Arc<Rate>,
    patience: Patience,
}

impl Uploader {
    /// Over a connection that nothing else should need: it is full of bytes for minutes. `proxies` lead to where the
    /// store says, `rate` is in bytes a second.
    pub fn new(
        store: Arc<StoreChannel>,
        proxies: Proxies,
        rate: Option<NonZeroU64>,
        patience: Patience,
    ) -> Self {
        Self { store, proxies, rate: Arc::new(Rate::new(rate)), patience }
    }

    /// Whether the store wants the debug information of a build id. Nothing of it is read for that.
    pub async fn ask(&self, build_id: &BuildId) -> Result<Answer, Failure> {
        let request = ShouldInitiateUploadRequest {
            build_id: build_id.to_string(),
            hash: String::new(),
            force: false,
            r#type: DebuginfoType::Debuginfo.into(),
            build_id_type: BuildIdType::from(build_id.kind).into(),
        };
        let response: ShouldInitiateUploadResponse = self.call(Step::Ask, ASK, request).await?;
        Ok(Answer::from(&response))
    }

    /// Sends a file. Dropping the future ends it.
    pub async fn upload(&self, file: &DebugFile) -> Result<Uploaded, Failure> {
        let size = file.plan.size();
        let build_id = file.build_id.to_string();
        let request = InitiateUploadRequest {
            build_id: build_id.clone(),
            // A file is not longer than the kernel's own signed offsets.
            size: i64::try_from(size).unwrap_or(i64::MAX),
            hash: pieces::hash(file).await?,
            force: false,
            r#type: DebuginfoType::Debuginfo.into(),
            build_id_type: BuildIdType::from(file.build_id.kind).into(),
        };
        let response: InitiateUploadResponse = self.call(Step::Initiate, INITIATE, request).await?;
        let instructions = response.upload_instructions.ok_or(Failure::NoWay)?;
        let info = UploadInfo {
            build_id,
            upload_id: instructions.upload_id.clone(),
            r#type: DebuginfoType::Debuginfo.into(),
        };
        let way = match instructions.upload_strategy() {
            UploadStrategy::Grpc => {
                self.stream(file, info.clone()).await?;
                Way::Grpc
            }
            UploadStrategy::SignedUrl => {
                self.put(file, &instructions).await?;
                Way::SignedUrl
            }
            UploadStrategy::Unspecified => return Err(Failure::NoWay),
        };
        self.finish(info).await?;
        Ok(Uploaded { size, way })
    }

    /// Has the store take note that it has the file. Without that all of it would have to be sent again, so it is
    /// tried a few times.
    async fn finish(&self, info: UploadInfo) -> Result<(), Failure> {
        let UploadInfo { build_id, upload_id, r#type } = info;
        let request = MarkUploadFinishedRequest { build_id, upload_id, r#type };
        let longest = self.patience.pause * PAUSES;
        let mut backoff = Backoff::new(self.patience.pause, longest);
        for _ in 1..FINISHES {
            let done: Result<MarkUploadFinishedResponse, _> =
                self.call(Step::Finish, FINISH, request.clone()).await;
            let Err(failure) = done else { return Ok(()) };
            match failure.remedy() {
                Remedy::Retry | Remedy::RetryFew => {
                    Timer::after(backoff.next(random_fraction())).await;
                }
                Remedy::After(pause) if pause <= longest => {
                    Timer::after(pause).await;
                }
                _ => return Err(failure),
            }
        }
        let _: MarkUploadFinishedResponse = self.call(Step::Finish, FINISH, request).await?;
        Ok(())
    }

    async fn call<Question, Answer>(
        &self,
        step: Step,
        method: &'static str,
        message: Question,
    ) -> Result<Answer, Failure>
    where
        Question: prost::Message + 'static,
        Answer: prost::Message + Default + 'static,
    {
        let limits = Limits { deadline: self.patience.call, bytes: MAX_ANSWER };
        self.store.call(method, message, limits).await.map_err(|source| Failure::Call { step, source })
    }

    /// To the store itself.
    async fn stream(&self, file: &DebugFile, info: UploadInfo) -> Result<(), Failure> {
        let size = file.plan.size();
        let (failed, failure) = bounded(1);
        let opened = file.clone();
        let reader = smol::unblock(move || opened.reader()).await?;
        let messages = messages(info, pieces::read(reader), self.rate.clone(), failed);
        let limits = Limits { deadline: self.deadline(size), bytes: MAX_ANSWER };
        let sent = async {
            let sent = self.store.upload(UPLOAD, messages, limits, self.patience.stall).await;
            sent.map_err(|source| Failure::Call { step: Step::Upload, source })
        };
        let failed = async {
            match failure.recv().await {
                Ok(error) => Err(Failure::from(error)),
                // All was read.
                Err(_) => pending().await,
            }
        };
        let UploadResponse { size: taken, .. } = sent.or(failed).await?;
        if taken == size { Ok(()) } else { Err(Failure::Short { taken, size }) }
    }

    /// To where the store says.
    async fn put(&self, file: &DebugFile, instructions: &UploadInstructions) -> Result<(), Failure> {
        let url = SignedUrl::parse(&instructions.signed_url).map_err(signed_url::PutError::Url)?;
        let route = Route::find(&url, &self.store, &self.proxies).await?;
        let (file, stop) = (file.clone(), Stop::default());
        let size = file.plan.size();
        let limits = signed_url::Limits {
            whole: self.deadline(size),
            connect: self.patience.connect,
            stall: self.patience.stall,
        };
        let (rate, stopped) = (self.rate.clone(), stop.clone());
        let _stop = stop.on_drop();
        smol::unblock(move || {
            let reader = file.reader()?;
            Put { url, route, reader, size, limits, rate, stop: stopped }.run()?;
            Ok(())
        })
        .await
    }

    /// Time for so many bytes, longer where the agent itself holds them back.
    fn deadline(&self, size: u64) -> Duration {
        // Two uploads may share the rate, and some of it is left unused.
        let held_back =
            self.rate.limit().map_or(Duration::ZERO, |rate| duration(size, rate).saturating_mul(3));
        LEAST.saturating_add(duration(size, SLOWEST).max(held_back))
    }
}

/// What the file is, and its bytes. Where the bytes end early the stream does not: it says why, and waits to be dropped.
fn messages(
    info: UploadInfo,
    pieces: Receiver<Result<Bytes, ReadError>>,
    rate: Arc<Rate>,
    failed: Sender<ReadError>,
) -> impl Stream<Item = UploadRequest> + Send + 'static {
    let chunks = stream::unfold((Bytes::new(), pieces, failed), move |(mut piece, pieces, failed)| {
        let rate = rate.clone();
        async move {
            if piece.is_empty() {
                piece = match pieces.recv().await {
                    Ok(Ok(piece)) => piece,
                    Ok(Err(error)) => {
                        // Whoever does not listen has ended the upload.
                        let _ = failed.send(error).await;
                        pending().await
                    }
                    // All was read.
                    Err(_) => return None,
                };
            }
            let chunk = piece.split_to(piece.len().min(CHUNK));
            let pause = rate.take(chunk.len() as u64);
            if !pause.is_zero() {
                Timer::after(pause).await;
            }
            let message = UploadRequest { data: Some(UploadData::ChunkData(chunk)) };
            Some((message, (piece, pieces, failed)))
        }
    });
    let first = UploadRequest { data: Some(UploadData::Info(info)) };
    stream::StreamExt::chain(stream::once(first), chunks)
}
