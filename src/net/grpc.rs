//! gRPC over HTTP/2: one connection, as a channel for tonic's client code, and calls that are bounded in time and
//! size.

use super::deadline::within;
use super::stream::Dialed;
use super::{Limits, NetError};
use call::Call;
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use hyper::client::conn::http2::{Builder, SendRequest};
use smol::{Executor, Task};
use smol_hyper::rt::FuturesIo;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tonic::body::Body;
use tonic::{IntoRequest, Status};
use tonic_prost::ProstCodec;

pub use tonic::Code;

mod call;
mod upload;

/// Bytes of the head of an answer, trailers apart.
const MAX_HEADER_BYTES: u32 = 16 << 10;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The peer took too long.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The connection broke, or the peer does not speak HTTP/2.
    #[error("{peer} broke off, or does not speak gRPC")]
    Broken {
        /// An address or a path.
        peer: String,
        /// With the cause as its source.
        #[source]
        status: Box<Status>,
    },
    /// Something on the way answered, such as a proxy with a page for people, or the peer does not speak gRPC.
    #[error("{peer} answers {method} with what is not gRPC: HTTP status {status}")]
    NotGrpc {
        /// An address or a path.
        peer: String,
        /// `/package.Service/Method`
        method: &'static str,
        /// Of HTTP.
        status: StatusCode,
    },
    /// The peer answered with what is no such message, or with more than anyone wants to hear, and did not say that
    /// the call failed.
    #[error("{peer} answers {method} with no such message: {:?}: {}", status.code(), status.message())]
    Malformed {
        /// An address or a path.
        peer: String,
        /// `/package.Service/Method`
        method: &'static str,
        /// What is wrong with it, in words of this side.
        status: Box<Status>,
    },
    /// The peer answered with a status other than "ok".
    #[error("{peer} refused {method}: {:?}: {}", status.code(), status.message())]
    Refused {
        /// An address or a path.
        peer: String,
        /// `/package.Service/Method`
        method: &'static str,
        /// Code, message and metadata.
        status: Box<Status>,
    },
}

impl RpcError {
    /// What the peer answered, or what its answer is to be taken for; `None` if it did not answer.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Net(_) | Self::Broken { .. } | Self::NotGrpc { .. } => None,
            Self::Malformed { status, .. } | Self::Refused { status, .. } => Some(status.code()),
        }
    }
}

/// A connection. The last of its clones to be dropped closes the stream.
#[derive(Clone)]
pub struct Channel {
    peer: Arc<str>,
    origin: Uri,
    sender: SendRequest<Body>,
    _tasks: Arc<Tasks>,
}

impl Channel {
    /// Begins to speak HTTP/2 over a stream. `origin` is the scheme and authority that requests name, such as
    /// `http://localhost`.
    pub async fn begin(
        dialed: Dialed,
        origin: Uri,
        executor: &Arc<Executor<'static>>,
    ) -> Result<Self, NetError> {
        let Dialed { peer, stream } = dialed;
        let tasks = Arc::new(Tasks::default());
        let spawner = Spawner { executor: executor.clone(), tasks: Arc::downgrade(&tasks) };
        let (sender, connection) = Builder::new(spawner.clone())
            .max_header_list_size(MAX_HEADER_BYTES)
            .handshake(FuturesIo::new(stream))
            .await
            .map_err(|source| NetError::Http { peer: peer.clone(), source })?;
        hyper::rt::Executor::execute(&spawner, async {
            // Whoever waits for an answer is told what went wrong.
            let _ = connection.await;
        });
        Ok(Self { peer: peer.into(), origin, sender, _tasks: tasks })
    }

    /// Whom it leads to.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether another call can be made.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// One message, or a [`tonic::Request`] of one, and one message in answer. `limits.bytes` bounds that message.
    ///
    /// # Errors
    /// After any that has no [`RpcError::code`] the connection is of no more use.
    pub async fn unary<Question, Answer>(
        &self,
        method: &'static str,
        request: impl IntoRequest<Question>,
        limits: Limits,
    ) -> Result<tonic::Response<Answer>, RpcError>
    where
        Question: prost::Message + 'static,
        Answer: prost::Message + Default + 'static,
    {
        let service = Call::new(self);
        let mut client = tonic::client::Grpc::new(service.clone()).max_decoding_message_size(limits.bytes);
        let mut request = request.into_request();
        request.set_timeout(limits.deadline);
        let call = async {
            client.ready().await.map_err(Status::from_error)?;
            let codec = ProstCodec::<Question, Answer>::default();
            client.unary(request, PathAndQuery::from_static(method), codec).await
        };
        let answer = within(limits.deadline, call).await;
        answer
            .ok_or_else(|| NetError::late(&self.peer, limits.deadline))?
            .map_err(|status| service.error(method, status))
    }

    /// The same place at the origin: hyper sends what the request names.
    fn place(&self, uri: &Uri) -> Uri {
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = uri.path_and_query().cloned();
        Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
    }
}

/// What drives a connection. Dropping it ends that.
#[derive(Default)]
struct Tasks(Mutex<Vec<Task<()>>>);

/// Spawns what hyper asks for, for as long as the connection is wanted.
#[derive(Clone)]
struct Spawner {
    executor: Arc<Executor<'static>>,
    tasks: Weak<Tasks>,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, future: F) {
        let Some(tasks) = self.tasks.upgrade() else { return };
        let task = self.executor.spawn(future);
        let mut tasks = tasks.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }
}

#[cfg(test)]
pub(crate) mod tests;
