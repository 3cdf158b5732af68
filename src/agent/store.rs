//! The store, if there is one: from its settings to the threads that bring profiles to it.

use super::sinks::Surroundings;
use crate::config::header::Header;
use crate::config::store::ConnectionConfig;
use crate::config::store_address::Peer;
use crate::config::tls_version::TlsVersion;
use crate::net::proxy::{Proxies, Proxy, ProxyError};
use crate::net::tls::Oldest;
use crate::store::channel::{self, StoreChannel, TlsOptions};
use crate::store::credential::Credential;
use crate::store::delivery::{self, Delivery};
use crate::store::spool::Spool;
use anyhow::Context;
use smol::Executor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// For how long the agent, told to stop, goes on to send what waits.
const LAST_SENDING: Duration = Duration::from_secs(3);

/// Starts to deliver what is published. The store need not be there.
pub(super) fn start(around: &Surroundings<'_>) -> anyhow::Result<Option<Arc<Delivery>>> {
    let Surroundings { config, executor, windows, registry, thread_labels, .. } = *around;
    let Some(peer) = config.store.address.get() else { return Ok(None) };
    let connection = &config.store.connection;
    if connection.insecure_skip_verify && !connection.insecure {
        log::warn!(store:% = peer; "whoever answers is taken for the store: --insecure-skip-verify");
    }
    let proxies = proxies();
    if let Some(proxy) = proxy(peer, connection, &proxies)? {
        log::info!(store:% = peer, proxy:% = proxy; "the store is reached through a proxy");
    }
    let spool = match config.store.spool_directory.get() {
        Some(directory) => {
            Some(Spool::open(directory, config.store.spool_size.bytes()).with_context(|| {
                format!("profiles cannot be kept for the store in {}", directory.display())
            })?)
        }
        None => None,
    };
    let options = delivery::Options {
        queue_bytes: config.store.queue_size.bytes(),
        spool,
        interval: config.store.batch_interval.get(),
        thread_labels: thread_labels.clone(),
        channel: channel(peer, connection, &proxies, executor)?,
        last_sending: LAST_SENDING,
    };
    let delivery = Arc::new(Delivery::start(options).context("failed to start a thread for the store")?);
    let sink = delivery.clone();
    windows.add_sink(Box::new(move |window| sink.take(window)));
    let shown = delivery.clone();
    registry.register(move |exposition| shown.collect(exposition));
    log::info!(store:% = peer, tls = !connection.insecure; "sending profiles");
    Ok(Some(delivery))
}

/// A connection to the store, made when it is first needed.
pub(super) fn channel(
    peer: &Peer,
    connection: &ConnectionConfig,
    proxies: &Proxies,
    executor: &Arc<Executor<'static>>,
) -> Result<StoreChannel, ProxyError> {
    let header = |header: &Header| (header.name().clone(), header.value().clone());
    let options = channel::Options {
        host: peer.host.clone(),
        port: peer.port,
        tls: (!connection.insecure).then(|| tls(connection)),
        proxy: proxy(peer, connection, proxies)?,
        headers: connection.headers.iter().map(header).collect(),
        credential: match connection.token_file.get() {
            Some(path) => Credential::file(path),
            None => Credential::Fixed(connection.token.clone()),
        },
    };
    Ok(StoreChannel::new(options, executor.clone()))
}

/// The proxies of the environment at the start: a process has no other.
pub(super) fn proxies() -> Proxies {
    Proxies::read(|name| std::env::var_os(name))
}

fn proxy(peer: &Peer, connection: &ConnectionConfig, proxies: &Proxies) -> Result<Option<Proxy>, ProxyError> {
    proxies.choose(&peer.host, peer.port, !connection.insecure)
}

fn tls(connection: &ConnectionConfig) -> TlsOptions {
    let owned = |path: Option<&Path>| path.map(Path::to_owned);
    TlsOptions {
        believe_anyone: connection.insecure_skip_verify,
        authorities: owned(connection.ca_file.get()),
        identity: owned(connection.client_certificate.get()).zip(owned(connection.client_key.get())),
        oldest: match connection.tls_min_version {
            TlsVersion::V12 => Oldest::V12,
            TlsVersion::V13 => Oldest::V13,
        },
    }
}
