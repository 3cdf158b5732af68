//! An API server as it looks on the wire: HTTP/1.1, plain or over TLS, each answer as the test says.

use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::server::WebPkiClientVerifier;
use futures_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    List,
    Watch,
    Node,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    /// How many of its kind came before.
    pub(crate) nth: usize,
    /// Path and query.
    pub(crate) target: String,
    /// The value of `Authorization`, or nothing.
    pub(crate) authorization: String,
    /// Whether the client showed a certificate.
    pub(crate) has_certificate: bool,
    pub(crate) at: Instant,
    /// Which connection it came over.
    pub(crate) connection: usize,
}

impl Request {
    /// A parameter of the query, decoded as far as tests need it.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.replace("%3D", "=").replace("%2C", ",").replace('+', " "))
    }
}

/// A part of a stream.
pub(crate) enum Piece {
    /// A line, in a chunk of its own.
    Line(String),
    /// Bytes without a line feed, in a chunk of their own.
    Bytes(Vec<u8>),
    /// Nothing for so long.
    Pause(Duration),
    /// The end of the connection in the middle of the answer.
    Cut,
}

/// What the server says.
pub(crate) enum Answer {
    /// Status, further header lines, body.
    Whole(u16, &'static str, String),
    /// Bytes as they are, and the end of the connection.
    Raw(Vec<u8>),
    /// Status, and chunks as they come from elsewhere, until that ends.
    Stream(u16, Receiver<Piece>),
    /// Not a byte.
    Silence,
}

impl Answer {
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::Whole(200, "", value.to_string())
    }

    /// A failure as the API server tells it.
    pub(crate) fn status(code: u16, message: &str) -> Self {
        let status = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": "Test", "code": code,
        });
        Self::Whole(code, "", status.to_string())
    }

    /// A stream of these lines, which then ends as it should.
    pub(crate) fn lines<T: ToString>(lines: impl IntoIterator<Item = T>) -> Self {
        Self::pieces(lines.into_iter().map(|line| Piece::Line(line.to_string())))
    }

    pub(crate) fn pieces(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let (sender, receiver) = channel();
        pieces.into_iter().for_each(|piece| sender.send(piece).unwrap());
        Self::Stream(200, receiver)
    }

    /// A stream in which nothing happens until the client goes away.
    pub(crate) fn quiet() -> Self {
        Self::live().1
    }

    /// The same stream with another status.
    pub(crate) fn with_status(self, status: u16) -> Self {
        match self {
            Self::Stream(_, pieces) => Self::Stream(status, pieces),
            other => other,
        }
    }

    /// A stream, and what to put into it.
    pub(crate) fn live() -> (Sender<Piece>, Self) {
        let (sender, receiver) = channel();
        FEEDS.lock().unwrap().push(sender.clone());
        (sender, Self::Stream(200, receiver))
    }
}

/// Streams that must not end by themselves.
static FEEDS: Mutex<Vec<Sender<Piece>>> = Mutex::new(Vec::new());

/// The certificates of the tests.
pub(crate) fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/certificates").join(name)
}

type Script = dyn Fn(&Request) -> Answer + Send + Sync;

/// A server, for as long as the test process lives.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), None, script)
    }

    /// The same, over TLS. A client may show a certificate.
    pub(crate) fn start_tls(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate("ca.pem")).unwrap()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_file(certificate("server.pem")).unwrap()],
                PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap(),
            )
            .unwrap();
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), Some(Arc::new(config)), script)
    }

    pub(crate) fn listen(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let server = Self { port: listener.local_addr().unwrap().port(), requests: Arc::default() };
        let (requests, script): (_, Arc<Script>) = (server.requests.clone(), Arc::new(script));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (requests, script, tls) = (requests.clone(), script.clone(), tls.clone());
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    stream.set_nodelay(true).unwrap();
                    // A client that goes away is part of the tests.
                    let _ = match tls {
                        None => serve(stream, connection, |_| false, &requests, &*script),
                        Some(config) => {
                            let session = ServerConnection::new(config).unwrap();
                            let has_certificate = |stream: &StreamOwned<ServerConnection, TcpStream>| {
                                stream.conn.peer_certificates().is_some()
                            };
                            serve(
                                StreamOwned::new(session, stream),
                                connection,
                                has_certificate,
                                &requests,
                                &*script,
                            )
                        }
                    };
                });
            }
        });
        server
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn of_kind(&self, kind: Kind) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.kind == kind).collect()
    }

    /// How many lists, watches and requests for the node there were.
    pub(crate) fn counts(&self) -> [usize; 3] {
        [Kind::List, Kind::Watch, Kind::Node].map(|kind| self.of_kind(kind).len())
    }
}

fn serve<S: Read + Write>(
    stream: S,
    connection: usize,
    has_certificate: impl Fn(&S) -> bool,
    requests: &Mutex<Vec<Request>>,
    script: &Script,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let target = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let kind = match () {
            () if target.contains("/nodes/") => Kind::Node,
            () if target.contains("watch=true") => Kind::Watch,
            () => Kind::List,
        };
        let header = |name: &str| {
            let of_line = |line: &String| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            };
            head.iter().find_map(of_line).unwrap_or_default()
        };
        assert_eq!(header("accept"), "application/json");
        assert!(header("user-agent").starts_with("parca-agent/") && !header("host").is_empty());
        let request = {
            let mut requests = requests.lock().unwrap();
            let request = Request {
                kind,
                nth: requests.iter().filter(|before| before.kind == kind).count(),
                target,
                authorization: header("authorization"),
                has_certificate: has_certificate(stream.get_ref()),
                at: Instant::now(),
                connection,
            };
            requests.push(request.clone());
            request
        };
        if !answer(stream.get_mut(), script(&request))? {
            return Ok(());
        }
    }
}

/// Whether the connection goes on.
fn answer(stream: &mut (impl Read + Write), answer: Answer) -> io::Result<bool> {
    match answer {
        Answer::Whole(status, headers, body) => {
            write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
                body.len()
            )?;
            stream.write_all(body.as_bytes())?;
            stream.flush()?;
            Ok(true)
        }
        Answer::Raw(bytes) => {
            stream.write_all(&bytes)?;
            stream.flush()?;
            Ok(false)
        }
        Answer::Silence => {
            // Until the client goes away.
            let _ = stream.read(&mut [0]);
            Ok(false)
        }
        Answer::Stream(status, pieces) => {
            write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )?;
            stream.flush()?;
            for piece in pieces {
                let bytes = match piece {
                    Piece::Line(line) => (line + "\n").into_bytes(),
                    Piece::Bytes(bytes) => bytes,
                    Piece::Pause(duration) => {
                        thread::sleep(duration);
                        continue;
                    }
                    Piece::Cut => return Ok(false),
                };
                write!(stream, "{:x}\r\n", bytes.len())?;
                stream.write_all(&bytes)?;
                stream.write_all(b"\r\n")?;
                stream.flush()?;
            }
            stream.write_all(b"0\r\n\r\n")?;
            stream.flush()?;
            Ok(true)
        }
    }
}
