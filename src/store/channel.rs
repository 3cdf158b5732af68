//! The connection to the store: made when it is needed, kept as long as it is good, and not longer than half an hour,
//! so that a fleet spreads over new replicas of a store.

use super::credential::{Credential, CredentialError};
use crate::backoff::random_fraction;
use crate::disk::small_file::{self, FileError};
use crate::net::deadline::within;
use crate::net::grpc::{Channel, Code, RpcError};
use crate::net::proxy::Proxy;
use crate::net::proxy::tunnel::TunnelError;
use crate::net::stream::{authority, dial_tcp};
use crate::net::tls::{Identity, Oldest, Tls, TlsError, Trust};
use crate::net::{Limits, NetError};
use crate::token::BearerToken;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use smol::Executor;
use smol::lock::Mutex;
use smol::stream::Stream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request};

/// From the look-up of the name to the end of the handshake of TLS.
const DIAL_DEADLINE: Duration = Duration::from_secs(20);
/// For the token, or a file of certificates.
const FILE_DEADLINE: Duration = Duration::from_secs(5);
/// For all that comes before a request.
const READY_DEADLINE: Duration = DIAL_DEADLINE.saturating_add(FILE_DEADLINE);
/// Age of a connection at which another one is made, and by how much of it that may be earlier.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);
const AGE_SPREAD: f64 = 1.0 / 6.0;
/// Bytes of a file with certificates: a bundle of a whole system has a quarter of it.
const MAX_PEM: u64 = 1 << 20;

/// Whom to reach, and how.
#[derive(Debug)]
pub struct Options {
    /// A name, looked up at each connection, or an address.
    pub host: String,
    /// Of TCP.
    pub port: u16,
    /// How it is wrapped; `None` for plaintext.
    pub tls: Option<TlsOptions>,
    /// What leads to it; `None` if it is reached directly.
    pub proxy: Option<Proxy>,
    /// Sent with every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The token.
    pub credential: Credential,
}

/// How a connection is wrapped. Files are read at each connection: certificates are renewed.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Whoever answers is the store.
    pub believe_anyone: bool,
    /// Who may vouch for it; without it, those whom the host trusts.
    pub authorities: Option<PathBuf>,
    /// The agent's own certificates and their key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The oldest version of TLS.
    pub oldest: Oldest,
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no token.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A file of certificates.
    #[error("no certificates or key in {}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: FileError,
    },
    /// What is in these files.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What should lead to it.
    #[error(transparent)]
    Proxy(#[from] TunnelError),
    /// There is no connection.
    #[error(transparent)]
    Unsent(NetError),
    /// The connection, or the answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// The connection, if there is one.
pub struct StoreChannel {
    options: Arc<Options>,
    executor: Arc<Executor<'static>>,
    open: Mutex<Option<Open>>,
    /// Held by who reads files, to its end: what hangs takes one thread and no more.
    reading: Arc<Mutex<()>>,
    file_deadline: Duration,
    ready_deadline: Duration,
    max_age: Duration,
}

struct Open {
    channel: Channel,
    until: Instant,
}

impl StoreChannel {
    /// Connects to nothing yet.
    pub fn new(options: Options, executor: Arc<Executor<'static>>) -> Self {
        Self {
            options: Arc::new(options),
            executor,
            open: Mutex::new(None),
            reading: Arc::default(),
            file_deadline: FILE_DEADLINE,
            ready_deadline: READY_DEADLINE,
            max_age: MAX_AGE,
        }
    }

    /// Whom it leads to.
    pub fn peer(&self) -> String {
        authority(&self.options.host, self.options.port)
    }

    /// The host of the store, as it was given.
    pub fn host(&self) -> &str {
        &self.options.host
    }

    /// How connections are wrapped; `None` for plaintext.
    pub fn tls(&self) -> Option<&TlsOptions> {
        self.options.tls.as_ref()
    }

    /// Whether there is another token than the one that was sent last.
    pub async fn has_new_token(&self) -> bool {
        let options = self.options.clone();
        let changed = self.reading(move || options.credential.has_changed());
        within(self.file_deadline, changed).await.unwrap_or(false)
    }

    /// One message, and its answer.
    pub async fn call<Question, Answer>(
        &self,
        method: &'static str,
        message: Question,
        limits: Limits,
    ) -> Result<Answer, CallError>
    where
        Question: prost::Message + 'static,
        Answer: prost::Message + Default + 'static,
    {
        let (metadata, channel) = self.ready().await?;
        let request = Request::from_parts(metadata, Extensions::new(), message);
        match channel.unary::<Question, Answer>(method, request, limits).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(error) => Err(self.note(error).await),
        }
    }

    /// Messages one after the other, and one in answer: see [`Channel::upload`].
    pub async fn upload<Piece, Answer>(
        &self,
        method: &'static str,
        pieces: impl Stream<Item = Piece> + Send + 'static,
        limits: Limits,
        stall: Duration,
    ) -> Result<Answer, CallError>
    where
        Piece: prost::Message + 'static,
        Answer: prost::Message + Default + 'static,
    {
        let (metadata, channel) = self.ready().await?;
        let request = Request::from_parts(metadata, Extensions::new(), pieces);
        match channel.upload::<Piece, Answer>(method, request, limits, stall).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(error) => Err(self.note(error).await),
        }
    }

    /// Lets go of what an error showed to be of no more use.
    async fn note(&self, error: RpcError) -> CallError {
        let is_unauthenticated = match &error {
            RpcError::NotGrpc { status, .. } => *status == StatusCode::UNAUTHORIZED,
            error => error.code() == Some(Code::Unauthenticated),
        };
        if is_unauthenticated {
            self.options.credential.forget();
        }
        if error.code().is_none() {
            *self.open.lock().await = None;
        }
        error.into()
    }

    /// What a request needs.
    async fn ready(&self) -> Result<(MetadataMap, Channel), CallError> {
        let ready = async { Ok((self.metadata().await?, self.channel().await?)) };
        let late = || Err(RpcError::Net(NetError::late(&self.peer(), self.ready_deadline)).into());
        within(self.ready_deadline, ready).await.unwrap_or_else(late).map_err(|error| match error {
            CallError::Rpc(RpcError::Net(error)) => CallError::Unsent(error),
            error => error,
        })
    }

    /// Has a thread read files.
    async fn reading<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> T {
        let alone = self.reading.lock_arc().await;
        let read = move || {
            let read = read();
            drop(alone);
            read
        };
        smol::unblock(read).await
    }

    async fn token(&self) -> Result<BearerToken, CallError> {
        let options = self.options.clone();
        let Some(path) = self.options.credential.path() else { return Ok(options.credential.token()?) };
        let late = || Err(CredentialError::Late { path: path.to_owned(), deadline: self.file_deadline });
        let read = self.reading(move || options.credential.token());
        Ok(within(self.file_deadline, read).await.unwrap_or_else(late)?)
    }

    async fn pem(&self, path: &Path) -> Result<Vec<u8>, CallError> {
        let (failed, owned) = (|source| CallError::Pem { path: path.to_owned(), source }, path.to_owned());
        let read = self.reading(move || small_file::read(&owned, MAX_PEM));
        let late = || Err(FileError::Late(self.file_deadline));
        within(self.file_deadline, read).await.unwrap_or_else(late).map_err(failed)
    }

    /// Those who may vouch for the store, as PEM; `None` for those whom the host trusts.
    pub(crate) async fn authorities(&self) -> Result<Option<Vec<u8>>, CallError> {
        match self.tls().and_then(|options| options.authorities.as_deref()) {
            Some(path) => self.pem(path).await.map(Some),
            None => Ok(None),
        }
    }

    async fn prepare(&self, options: &TlsOptions) -> Result<Tls, CallError> {
        let authorities = self.authorities().await?;
        let identity = match &options.identity {
            Some((certificates, key)) => Some((self.pem(certificates).await?, self.pem(key).await?)),
            None => None,
        };
        let (believe_anyone, oldest) = (options.believe_anyone, options.oldest);
        // Those whom the host trusts are files, too.
        let tls = self.reading(move || {
            let trust = match &authorities {
                _ if believe_anyone => Trust::Anyone,
                Some(pem) => Trust::Authorities(pem),
                None => Trust::Host,
            };
            let identity = identity.as_ref().map(|(certificates, key)| Identity { certificates, key });
            Tls::new(trust, oldest, identity, &["h2"])
        });
        Ok(tls.await?)
    }

    async fn metadata(&self) -> Result<MetadataMap, CallError> {
        let token = self.token().await?;
        let mut headers = HeaderMap::new();
        headers.extend(self.options.headers.iter().cloned());
        // A token is visible ASCII.
        if let Some(mut value) =
            token.secret().and_then(|secret| HeaderValue::try_from(format!("Bearer {secret}")).ok())
        {
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
        Ok(MetadataMap::from_headers(headers))
    }

    /// The connection in use, or another one. Who else wants one waits for it.
    async fn channel(&self) -> Result<Channel, CallError> {
        let mut open = self.open.lock().await;
        if let Some(open) = open.as_ref().filter(|open| open.channel.is_open() && Instant::now() < open.until)
        {
            return Ok(open.channel.clone());
        }
        *open = None;
        let channel = self.dial().await?;
        let age = self.max_age.mul_f64(1.0 - AGE_SPREAD * random_fraction());
        *open = Some(Open { channel: channel.clone(), until: Instant::now() + age });
        Ok(channel)
    }

    async fn dial(&self) -> Result<Channel, CallError> {
        let Options { host, port, tls, proxy, .. } = &*self.options;
        let tls = match tls {
            Some(options) => Some(self.prepare(options).await?),
            None => None,
        };
        let begun = Instant::now();
        let mut dialed = match proxy {
            Some(proxy) => proxy.dial(host, *port, DIAL_DEADLINE).await?,
            None => dial_tcp(host, *port, DIAL_DEADLINE).await.map_err(RpcError::Net)?,
        };
        if let Some(tls) = &tls {
            // In whole seconds, as it is told and logged.
            let left = Duration::from_secs(DIAL_DEADLINE.saturating_sub(begun.elapsed()).as_secs() + 1);
            dialed = tls.wrap(dialed, host, left.min(DIAL_DEADLINE)).await.map_err(RpcError::Net)?;
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = Uri::builder().scheme(scheme).authority(self.peer()).path_and_query("/").build();
        // A host and a port that were checked make an authority.
        let origin = origin.unwrap_or_else(|_| Uri::from_static("http://store"));
        Ok(Channel::begin(dialed, origin, &self.executor).await.map_err(RpcError::Net)?)
    }
}

impl CallError {
    /// Every reason.
    pub const REASONS: [&str; 7] = ["broken", "connect", "late", "proxy", "refused", "tls", "token"];

    /// In metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Credential(_) => "token",
            Self::Pem { .. } | Self::Tls(_) => "tls",
            Self::Unsent(NetError::Tls { .. }) | Self::Rpc(RpcError::Net(NetError::Tls { .. })) => "tls",
            Self::Proxy(_) => "proxy",
            Self::Unsent(NetError::Late { .. }) | Self::Rpc(RpcError::Net(NetError::Late { .. })) => "late",
            Self::Unsent(NetError::Connect { .. }) | Self::Rpc(RpcError::Net(NetError::Connect { .. })) => {
                "connect"
            }
            Self::Unsent(_) => "broken",
            Self::Rpc(RpcError::NotGrpc { status, .. }) if status.is_client_error() => "refused",
            Self::Rpc(
                RpcError::Net(_)
                | RpcError::Broken { .. }
                | RpcError::NotGrpc { .. }
                | RpcError::Malformed { .. },
            ) => "broken",
            Self::Rpc(RpcError::Refused { .. }) => "refused",
        }
    }
}

#[cfg(test)]
mod tests;
