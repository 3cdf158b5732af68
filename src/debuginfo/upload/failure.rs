//! Why debug information was not sent, and what to do about it. Pure.

use super::answer::IN_PROGRESS;
use super::signed_url::PutError;
use crate::debuginfo::reader::{ReadError, StartError};
use crate::net::NetError;
use crate::net::grpc::{Code, RpcError};
use crate::store::channel::CallError;
use crate::store::retry::{Verdict, verdict};
use std::time::Duration;

/// Why a file was not sent.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The file cannot be read, or is not any more what it was.
    #[error(transparent)]
    File(#[from] StartError),
    /// The store did not answer, or refused.
    #[error("{step} failed")]
    Call {
        /// At which step.
        step: Step,
        /// Why.
        #[source]
        source: CallError,
    },
    /// The store says to send the file in a way that is none.
    #[error("the store gives no way to send the file")]
    NoWay,
    /// The store got another number of bytes.
    #[error("the store took {taken} bytes of {size}")]
    Short {
        /// Bytes that the store says to have.
        taken: u64,
        /// Bytes that were sent.
        size: u64,
    },
    /// By a signed URL.
    #[error(transparent)]
    Put(#[from] PutError),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::File(error.into())
    }
}

/// A step of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `ShouldInitiateUpload`.
    Ask,
    /// `InitiateUpload`.
    Initiate,
    /// `Upload`.
    Upload,
    /// `MarkUploadFinished`.
    Finish,
}

impl std::fmt::Display for Step {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Ask => "asking for an upload",
            Self::Initiate => "announcing an upload",
            Self::Upload => "the upload",
            Self::Finish => "finishing the upload",
        })
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: it would end the same.
    Never,
    /// Look for the file again: it is not what it was when the plan was made.
    LookAgain,
    /// Try again after this time.
    After(Duration),
    /// Try again after a pause that grows each time.
    Retry,
    /// The same, a few times only: it may be this file that the store cannot bear.
    RetryFew,
    /// The store does not know the agent, or takes no debug information: nothing else would get through either until
    /// that changes. The token is read again for the next try.
    Denied,
}

impl Failure {
    /// Every reason.
    pub const REASONS: [&str; 16] = [
        "broken",
        "busy",
        "connect",
        "denied",
        "exists",
        "file_changed",
        "file_unreadable",
        "forbidden_url",
        "in_progress",
        "instructions",
        "late",
        "proxy",
        "refused",
        "status",
        "tls",
        "token",
    ];

    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::File(_) => Remedy::LookAgain,
            Self::Call { source, .. } => of_call(source),
            Self::NoWay | Self::Short { .. } => Remedy::RetryFew,
            Self::Put(error) => error.remedy(),
        }
    }

    /// Whether it happened after the store had said that it wants this file, so that it says little of others.
    pub fn is_of_file(&self) -> bool {
        match self {
            Self::File(_) | Self::NoWay | Self::Short { .. } | Self::Put(_) => true,
            Self::Call { step, .. } => *step != Step::Ask,
        }
    }

    /// In metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::File(StartError::Read(ReadError::Unreadable(_))) => "file_unreadable",
            Self::File(_) => "file_changed",
            Self::Call { source, .. } => reason_of_call(source),
            Self::NoWay | Self::Short { .. } => "instructions",
            Self::Put(error) => error.reason(),
        }
    }
}

fn of_call(error: &CallError) -> Remedy {
    let error = match error {
        CallError::Credential(_) => return Remedy::Denied,
        CallError::Pem { .. } | CallError::Tls(_) | CallError::Proxy(_) | CallError::Unsent(_) => {
            return Remedy::Retry;
        }
        CallError::Rpc(error) => error,
    };
    match error.code() {
        Some(Code::AlreadyExists) => return Remedy::Never,
        // Somebody else sends it.
        Some(Code::FailedPrecondition) => return Remedy::After(IN_PROGRESS),
        _ => {}
    }
    match verdict(error) {
        // A message is a piece of a file, and as short as it gets.
        Verdict::Retry | Verdict::Late | Verdict::Broken => Remedy::Retry,
        Verdict::RetryFew => Remedy::RetryFew,
        Verdict::After(pause) => Remedy::After(pause),
        Verdict::SlowDown => Remedy::After(IN_PROGRESS),
        // A message is not longer than a piece: what is too long is the file.
        Verdict::Split | Verdict::Refused => Remedy::Never,
        Verdict::Denied => Remedy::Denied,
    }
}

fn reason_of_call(error: &CallError) -> &'static str {
    match error {
        CallError::Credential(_) => "token",
        CallError::Pem { .. } | CallError::Tls(_) => "tls",
        CallError::Proxy(_) => "proxy",
        CallError::Unsent(error) | CallError::Rpc(RpcError::Net(error)) => match error {
            NetError::Tls { .. } => "tls",
            NetError::Late { .. } => "late",
            NetError::Connect { .. } => "connect",
            _ => "broken",
        },
        CallError::Rpc(RpcError::Broken { .. } | RpcError::Malformed { .. }) => "broken",
        CallError::Rpc(RpcError::NotGrpc { status, .. }) => match status.as_u16() {
            401 | 403 => "denied",
            413 => "refused",
            429 | 502..=504 => "busy",
            _ => "broken",
        },
        CallError::Rpc(error @ RpcError::Refused { .. }) => match error.code() {
            Some(Code::AlreadyExists) => "exists",
            Some(Code::FailedPrecondition) => "in_progress",
            Some(Code::InvalidArgument | Code::OutOfRange) => "refused",
            Some(Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented) => "denied",
            Some(Code::ResourceExhausted | Code::Unavailable) => "busy",
            Some(Code::DeadlineExceeded) => "late",
            _ => "status",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, IN_PROGRESS, Remedy, Step};
    use crate::debuginfo::reader::ReadError;
    use crate::net::NetError;
    use crate::net::grpc::{Code, RpcError};
    use rustix::io::Errno;
    use std::time::Duration;
    use tonic::Status;

    fn refused(code: Code, text: &str) -> Failure {
        let status = Box::new(Status::new(code, text));
        let error = RpcError::Refused { peer: "store".to_owned(), method: "/a/b", status };
        Failure::Call { step: Step::Initiate, source: error.into() }
    }

    fn check(failure: &Failure, remedy: Remedy, reason: &str) {
        assert_eq!((failure.remedy(), failure.reason()), (remedy, reason), "{failure:?}");
        assert!(Failure::REASONS.contains(&reason), "{reason}");
    }

    #[test]
    fn every_status_has_its_remedy() {
        for (code, remedy, reason) in [
            (Code::AlreadyExists, Remedy::Never, "exists"),
            (Code::InvalidArgument, Remedy::Never, "refused"),
            (Code::OutOfRange, Remedy::Never, "refused"),
            (Code::FailedPrecondition, Remedy::After(IN_PROGRESS), "in_progress"),
            (Code::ResourceExhausted, Remedy::After(IN_PROGRESS), "busy"),
            (Code::Unavailable, Remedy::Retry, "busy"),
            (Code::DeadlineExceeded, Remedy::Retry, "late"),
            (Code::Aborted, Remedy::Retry, "status"),
            (Code::Cancelled, Remedy::Retry, "status"),
            (Code::Internal, Remedy::RetryFew, "status"),
            (Code::NotFound, Remedy::RetryFew, "status"),
            (Code::Unauthenticated, Remedy::Denied, "denied"),
            (Code::PermissionDenied, Remedy::Denied, "denied"),
            (Code::Unimplemented, Remedy::Denied, "denied"),
        ] {
            check(&refused(code, ""), remedy, reason);
        }
        for (status, remedy, reason) in [
            (200, Remedy::Retry, "broken"),
            (401, Remedy::Denied, "denied"),
            (403, Remedy::Denied, "denied"),
            (404, Remedy::Retry, "broken"),
            (413, Remedy::Never, "refused"),
            (502, Remedy::Retry, "busy"),
        ] {
            let status = http::StatusCode::from_u16(status).unwrap();
            let error = RpcError::NotGrpc { peer: "store".to_owned(), method: "/a/b", status };
            check(&Failure::Call { step: Step::Initiate, source: error.into() }, remedy, reason);
        }
        check(&refused(Code::ResourceExhausted, "message larger than max"), Remedy::Never, "busy");
    }

    #[test]
    fn what_is_not_the_stores_word_has_its_remedy() {
        let late = NetError::late("store", Duration::from_secs(1));
        let late = Failure::Call { step: Step::Upload, source: RpcError::Net(late).into() };
        check(&late, Remedy::Retry, "late");
        check(&ReadError::Changed.into(), Remedy::LookAgain, "file_changed");
        check(&ReadError::Unreadable(Errno::IO).into(), Remedy::LookAgain, "file_unreadable");
        check(&Failure::NoWay, Remedy::RetryFew, "instructions");
        check(&Failure::Short { taken: 1, size: 2 }, Remedy::RetryFew, "instructions");
    }
}
