//! What to do about an error of the store. Pure.
//!
//! | the store says | the agent does |
//! |---|---|
//! | what is not gRPC, with HTTP's 401 or 403; 413; another status | as for PERMISSION_DENIED; sends half; tries again |
//! | something strange, no status, UNAVAILABLE, ABORTED, CANCELLED | tries again, later each time |
//! | nothing in time, DEADLINE_EXCEEDED | the same, with half as much each time |
//! | RESOURCE_EXHAUSTED or OUT_OF_RANGE, "larger than max" and the like | sends half as much |
//! | RESOURCE_EXHAUSTED, with the time to wait | waits that long |
//! | RESOURCE_EXHAUSTED | sends less often |
//! | UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED | reads the token again, then tries every five minutes |
//! | INVALID_ARGUMENT, OUT_OF_RANGE, FAILED_PRECONDITION | looks for what is refused, and drops that |
//! | anything else | the same, after a few tries |

use crate::net::NetError;
use crate::net::grpc::{Code, RpcError};
use http::StatusCode;
use prost::Message;
use std::time::Duration;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// Longest time that the store may tell to wait. It is asked again after it, whatever it said.
const LONGEST_PUSHBACK: Duration = Duration::from_secs(600);

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try the same again after a pause.
    Retry,
    /// The same, with less: it may be that the store, or the way to it, is slow.
    Late,
    /// The same: the connection broke. If it does again and again, it may be what is sent that breaks it.
    Broken,
    /// The same, a few times only: it may be this batch that the store cannot bear.
    RetryFew,
    /// Try the same again after this time.
    After(Duration),
    /// The store has too much to do: send less often.
    SlowDown,
    /// The message is too long: send half of it.
    Split,
    /// The store does not know the agent, or does not take profiles.
    Denied,
    /// The store does not take this batch.
    Refused,
}

/// What to do about an error.
pub fn verdict(error: &RpcError) -> Verdict {
    let status = match error {
        RpcError::Refused { status, .. } => status,
        RpcError::Net(NetError::Late { .. }) => return Verdict::Late,
        RpcError::NotGrpc { status, .. } => return of_http(*status),
        RpcError::Broken { .. } => return Verdict::Broken,
        RpcError::Net(_) | RpcError::Malformed { .. } => return Verdict::Retry,
    };
    match status.code() {
        Code::ResourceExhausted | Code::OutOfRange if is_too_long(status.message()) => Verdict::Split,
        Code::ResourceExhausted => pushback(status).map_or(Verdict::SlowDown, Verdict::After),
        Code::DeadlineExceeded => pushback(status).map_or(Verdict::Late, Verdict::After),
        Code::Unavailable | Code::Aborted | Code::Cancelled => {
            pushback(status).map_or(Verdict::Retry, Verdict::After)
        }
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => Verdict::Denied,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => Verdict::Refused,
        _ => Verdict::RetryFew,
    }
}

/// The same for an answer that is not gRPC. What leads to the store gave it, so that it says nothing of the batch but
/// how long it is.
fn of_http(status: StatusCode) -> Verdict {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Verdict::Denied,
        StatusCode::PAYLOAD_TOO_LARGE => Verdict::Split,
        _ => Verdict::Retry,
    }
}

/// Whether a message is too long for the store, in the words of Go's, Java's and Rust's servers.
fn is_too_long(message: &str) -> bool {
    ["larger than max", "exceeds maximum size", "message length too large"]
        .iter()
        .any(|words| message.contains(words))
}

/// How long the store wants to be left alone, if it says so: in the header of gRPC's own retries, or in the details.
/// One that wants not to be asked again at all is asked after the longest time.
fn pushback(status: &Status) -> Option<Duration> {
    let told = header(status.metadata()).or_else(|| retry_info(status.details()))?;
    Some(told.min(LONGEST_PUSHBACK))
}

fn header(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-retry-pushback-ms")?.to_str().ok()?;
    // A negative number, or no number, says: not again.
    Some(text.trim().parse().map_or(LONGEST_PUSHBACK, Duration::from_millis))
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    let details = RpcStatus::decode(details).ok()?.details;
    let info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(Duration::new(seconds, u32::try_from(delay.nanos).ok()?.min(999_999_999)))
}

/// `google.rpc.Status`, as far as it is of interest.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::{Delay, Detail, LONGEST_PUSHBACK, RetryInfo, RpcStatus, Verdict, verdict};
    use crate::net::NetError;
    use crate::net::grpc::{Code, RpcError};
    use http::StatusCode;
    use prost::Message;
    use std::time::Duration;
    use tonic::Status;

    fn refused(status: Status) -> Verdict {
        let (peer, method) = ("store".to_owned(), "/a/b");
        verdict(&RpcError::Refused { peer, method, status: Box::new(status) })
    }

    #[test]
    fn every_code_has_its_verdict() {
        for (code, expected) in [
            (Code::Unavailable, Verdict::Retry),
            (Code::Aborted, Verdict::Retry),
            (Code::DeadlineExceeded, Verdict::Late),
            (Code::Cancelled, Verdict::Retry),
            (Code::ResourceExhausted, Verdict::SlowDown),
            (Code::Unauthenticated, Verdict::Denied),
            (Code::PermissionDenied, Verdict::Denied),
            (Code::Unimplemented, Verdict::Denied),
            (Code::InvalidArgument, Verdict::Refused),
            (Code::OutOfRange, Verdict::Refused),
            (Code::FailedPrecondition, Verdict::Refused),
            (Code::Internal, Verdict::RetryFew),
            (Code::Unknown, Verdict::RetryFew),
            (Code::DataLoss, Verdict::RetryFew),
            (Code::NotFound, Verdict::RetryFew),
            (Code::AlreadyExists, Verdict::RetryFew),
        ] {
            assert_eq!(refused(Status::new(code, "")), expected, "{code:?}");
        }
        let late = NetError::Late { peer: "store".to_owned(), deadline: Duration::from_secs(1) };
        assert_eq!(verdict(&RpcError::Net(late)), Verdict::Late);
        let cut = NetError::Cut { peer: "store".to_owned() };
        assert_eq!(verdict(&RpcError::Net(cut)), Verdict::Retry);
    }

    #[test]
    fn an_answer_that_is_not_grpc_does_not_lose_a_batch() {
        for (status, expected) in [
            (200, Verdict::Retry),
            (400, Verdict::Retry),
            (401, Verdict::Denied),
            (403, Verdict::Denied),
            (404, Verdict::Retry),
            (413, Verdict::Split),
            (429, Verdict::Retry),
            (500, Verdict::Retry),
            (502, Verdict::Retry),
            (503, Verdict::Retry),
            (504, Verdict::Retry),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = RpcError::NotGrpc { peer: "store".to_owned(), method: "/a/b", status };
            assert_eq!(verdict(&error), expected, "{status}");
        }
        let status = Box::new(Status::internal("Unexpected EOF decoding stream."));
        let malformed = RpcError::Malformed { peer: "store".to_owned(), method: "/a/b", status };
        assert_eq!(verdict(&malformed), Verdict::Retry);
        // The same words of the store itself are about the batch.
        assert_eq!(refused(Status::internal("Unexpected EOF decoding stream.")), Verdict::RetryFew);
    }

    #[test]
    fn a_message_that_is_too_long_is_split() {
        for (code, text) in [
            (Code::ResourceExhausted, "grpc: received message larger than max (17 vs. 16)"),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 16: 17"),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 17 bytes, the limit is: 4194304 bytes",
            ),
        ] {
            assert_eq!(refused(Status::new(code, text)), Verdict::Split, "{text}");
        }
    }

    #[test]
    fn a_time_to_wait_is_kept_to_within_reason() {
        for (text, expected) in [
            ("1500", Duration::from_millis(1500)),
            ("0", Duration::ZERO),
            ("-1", LONGEST_PUSHBACK),
            ("soon", LONGEST_PUSHBACK),
            ("99999999999", LONGEST_PUSHBACK),
        ] {
            let mut status = Status::new(Code::ResourceExhausted, "");
            status.metadata_mut().insert("grpc-retry-pushback-ms", text.parse().unwrap());
            assert_eq!(refused(status), Verdict::After(expected), "{text}");
        }
    }

    #[test]
    fn a_time_to_wait_can_be_in_the_details() {
        let details = |seconds, nanos| {
            let value = RetryInfo { retry_delay: Some(Delay { seconds, nanos }) }.encode_to_vec();
            let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
            RpcStatus { details: vec![Detail { type_url, value }] }.encode_to_vec()
        };
        let exhausted =
            |details: Vec<u8>| refused(Status::with_details(Code::ResourceExhausted, "", details.into()));
        assert_eq!(exhausted(details(2, 500_000_000)), Verdict::After(Duration::from_millis(2500)));
        assert_eq!(exhausted(details(-2, 0)), Verdict::SlowDown);
        assert_eq!(exhausted(vec![0xff; 9]), Verdict::SlowDown);
    }
}
