//! A file to where a store says, by HTTP's PUT: to a place of a cloud's storage, which knows neither the agent nor its
//! token. The URL comes from the store and may lead anywhere, so what it may lead to is bounded ([`address`]).

pub mod address;
mod resolver;
pub(super) mod route;
pub mod url;

use super::failure::Remedy;
use super::pieces::{Reader, Stop};
use super::rate::Rate;
use crate::debuginfo::reader::ReadError;
use crate::net::proxy::{Proxy, ProxyError};
use crate::net::tls::{self, TlsError};
use crate::store::channel::CallError;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use resolver::{CheckingResolver, Forbidden};
use route::Route;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, ProxyProtocol, SendBody};
use url::{SignedUrl, UrlError};

/// Bytes of the head of an answer.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// Bytes of the body of an answer that are looked at.
const MAX_ERROR_BYTES: u64 = 4 << 10;
/// Longest word that says what was wrong. The longest of the large clouds has forty.
const MAX_CODE: usize = 64;
/// Longest sleep of a thread that may be told to stop.
const DOZE: Duration = Duration::from_millis(100);

/// Why a file was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Where it leads.
    #[error("the signed URL leads to {host}, and {address} is not an address for that")]
    Forbidden {
        /// The host in the URL.
        host: String,
        /// Its address.
        address: std::net::IpAddr,
    },
    /// Where it might lead from a proxy.
    #[error("the signed URL leads to {host}, which is the name of no host")]
    Name {
        /// The host in the URL.
        host: String,
    },
    /// The environment names no proxy.
    #[error(transparent)]
    Environment(#[from] ProxyError),
    /// What should lead to it.
    #[error("no way to {to} through the proxy {proxy}: {why}")]
    Proxy {
        /// Scheme and host.
        to: String,
        /// Host and port.
        proxy: String,
        /// Why.
        why: String,
    },
    /// Where it leads to from there.
    #[error("{to} answers with a redirection, which is not followed")]
    Redirect {
        /// Scheme and host.
        to: String,
    },
    /// The file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The certificates that may vouch for the host.
    #[error("no authorities for {to}")]
    Authorities {
        /// Scheme and host.
        to: String,
        /// Why.
        #[source]
        source: Box<CallError>,
    },
    /// It took too long.
    #[error("no answer from {to} in time ({timeout})")]
    Late {
        /// Scheme and host.
        to: String,
        /// Which of the time limits.
        timeout: ureq::Timeout,
    },
    /// The host cannot be found or reached.
    #[error("failed to connect to {to}: {why}")]
    Connect {
        /// Scheme and host.
        to: String,
        /// Why, without the URL.
        why: &'static str,
    },
    /// It is not whom it should be.
    #[error("failed to agree on TLS with {to}: {why}")]
    Tls {
        /// Scheme and host.
        to: String,
        /// Why.
        why: String,
    },
    /// It broke off, or speaks something else.
    #[error("{to} broke off: {why}")]
    Broken {
        /// Scheme and host.
        to: String,
        /// Why, without the URL.
        why: String,
    },
    /// It does not take the file.
    #[error("{to} answers {status}{code}")]
    Status {
        /// Scheme and host.
        to: String,
        /// What it answers.
        status: StatusCode,
        /// The word for it, after a blank, if it has one.
        code: String,
    },
}

impl PutError {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Url(_) | Self::Forbidden { .. } | Self::Name { .. } | Self::Redirect { .. } => {
                Remedy::Never
            }
            Self::Read(_) => Remedy::LookAgain,
            Self::Status { status, .. } => match status.as_u16() {
                // The URL has expired, or its host has too much to do: another URL may do.
                401 | 403 | 408 | 429 | 500.. => Remedy::Retry,
                413 => Remedy::Never,
                _ => Remedy::RetryFew,
            },
            Self::Environment(_)
            | Self::Proxy { .. }
            | Self::Authorities { .. }
            | Self::Late { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Broken { .. } => Remedy::Retry,
        }
    }

    /// In metrics: one of [`super::failure::Failure::REASONS`].
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::Forbidden { .. } | Self::Name { .. } | Self::Redirect { .. } => {
                "forbidden_url"
            }
            Self::Environment(_) | Self::Proxy { .. } => "proxy",
            Self::Read(ReadError::Changed) => "file_changed",
            Self::Read(ReadError::Unreadable(_)) => "file_unreadable",
            Self::Authorities { .. } | Self::Tls { .. } => "tls",
            Self::Late { .. } => "late",
            Self::Connect { .. } => "connect",
            Self::Broken { .. } => "broken",
            Self::Status { .. } => "status",
        }
    }
}

/// How long the parts of a request may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// All of it.
    pub(super) whole: Duration,
    /// From a TCP connection's begin to TLS's.
    pub(super) connect: Duration,
    /// Without a byte going or coming, and for an answer once all was sent.
    pub(super) stall: Duration,
}

/// One file on its way.
pub(super) struct Put {
    pub(super) url: SignedUrl,
    pub(super) route: Route,
    pub(super) reader: Reader,
    /// Bytes of the file.
    pub(super) size: u64,
    pub(super) limits: Limits,
    pub(super) rate: Arc<Rate>,
    pub(super) stop: Stop,
}

impl Put {
    /// Sends it, on a thread that may wait.
    pub(super) fn run(self) -> Result<(), PutError> {
        let Self { url, route, reader, size, limits, rate, stop } = self;
        let agent = agent(&url, &route, limits)?;
        let mut body = Body { reader, rate, stop, failed: None };
        let request = agent.put(url.secret().clone()).header(CONTENT_LENGTH, size);
        let sent = request.send(SendBody::from_reader(&mut body));
        if let Some(error) = body.failed {
            return Err(error.into());
        }
        let mut response = sent.map_err(|error| translate(error, &url, route.proxy.as_ref()))?;
        let (status, to) = (response.status(), url.to_string());
        if status.is_success() {
            return Ok(());
        }
        if status.is_redirection() {
            return Err(PutError::Redirect { to });
        }
        let mut text = Vec::new();
        // What is cut off or does not come has no word in it.
        let _ = response.body_mut().as_reader().take(MAX_ERROR_BYTES).read_to_end(&mut text);
        let code = word(&String::from_utf8_lossy(&text)).map_or_else(String::new, |word| format!(" {word}"));
        Err(PutError::Status { to, status, code })
    }
}

/// A client for one request: the names, certificates and rules may be others for the next.
fn agent(url: &SignedUrl, route: &Route, limits: Limits) -> Result<Agent, PutError> {
    let failed = |error: TlsError| PutError::Authorities {
        to: url.to_string(),
        source: Box::new(CallError::Tls(error)),
    };
    let mut trusted = tls::host_certificates();
    if let Some(pem) = &route.authorities {
        trusted.extend(tls::certificates(pem).map_err(failed)?);
    }
    let trusted: Vec<_> =
        trusted.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    let roots = if trusted.is_empty() { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(trusted)) };
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .disable_verification(route.believe_anyone)
        .unversioned_rustls_crypto_provider(tls::provider())
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .proxy(route.proxy.as_ref().map(|proxy| through(proxy, url)).transpose()?)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .max_response_header_size(MAX_HEADER_BYTES)
        .max_idle_connections(0)
        .timeout_global(Some(limits.whole))
        .timeout_connect(Some(limits.connect))
        .timeout_per_read(Some(limits.stall))
        .timeout_per_write(Some(limits.stall))
        // However many interim answers come.
        .timeout_recv_response(Some(limits.stall))
        .timeout_recv_body(Some(limits.stall))
        .build();
    let resolver = CheckingResolver(route.allowed.clone());
    Ok(Agent::with_parts(config, DefaultConnector::new(), resolver))
}

/// A proxy as ureq knows it.
fn through(proxy: &Proxy, url: &SignedUrl) -> Result<ureq::Proxy, PutError> {
    let failed =
        |why: &str| PutError::Proxy { to: url.to_string(), proxy: proxy.to_string(), why: why.to_owned() };
    let host = if proxy.host.contains(':') { format!("[{}]", proxy.host) } else { proxy.host.clone() };
    let mut builder = ureq::Proxy::builder(ProxyProtocol::Http).host(&host).port(proxy.port);
    if proxy.has_user() {
        let (user, password) = proxy.user().ok_or_else(|| failed("its user or password is no text"))?;
        builder = builder.username(&user).password(&password);
    }
    builder.build().map_err(|_| failed("it has no URL"))
}

/// What ureq says, without what it says of the URL.
fn translate(error: ureq::Error, url: &SignedUrl, proxy: Option<&Proxy>) -> PutError {
    let to = url.to_string();
    if let Some(proxy) = proxy {
        // Only the proxy is looked up and connected to from here.
        let why = match &error {
            ureq::Error::ConnectProxyFailed(why) => Some(why.as_str()),
            ureq::Error::HostNotFound => Some("it has no address"),
            ureq::Error::ConnectionFailed => Some("no address of it answers"),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Some("connection refused")
            }
            _ => None,
        };
        if let Some(why) = why {
            return PutError::Proxy { to, proxy: proxy.to_string(), why: why.to_owned() };
        }
    }
    match error {
        ureq::Error::Other(inside) => match inside.downcast_ref() {
            Some(Forbidden(address)) => {
                PutError::Forbidden { host: url.host().to_owned(), address: address.ip() }
            }
            None => PutError::Broken { to, why: "no connection".to_owned() },
        },
        ureq::Error::Timeout(timeout) => PutError::Late { to, timeout },
        ureq::Error::HostNotFound => PutError::Connect { to, why: "the host has no address" },
        ureq::Error::ConnectionFailed => PutError::Connect { to, why: "no address answers" },
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            PutError::Connect { to, why: "connection refused" }
        }
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            PutError::Tls { to, why: error.to_string() }
        }
        ureq::Error::Io(error) => PutError::Broken { to, why: error.to_string() },
        ureq::Error::Rustls(error) => PutError::Tls { to, why: error.to_string() },
        ureq::Error::Tls(why) => PutError::Tls { to, why: why.to_owned() },
        ureq::Error::LargeResponseHeader(..) => {
            PutError::Broken { to, why: format!("a head of over {MAX_HEADER_BYTES} bytes") }
        }
        ureq::Error::Protocol(error) => PutError::Broken { to, why: error.to_string() },
        // None of the others comes of a request like this, and some of them show the URL.
        _ => PutError::Broken { to, why: "no answer as HTTP demands".to_owned() },
    }
}

/// The word for an error that the storage of the large clouds has: `<Code>AccessDenied</Code>`. Nothing else is taken,
/// since they repeat parts of the URL.
fn word(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (word, _) = rest.split_once("</Code>")?;
    let is_word =
        (1..=MAX_CODE).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then_some(word)
}

/// The bytes, no faster than all uploads together may be.
struct Body {
    reader: Reader,
    rate: Arc<Rate>,
    stop: Stop,
    /// Why there are no more.
    failed: Option<ReadError>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer).inspect_err(|error| {
            self.failed = error.get_ref().and_then(|inside| inside.downcast_ref()).copied();
        })?;
        let until = Instant::now() + self.rate.take(count as u64);
        loop {
            if self.stop.is_set() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(count);
            }
            std::thread::sleep(left.min(DOZE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn only_a_word_is_taken_from_an_answer() {
        let s3 = "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><StringToSign>secret";
        for (text, expected) in [
            (s3, Some("SignatureDoesNotMatch")),
            ("<Code></Code>", None),
            ("<Code>https://bucket/key?signature=s</Code>", None),
            ("<Code>a\nlevel=error</Code>", None),
            (&format!("<Code>{}</Code>", "x".repeat(65)), None),
            ("<Code>Cut", None),
            ("", None),
        ] {
            assert_eq!(word(text), expected, "{text}");
        }
    }
}
