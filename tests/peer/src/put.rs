//! What signed URLs lead to: HTTP/1.1 that knows PUT alone.

use crate::connection::{self, Stream};
use crate::order::Put;
use crate::peer::Peer;
use crate::upload::Sink;
use std::collections::BTreeMap;
use std::future;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The most that the head of a request may take, in bytes.
const HEAD_LIMIT: usize = 64 << 10;

/// How often an interim answer is sent.
const INTERIM: Duration = Duration::from_millis(1);

/// Serves for as long as the runtime is there.
pub(crate) async fn serve(listener: TcpListener, peer: Arc<Peer>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let peer = peer.clone();
            // That a client goes away is no failure of a server.
            tokio::spawn(async move {
                let _ = exchange(&peer, stream).await;
            });
        }
    }
}

async fn exchange(peer: &Peer, stream: TcpStream) -> io::Result<()> {
    let mut stream = connection::handshake(stream, peer.put_tls.as_ref()).await?;
    let Some(head) = Head::read(&mut *stream).await? else { return Ok(()) };
    let status = answer(peer, &mut *stream, &head).await?;
    let text = match status {
        Status::Code(code) => format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Status::Redirect(url) => {
            format!("HTTP/1.1 307 X\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
    };
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    connection::drain(&mut *stream).await;
    Ok(())
}

enum Status {
    Code(u16),
    Redirect(String),
}

async fn answer(peer: &Peer, stream: &mut dyn Stream, head: &Head) -> io::Result<Status> {
    let violation = |text: String| peer.record().violation(format!("PUT: {text}"));
    if head.method != "PUT" {
        violation(format!("method {}", head.method));
        return Ok(Status::Code(405));
    }
    if head.headers.contains_key("authorization") {
        violation("a token where none belongs".to_owned());
    }
    let length = head.headers.get("content-length").and_then(|length| length.parse::<u64>().ok());
    let Some(length) = length else {
        violation("no Content-Length".to_owned());
        return Ok(Status::Code(411));
    };
    let upload_id = head.target.trim_start_matches('/').split('?').next().unwrap_or_default();
    if !peer.record().uploads.iter().any(|upload| upload.upload_id == upload_id) {
        violation(format!("{upload_id:?} was not announced"));
        return Ok(Status::Code(404));
    }
    let order = peer.orders().uploads().put;
    match order {
        Put::Redirect(url) => return Ok(Status::Redirect(url)),
        Put::Continue => loop {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            stream.flush().await?;
            tokio::time::sleep(INTERIM).await;
        },
        Put::Ok | Put::Status(_) | Put::Hang => {}
    }
    if head.headers.get("expect").is_some_and(|expected| expected == "100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        stream.flush().await?;
    }
    let mut sink = Sink::create(peer, upload_id)?;
    let mut body = head.rest.as_slice().chain(stream).take(length);
    let mut buffer = vec![0; 1 << 16];
    let mut left = length;
    while left > 0 {
        let read = body.read(&mut buffer).await?;
        if read == 0 {
            violation(format!("{left} bytes less than Content-Length"));
            return Ok(Status::Code(400));
        }
        left -= read as u64;
        sink.write(&buffer[..read])?;
    }
    match order {
        Put::Status(code) => return Ok(Status::Code(code)),
        Put::Hang => future::pending().await,
        _ => {}
    }
    sink.finish("put");
    Ok(Status::Code(200))
}

/// A request up to its body.
struct Head {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    /// What came of the body with it.
    rest: Vec<u8>,
}

impl Head {
    /// Nothing if the client said nothing, or nothing that is HTTP.
    async fn read(stream: &mut dyn Stream) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if bytes.len() > HEAD_LIMIT || stream.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        };
        let rest = bytes.split_off(end + 4);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines = text.lines();
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Ok(Some(Self { method, target, headers: headers.collect(), rest }))
    }
}
