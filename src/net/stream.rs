//! Byte streams to a peer.

use super::NetError;
use super::deadline::within;
use rustix::net::sockopt;
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
    let stream = connected(&peer, deadline, async_net::unix::UnixStream::connect(path)).await?;
    Ok(Dialed { peer, stream: Box::new(stream) })
}

/// Connects to a host by name or address. All of its addresses are tried.
pub async fn dial_tcp(host: &str, port: u16, deadline: Duration) -> Result<Dialed, NetError> {
    let peer = authority(host, port);
    let stream = connected(&peer, deadline, async_net::TcpStream::connect((host, port))).await?;
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

/// Host and port, as URLs have them.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn connected<T>(
    peer: &str,
    deadline: Duration,
    connect: impl Future<Output = io::Result<T>>,
) -> Result<T, NetError> {
    match within(deadline, connect).await {
        None => Err(NetError::late(peer, deadline)),
        Some(result) => result.map_err(|source| NetError::Connect { peer: peer.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::{connected, dial_tcp};
    use crate::net::NetError;
    use std::future::{pending, ready};
    use std::io;
    use std::time::Duration;

    #[test]
    fn only_a_deadline_that_is_over_is_one() {
        let kernel = ready(Err::<(), _>(io::Error::from_raw_os_error(libc::ETIMEDOUT)));
        let error = smol::block_on(connected("a", Duration::from_secs(20), kernel)).unwrap_err();
        assert!(matches!(error, NetError::Connect { .. }), "{error}: the kernel gave up, and may have soon");
        let error = smol::block_on(connected::<()>("a", Duration::from_millis(1), pending())).unwrap_err();
        assert!(matches!(error, NetError::Late { .. }), "{error}");
    }

    #[test]
    fn a_peer_is_named_as_in_a_url() {
        for (host, expected) in
            [("::1", "failed to connect to [::1]:0"), ("127.0.0.1", "failed to connect to 127.0.0.1:0")]
        {
            // Nobody listens at port 0.
            let error = smol::block_on(dial_tcp(host, 0, Duration::from_secs(20))).err().unwrap();
            assert_eq!(error.to_string(), expected);
        }
    }
}
