//! One call over a channel, as tonic's client code makes it: what comes back is looked at before tonic takes it for
//! gRPC.
//!
//! tonic reads the body of an answer before it looks at what carried it. A page of a proxy or balancer that says why it
//! has no store to lead to would be read as the begin of a message, and its fault told like one that the store found
//! in the request. So whatever is not gRPC ends here ([`NotGrpc`]), and it is noted whether the peer itself said how the
//! call went.

use super::{Channel, RpcError};
use crate::net::NetError;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;

/// The code of a call, in the head or behind the body of an answer.
const STATUS: &str = "grpc-status";

/// A call.
#[derive(Clone)]
pub(super) struct Call {
    channel: Channel,
    refusal: Refusal,
}

/// Whether the peer said that the call failed.
#[derive(Clone, Debug, Default)]
struct Refusal(Arc<AtomicBool>);

impl Refusal {
    fn look_at(&self, fields: &HeaderMap) {
        if fields.get(STATUS).is_some_and(|code| code != "0") {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An answer of HTTP that is none of gRPC.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an answer that is not gRPC: {0}")]
struct NotGrpc(StatusCode);

impl Call {
    /// The next one.
    pub(super) fn new(channel: &Channel) -> Self {
        Self { channel: channel.clone(), refusal: Refusal::default() }
    }

    /// Why it gave no answer, by what tonic says.
    pub(super) fn error(&self, method: &'static str, status: Status) -> RpcError {
        let (peer, status) = (self.channel.peer.to_string(), Box::new(status));
        match status.source().map(|source| source.downcast_ref()) {
            Some(Some(NotGrpc(status))) => RpcError::NotGrpc { peer, method, status: *status },
            Some(None) => RpcError::Broken { peer, status },
            None if self.refusal.is_told() => RpcError::Refused { peer, method, status },
            None => RpcError::Malformed { peer, method, status },
        }
    }
}

impl Service<Request<Body>> for Call {
    type Response = Response<Answer>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let peer = &self.channel.peer;
        let failed = |source| NetError::Http { peer: peer.to_string(), source }.into();
        self.channel.sender.poll_ready(context).map_err(failed)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        *request.uri_mut() = self.channel.place(request.uri());
        let (peer, answer) = (self.channel.peer.clone(), self.channel.sender.send_request(request));
        let refusal = self.refusal.clone();
        Box::pin(async move {
            let failed = |source| NetError::Http { peer: peer.to_string(), source };
            let answer = answer.await.map_err(failed)?;
            if !is_grpc(&answer) {
                return Err(NotGrpc(answer.status()).into());
            }
            refusal.look_at(answer.headers());
            Ok(answer.map(|body| Answer { body, refusal }))
        })
    }
}

/// Whether it is to be read as gRPC (its "HTTP to gRPC status code mapping"): whoever says how the call went means it.
fn is_grpc<T>(answer: &Response<T>) -> bool {
    let is_type = |value: &HeaderValue| {
        let rest = value.as_bytes().strip_prefix(b"application/grpc");
        matches!(rest, Some([] | [b'+' | b';', ..]))
    };
    let fields = answer.headers();
    fields.contains_key(STATUS)
        || (answer.status() == StatusCode::OK && fields.get(CONTENT_TYPE).is_some_and(is_type))
}

/// The body of an answer.
pub(super) struct Answer {
    body: Incoming,
    refusal: Refusal,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.refusal.look_at(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::is_grpc;
    use http::Response;

    #[test]
    fn what_is_read_as_grpc() {
        for (status, kind, code, expected) in [
            (200, Some("application/grpc"), None, true),
            (200, Some("application/grpc+proto"), None, true),
            (200, Some("application/grpc; charset=utf-8"), None, true),
            (200, Some("application/grpcx"), None, false),
            (200, Some("text/html"), None, false),
            (200, None, None, false),
            (503, Some("application/grpc"), None, false),
            // Some gateways answer in both languages.
            (503, Some("application/grpc"), Some("14"), true),
            (401, Some("text/html"), Some("16"), true),
        ] {
            let mut answer = Response::builder().status(status);
            if let Some(kind) = kind {
                answer = answer.header("content-type", kind);
            }
            if let Some(code) = code {
                answer = answer.header("grpc-status", code);
            }
            assert_eq!(is_grpc(&answer.body(()).unwrap()), expected, "{status} {kind:?} {code:?}");
        }
    }
}
