//! Messages of the store's protocol for debug information, with its field numbers and its words.

use crate::object::build_id::BuildIdKind;
use prost::bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum DebuginfoType {
    /// Debug information, without code.
    Debuginfo = 0,
    /// The program itself.
    Executable = 1,
    /// Source code.
    Sources = 2,
}

/// What a build id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum BuildIdType {
    /// Nobody says.
    Unknown = 0,
    /// The linker's.
    Gnu = 1,
    /// A hash of the file.
    Hash = 2,
    /// The Go toolchain's.
    Go = 3,
}

impl From<BuildIdKind> for BuildIdType {
    fn from(kind: BuildIdKind) -> Self {
        match kind {
            BuildIdKind::Gnu => Self::Gnu,
            BuildIdKind::Go => Self::Go,
            BuildIdKind::Hash => Self::Hash,
        }
    }
}

/// A request of `ShouldInitiateUpload`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ShouldInitiateUploadRequest {
    /// As in the mappings of profiles.
    #[prost(string, tag = "1")]
    pub build_id: String,
    /// Of the file; empty as long as it was not read.
    #[prost(string, tag = "2")]
    pub hash: String,
    /// Whether to take it though it is there.
    #[prost(bool, tag = "3")]
    pub force: bool,
    /// What the file is.
    #[prost(enumeration = "DebuginfoType", tag = "4")]
    pub r#type: i32,
    /// What the build id is.
    #[prost(enumeration = "BuildIdType", tag = "5")]
    pub build_id_type: i32,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ShouldInitiateUploadResponse {
    /// Whether it is wanted.
    #[prost(bool, tag = "1")]
    pub should_initiate_upload: bool,
    /// Why, as a sentence.
    #[prost(string, tag = "2")]
    pub reason: String,
}

/// A request of `InitiateUpload`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct InitiateUploadRequest {
    /// As in the mappings of profiles.
    #[prost(string, tag = "1")]
    pub build_id: String,
    /// Bytes.
    #[prost(int64, tag = "2")]
    pub size: i64,
    /// Of the file.
    #[prost(string, tag = "3")]
    pub hash: String,
    /// Whether to take it though it is there.
    #[prost(bool, tag = "4")]
    pub force: bool,
    /// What the file is.
    #[prost(enumeration = "DebuginfoType", tag = "5")]
    pub r#type: i32,
    /// What the build id is.
    #[prost(enumeration = "BuildIdType", tag = "6")]
    pub build_id_type: i32,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct InitiateUploadResponse {
    /// How to send the file.
    #[prost(message, optional, tag = "1")]
    pub upload_instructions: Option<UploadInstructions>,
}

/// How to send a file.
#[derive(Clone, PartialEq, Eq, Message)]
// The URL is a secret.
#[prost(skip_debug)]
pub struct UploadInstructions {
    /// As in the request.
    #[prost(string, tag = "1")]
    pub build_id: String,
    /// The store's name of this upload.
    #[prost(string, tag = "2")]
    pub upload_id: String,
    /// By which way.
    #[prost(enumeration = "UploadStrategy", tag = "3")]
    pub upload_strategy: i32,
    /// Where to, for [`UploadStrategy::SignedUrl`].
    #[prost(string, tag = "4")]
    pub signed_url: String,
    /// As in the request.
    #[prost(enumeration = "DebuginfoType", tag = "5")]
    pub r#type: i32,
}

impl std::fmt::Debug for UploadInstructions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("UploadInstructions")
            .field("build_id", &self.build_id)
            .field("upload_id", &self.upload_id)
            .field("upload_strategy", &self.upload_strategy)
            .finish_non_exhaustive()
    }
}

/// By which way a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum UploadStrategy {
    /// The store does not say.
    Unspecified = 0,
    /// The call `Upload`.
    Grpc = 1,
    /// PUT to a URL.
    SignedUrl = 2,
}

/// A message of `Upload`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct UploadRequest {
    /// One of the two.
    #[prost(oneof = "UploadData", tags = "1, 2")]
    pub data: Option<UploadData>,
}

/// What the file is, in the first message, or its next bytes.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum UploadData {
    /// The first message.
    #[prost(message, tag = "1")]
    Info(UploadInfo),
    /// The others.
    #[prost(bytes = "bytes", tag = "2")]
    ChunkData(Bytes),
}

/// What the file is.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct UploadInfo {
    /// As announced.
    #[prost(string, tag = "1")]
    pub build_id: String,
    /// As in the instructions.
    #[prost(string, tag = "2")]
    pub upload_id: String,
    /// As announced.
    #[prost(enumeration = "DebuginfoType", tag = "3")]
    pub r#type: i32,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct UploadResponse {
    /// As announced.
    #[prost(string, tag = "1")]
    pub build_id: String,
    /// Bytes that came.
    #[prost(uint64, tag = "2")]
    pub size: u64,
}

/// A request of `MarkUploadFinished`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MarkUploadFinishedRequest {
    /// As announced.
    #[prost(string, tag = "1")]
    pub build_id: String,
    /// As in the instructions.
    #[prost(string, tag = "2")]
    pub upload_id: String,
    /// As announced.
    #[prost(enumeration = "DebuginfoType", tag = "3")]
    pub r#type: i32,
}

/// The answer.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct MarkUploadFinishedResponse {}
