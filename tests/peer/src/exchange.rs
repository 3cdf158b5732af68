//! One request, as HTTP/2 carries it.

use crate::debuginfo::Debuginfo;
use crate::order::{How, MESSAGE_LIMIT, Simple};
use crate::peer::Peer;
use crate::profile_store::Profiles;
use crate::proto::debuginfo::debuginfo_service_server::DebuginfoServiceServer;
use crate::proto::profilestore::profile_store_service_server::ProfileStoreServiceServer;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

/// What a message is preceded by: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The most of a made-up answer that is sent at once, in bytes.
const PIECE: u64 = 1 << 16;

/// How a request ends its connection.
#[derive(Default)]
pub(crate) struct End {
    /// By GOAWAY, when all answers are out.
    pub(crate) goaway: Notify,
    /// At once.
    pub(crate) cut: Notify,
}

/// The stream is reset.
#[derive(Debug)]
pub(crate) struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("reset by order")
    }
}

impl std::error::Error for Reset {}

pub(crate) async fn answer(
    peer: Arc<Peer>,
    end: Arc<End>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Reset> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    peer.record().request(&method, metadata(request.headers()));
    if !is_authorized(&peer, request.headers()) {
        return Ok(Status::unauthenticated("the token is not valid").into_http());
    }
    let how = peer.orders().take_for_request(&method);
    let mut request = match read(&peer, &how, &method, request).await {
        Ok(request) => request,
        Err(status) => return Ok(status.into_http()),
    };
    request.extensions_mut().insert(how.clone());
    let response = dispatch(&peer, request).await;
    match how {
        How::Simple(Simple::Reset) => Err(Reset),
        How::Simple(Simple::Cut) => {
            end.cut.notify_one();
            future::pending().await
        }
        How::Page(page) => page.response().or(Err(Reset)),
        How::Simple(Simple::NoTrailers) => Ok(without_trailers(response).await),
        How::Simple(Simple::BigReply(size)) => Ok(response.map(|_| Body::new(Zeros::new(size)))),
        How::Simple(Simple::Goaway) => {
            end.goaway.notify_one();
            Ok(response)
        }
        _ => Ok(response),
    }
}

fn metadata(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn is_authorized(peer: &Peer, headers: &HeaderMap) -> bool {
    let token = peer.token();
    let Some(token) = token.as_ref() else { return true };
    headers.get(AUTHORIZATION).is_some_and(|given| given.as_bytes() == format!("Bearer {token}").as_bytes())
}

/// The request with a body that handlers can read. The whole message of WriteRaw is read here; one over the limit
/// is refused by its prefix, before it has come, as grpc-go does.
async fn read(
    peer: &Peer,
    how: &How,
    method: &str,
    request: Request<Incoming>,
) -> Result<Request<Body>, Status> {
    let (head, mut body) = request.into_parts();
    if method != "WriteRaw" {
        return Ok(Request::from_parts(head, Body::new(body)));
    }
    let limit = how.limit();
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::internal(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            read.put(data);
        }
        let prefix = read.first_chunk::<PREFIX>();
        let Some(&[_, length @ ..]) = prefix else { continue };
        let length = u32::from_be_bytes(length);
        if length as usize > limit {
            if limit == MESSAGE_LIMIT {
                peer.record().violation(format!("WriteRaw: a message of {length} bytes"));
            }
            let text = format!("grpc: received message larger than max ({length} vs. {limit})");
            return Err(Status::resource_exhausted(text));
        }
    }
    Ok(Request::from_parts(head, Body::new(Full::new(read.freeze()))))
}

async fn dispatch(peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
    let service = request.uri().path().split('/').nth(1);
    let response: Result<_, Infallible> = match service {
        Some("parca.profilestore.v1alpha1.ProfileStoreService") => {
            let server = ProfileStoreServiceServer::new(Profiles(peer.clone()));
            // It is limited already.
            server.max_decoding_message_size(usize::MAX).call(request).await
        }
        Some("parca.debuginfo.v1alpha1.DebuginfoService") => {
            let server = DebuginfoServiceServer::new(Debuginfo(peer.clone()));
            server.max_decoding_message_size(MESSAGE_LIMIT).call(request).await
        }
        _ => Ok(Status::unimplemented("unknown service").into_http()),
    };
    response.unwrap_or_else(|never| match never {})
}

async fn without_trailers(response: Response<Body>) -> Response<Body> {
    let (head, body) = response.into_parts();
    let data = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Response::from_parts(head, Body::new(Full::new(data)))
}

/// An answer of one message, made while it is sent: an unknown field full of zeros.
struct Zeros {
    head: Option<Bytes>,
    left: u64,
    has_ended: bool,
}

impl Zeros {
    /// Field 15 of wire type 2.
    const KEY: u8 = 15 << 3 | 2;
    /// With the length in five bytes, whatever it is.
    const FIELD: u64 = 6;

    fn new(size: u64) -> Self {
        let left = size.saturating_sub(Self::FIELD);
        let mut head = BytesMut::new();
        head.put_u8(0);
        head.put_u32(u32::try_from(left + Self::FIELD).unwrap_or(u32::MAX));
        head.put_u8(Self::KEY);
        for index in 0..5 {
            let group = (left >> (7 * index)) as u8 & 0x7f;
            head.put_u8(if index < 4 { group | 0x80 } else { group });
        }
        Self { head: Some(head.freeze()), left, has_ended: false }
    }
}

impl http_body::Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PIECE_OF_ZEROS: [u8; PIECE as usize] = [0; PIECE as usize];
        let frame = if let Some(head) = self.head.take() {
            Frame::data(head)
        } else if self.left > 0 {
            let length = self.left.min(PIECE);
            self.left -= length;
            Frame::data(Bytes::from_static(&PIECE_OF_ZEROS[..length as usize]))
        } else if !self.has_ended {
            self.has_ended = true;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            Frame::trailers(trailers)
        } else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Ok(frame)))
    }
}
