//! A way through a proxy: `CONNECT` over HTTP/1.1 (RFC 9110, section 9.3.6). What the peer says is not looked at.

use super::Proxy;
use crate::net::NetError;
use crate::net::deadline::within;
use crate::net::stream::{Dialed, Stream, authority, dial_tcp};
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1::{Builder, Parts};
use smol::future::{FutureExt, pending};
use smol::io::{AsyncRead, AsyncWrite};
use smol_hyper::rt::FuturesIo;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes of the head of a proxy's answer. What is behind it, such as a page that says why not, is not read.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Why there is no way through a proxy.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The proxy is not there, or no HTTP proxy.
    #[error("no way to {peer} through the proxy {proxy}")]
    Proxy {
        /// Whom it should have led to.
        peer: String,
        /// Host and port.
        proxy: String,
        /// Why.
        #[source]
        source: NetError,
    },
    /// The proxy does not want to.
    #[error("the proxy {proxy} refuses to connect to {peer}: {status}")]
    Refused {
        /// Whom it should have led to.
        peer: String,
        /// Host and port.
        proxy: String,
        /// What it answered.
        status: StatusCode,
    },
}

impl Proxy {
    /// Connects to a host through the proxy, which looks its name up.
    pub async fn dial(&self, host: &str, port: u16, deadline: Duration) -> Result<Dialed, TunnelError> {
        let peer = authority(host, port);
        let failed = |source| TunnelError::Proxy { peer: peer.clone(), proxy: self.to_string(), source };
        let refused = |status| TunnelError::Refused { peer: peer.clone(), proxy: self.to_string(), status };
        let answer = async {
            let proxy = dial_tcp(&self.host, self.port, deadline).await?;
            self.connect(proxy, &peer).await
        };
        let late = || Err(NetError::late(&self.to_string(), deadline));
        let answer = within(deadline, answer).await.unwrap_or_else(late);
        let stream = answer.map_err(failed)?.map_err(refused)?;
        Ok(Dialed { peer, stream })
    }

    /// Asks a proxy for the way to a peer. Within it the status of a proxy that gives none.
    async fn connect(
        &self,
        proxy: Dialed,
        peer: &str,
    ) -> Result<Result<Box<dyn Stream>, StatusCode>, NetError> {
        let name = proxy.peer;
        let failed = |source| NetError::Http { peer: name.clone(), source };
        let (mut sender, connection) = Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(FuturesIo::new(proxy.stream))
            .await
            .map_err(failed)?;
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        // The configuration takes no host that makes no authority; were it so, the proxy would refuse "/".
        *request.uri_mut() = peer.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.extend(peer.parse().ok().map(|peer| (HOST, peer)));
        headers.extend(self.authorization.clone().map(|value| (PROXY_AUTHORIZATION, value)));
        let exchange = async {
            let status = sender.send_request(request).await?.status();
            Ok(if status.is_success() { Ok(()) } else { Err(status) })
        };
        // Done when the proxy is out of the way.
        let mut connection = pin!(connection.without_shutdown());
        let mut early = None;
        let driver = async {
            early = Some(connection.as_mut().await);
            pending().await
        };
        if let Err(status) = exchange.or(driver).await.map_err(failed)? {
            return Ok(Err(status));
        }
        let parts = match early {
            Some(parts) => parts,
            None => connection.await,
        };
        let Parts { io, read_buf, .. } = parts.map_err(failed)?;
        Ok(Ok(Box::new(Tunnel { early: read_buf, stream: io.into_inner() })))
    }
}

/// The stream, and what the peer had said when the proxy's answer was read.
struct Tunnel {
    early: Bytes,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.early.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.early.split_to(length));
        Poll::Ready(Ok(length))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

#[cfg(test)]
mod tests;
