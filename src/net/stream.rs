//! Byte streams to a peer.

use super::NetError;
use rustix::net::sockopt;
use smol::Timer;
use smol::future::FutureExt;
use smol::io::{AsyncRead, AsyncWrite};
use std::io;
use std::path::Path;
use std::time::Duration;

/// A connected stream of any kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connected stream of any kind, and whom it leads to.
pub struct Dialed {
    /// An address or a path, for errors.
    pub peer: String,
    /// The stream.
    pub stream: Box<dyn Stream>,
}

/// Connects to a Unix socket.
pub async fn dial_unix(path: &Path, deadline: Duration) -> Result<Dialed, NetError> {
    let peer = path.display().to_string();
    let connect = async { async_net::unix::UnixStream::connect(path).await };
    let stream = within(deadline, connect).await.map_err(|error| failed(&peer, deadline, error))?;
    Ok(Dialed { peer, stream: Box::new(stream) })
}

/// Connects to a host by name or address. All of its addresses are tried.
pub async fn dial_tcp(host: &str, port: u16, deadline: Duration) -> Result<Dialed, NetError> {
    let peer = format!("{host}:{port}");
    let connect = async { async_net::TcpStream::connect((host, port)).await };
    let stream = within(deadline, connect).await.map_err(|error| failed(&peer, deadline, error))?;
    // A kernel that refuses leaves it to the deadlines to find out that the peer is gone.
    let _ = keep_alive(&stream);
    Ok(Dialed { peer, stream: Box::new(stream) })
}

/// Has the kernel ask a silent peer whether it is still there: one that is gone without a word is told from one
/// that has nothing to say within a minute.
fn keep_alive(stream: &async_net::TcpStream) -> rustix::io::Result<()> {
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    sockopt::set_socket_keepalive(stream, true)
}

/// A result, or [`io::ErrorKind::TimedOut`] after the deadline.
pub async fn within<T>(deadline: Duration, result: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = async {
        Timer::after(deadline).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    result.or(late).await
}

fn failed(peer: &str, deadline: Duration, source: io::Error) -> NetError {
    let peer = peer.to_owned();
    match source.kind() {
        io::ErrorKind::TimedOut => NetError::Late { peer, deadline },
        _ => NetError::Connect { peer, source },
    }
}
