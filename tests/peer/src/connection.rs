//! One connection to the gRPC server.

use crate::exchange::{self, End};
use crate::order::{How, Simple};
use crate::peer::Peer;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How much of a request may be on its way, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// An answer that is no HTTP/2.
const GARBAGE: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nnot here\n";

/// An empty SETTINGS frame, and GOAWAY for all streams without an error (RFC 9113, 6.5 and 6.8).
const GOAWAY: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A connection, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Serves a connection until it ends, by itself or by order.
pub(crate) async fn serve(peer: Arc<Peer>, stream: TcpStream) {
    let how = peer.orders().take_for_connection();
    let mut cuts = peer.cuts.subscribe();
    let _open = Open::new(&peer);
    let serving = async {
        // That a client goes away is no failure of a server.
        if let Ok(stream) = handshake(stream, peer.tls.as_ref()).await {
            let _ = behave(peer.clone(), stream, &how).await;
        }
    };
    tokio::select! {
        () = serving => {}
        _ = cuts.changed() => {}
    }
}

/// Counts a connection for as long as it is there.
struct Open<'a>(&'a Peer);

impl<'a> Open<'a> {
    fn new(peer: &'a Peer) -> Self {
        let mut record = peer.record();
        record.connections += 1;
        record.open += 1;
        Self(peer)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.record().open -= 1;
    }
}

/// What a connection carries, after TLS where that is asked for.
pub(crate) async fn handshake(stream: TcpStream, tls: Option<&TlsAcceptor>) -> io::Result<Box<dyn Stream>> {
    stream.set_nodelay(true)?;
    Ok(match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await??),
    })
}

async fn behave(peer: Arc<Peer>, mut stream: Box<dyn Stream>, how: &How) -> io::Result<()> {
    match how {
        How::Simple(Simple::NoSettings) => {}
        How::Simple(Simple::Garbage) => {
            stream.write_all(GARBAGE).await?;
            stream.shutdown().await?;
        }
        How::Simple(Simple::GoawayFirst) => {
            stream.write_all(GOAWAY).await?;
            stream.shutdown().await?;
        }
        _ => {
            http2(peer, stream).await;
            return Ok(());
        }
    }
    // Until the client goes away: if what it sends were left unread, it would lose what was sent to it.
    io::copy(&mut stream, &mut io::sink()).await.map(drop)
}

async fn http2(peer: Arc<Peer>, stream: Box<dyn Stream>) {
    let end = Arc::new(End::default());
    let service = {
        let end = end.clone();
        service_fn(move |request| exchange::answer(peer.clone(), end.clone(), request))
    };
    let mut connection = pin!(
        http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .serve_connection(TokioIo::new(stream), service)
    );
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = end.goaway.notified() => connection.as_mut().graceful_shutdown(),
            () = end.cut.notified() => return,
        }
    }
}

/// Reads the rest of what a client sends, for a while.
pub(crate) async fn drain(stream: &mut dyn Stream) {
    let mut buffer = vec![0; 1 << 16];
    let drained = async { while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {} };
    let _ = tokio::time::timeout(HANDSHAKE, drained).await;
}
