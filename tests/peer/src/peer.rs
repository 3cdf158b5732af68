//! What all parts of the server share.

use crate::flags::Flags;
use crate::order::Orders;
use crate::record::Record;
use crate::tls;
use anyhow::{Result, bail};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// The server's state.
pub struct Peer {
    record: Mutex<Record>,
    orders: Mutex<Orders>,
    token: Mutex<Option<String>>,
    /// Changes when all connections have to end.
    pub(crate) cuts: watch::Sender<u64>,
    pub(crate) tls: Option<TlsAcceptor>,
    /// For signed URLs.
    pub(crate) put_tls: Option<TlsAcceptor>,
    pub(crate) put_address: SocketAddr,
    pub(crate) directory: Option<PathBuf>,
}

impl Peer {
    /// A server whose signed URLs lead to `put_address`.
    pub fn new(flags: &Flags, put_address: SocketAddr) -> Result<Self> {
        let (tls, put_tls) = match (&flags.tls_cert, &flags.tls_key) {
            (Some(chain), Some(key)) => {
                let authority = flags.client_ca.as_deref();
                let grpc = tls::acceptor(chain, key, authority, b"h2")?;
                // Whoever has a signed URL needs nothing else.
                (Some(grpc), Some(tls::acceptor(chain, key, None, b"http/1.1")?))
            }
            (None, None) if flags.client_ca.is_none() => (None, None),
            _ => bail!("--tls-cert, --tls-key and --client-ca go together"),
        };
        Ok(Self {
            record: Mutex::default(),
            orders: Mutex::default(),
            token: Mutex::new(flags.token.clone()),
            cuts: watch::Sender::new(0),
            tls,
            put_tls,
            put_address,
            directory: flags.directory.clone(),
        })
    }

    /// What came.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to do.
    pub fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token to ask for, if any.
    pub fn token(&self) -> MutexGuard<'_, Option<String>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.cuts.send_modify(|number| *number += 1);
    }

    /// Where a client may PUT an upload.
    pub(crate) fn signed_url(&self, upload_id: &str) -> String {
        let scheme = if self.put_tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/{upload_id}?signature=none", self.put_address)
    }
}
