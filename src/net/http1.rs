//! HTTP/1.1 over one connection: one request at a time, answers bounded in time and size.

use super::deadline::within;
use super::lines::Lines;
use super::stream::Dialed;
use super::{Limits, NetError};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use smol::{Executor, Task};
use smol_hyper::rt::FuturesIo;

/// A connection. Dropping it closes the stream.
pub struct Connection {
    peer: String,
    sender: SendRequest<Full<Bytes>>,
    _driver: Task<()>,
}

impl Connection {
    /// Begins to speak HTTP over a stream.
    pub async fn begin(dialed: Dialed, executor: &Executor<'static>) -> Result<Self, NetError> {
        let Dialed { peer, stream } = dialed;
        let (sender, connection) = handshake(FuturesIo::new(stream))
            .await
            .map_err(|source| NetError::Http { peer: peer.clone(), source })?;
        let driver = executor.spawn(async move {
            // Whoever waits for an answer is told what went wrong.
            let _ = connection.await;
        });
        Ok(Self { peer, sender, _driver: driver })
    }

    /// Whom it leads to.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether another request can be made. A peer may close after each answer.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// One request and its whole answer. After an error the connection is of no more use.
    pub async fn exchange(
        &mut self,
        request: Request<Vec<u8>>,
        limits: Limits,
    ) -> Result<Response<Vec<u8>>, NetError> {
        let peer = self.peer.clone();
        let from = &peer;
        let answer = async move {
            let (head, mut body) = self.send(request).await?.into_parts();
            let mut bytes = Vec::new();
            gather(from, &mut body, &mut bytes, limits.bytes).await?;
            Ok(Response::from_parts(head, bytes))
        };
        let late = || Err(NetError::late(&peer, limits.deadline));
        within(limits.deadline, answer).await.unwrap_or_else(late)
    }

    /// One request whose answer is read line by line, as it comes. `limits.bytes` bounds a line.
    pub async fn stream(
        &mut self,
        request: Request<Vec<u8>>,
        limits: Limits,
    ) -> Result<Response<Lines>, NetError> {
        let peer = self.peer.clone();
        let answer = within(limits.deadline, self.send(request)).await;
        let answer = answer.ok_or_else(|| NetError::late(&peer, limits.deadline))??;
        Ok(answer.map(|body| Lines::new(peer, body, limits.bytes)))
    }

    async fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Incoming>, NetError> {
        let failed = |source| NetError::Http { peer: self.peer.clone(), source };
        self.sender.ready().await.map_err(failed)?;
        self.sender
            .send_request(request.map(|body| Full::new(Bytes::from(body))))
            .await
            .map_err(|source| NetError::Http { peer: self.peer.clone(), source })
    }
}

/// Adds all of a body to `bytes`, of which there may be so many in the end.
pub(super) async fn gather(
    peer: &str,
    body: &mut Incoming,
    bytes: &mut Vec<u8>,
    longest: usize,
) -> Result<(), NetError> {
    while let Some(data) = next_data(peer, body).await? {
        let room = longest.saturating_sub(bytes.len());
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Err(NetError::TooLong { peer: peer.to_owned(), bytes: longest });
        }
    }
    Ok(())
}

/// The next piece of a body; `None` at its end.
pub(super) async fn next_data(peer: &str, body: &mut Incoming) -> Result<Option<Bytes>, NetError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| NetError::Http { peer: peer.to_owned(), source })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
