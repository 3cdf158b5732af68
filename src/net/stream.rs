//! Byte streams to a peer.

use super::NetError;
use super::deadline::within;
use async_net::TcpStream;
use rustix::net::sockopt;
use smol::Timer;
use smol::channel::bounded;
use smol::future::{FutureExt, pending};
use smol::io::{AsyncRead, AsyncWrite};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

/// Time until the next address of a host is tried beside those before.
const STAGGER: Duration = Duration::from_millis(250);

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

/// Connects to a host by name or address. The name is looked up each time, and all of its addresses are tried.
pub async fn dial_tcp(host: &str, port: u16, deadline: Duration) -> Result<Dialed, NetError> {
    let peer = authority(host, port);
    let connect = async { connect_any(&async_net::resolve((host, port)).await?).await };
    let stream = connected(&peer, deadline, connect).await?;
    // A kernel that refuses leaves it to the deadlines to find out that the peer is gone.
    let _ = keep_alive(&stream);
    Ok(Dialed { peer, stream: Box::new(stream) })
}

/// Connects to the first address that answers. An attempt that has no answer within a quarter of a second does not
/// keep the next one from being tried beside it (RFC 8305, in small). Tells the error of the last one.
fn connect_any(addresses: &[SocketAddr]) -> Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + '_>> {
    Box::pin(async move {
        let (first, rest) = addresses.split_first().ok_or(io::ErrorKind::AddrNotAvailable)?;
        if rest.is_empty() {
            return TcpStream::connect(first).await;
        }
        let (fail, failed) = bounded(1);
        let first = async {
            match TcpStream::connect(first).await {
                Ok(stream) => Ok(stream),
                Err(_) => {
                    let _ = fail.send(()).await;
                    pending().await
                }
            }
        };
        let rest = async {
            let at_once = async { failed.recv().await.is_ok() };
            let later = async {
                Timer::after(STAGGER).await;
                false
            };
            let has_failed = at_once.or(later).await;
            let result = connect_any(rest).await;
            if result.is_err() && !has_failed {
                // The first may still get through.
                let _ = failed.recv().await;
            }
            result
        };
        first.or(rest).await
    })
}

/// Has the kernel ask a silent peer whether it is still there: one that is gone without a word is told from one
/// that has nothing to say within a minute.
fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    // What was sent and is not acknowledged for so long ends the connection.
    sockopt::set_tcp_user_timeout(stream, 30_000)?;
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

    #[test]
    fn an_address_that_refuses_does_not_keep_from_the_next() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for addresses in [vec![closed, open], vec![open, closed], vec![closed, closed, open]] {
            let stream = smol::block_on(super::connect_any(&addresses)).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), open);
        }
        let error = smol::block_on(super::connect_any(&[closed, closed])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(smol::block_on(super::connect_any(&[])).is_err());
    }
}
