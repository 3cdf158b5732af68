//! A store without TLS.

use anyhow::Context;
use parca_agent::store::channel::{self, StoreChannel};
use parca_agent::store::credential::Credential;
use parca_agent::token::BearerToken;
use smol::Executor;
use std::sync::Arc;

/// A connection to `host:port`, made when it is first needed.
pub(crate) fn channel_to(store: &str, executor: Arc<Executor<'static>>) -> anyhow::Result<StoreChannel> {
    let (host, port) = store.rsplit_once(':').context("no port")?;
    let options = channel::Options {
        host: host.to_owned(),
        port: port.parse()?,
        tls: None,
        proxy: None,
        headers: Vec::new(),
        credential: Credential::Fixed(BearerToken::default()),
    };
    Ok(StoreChannel::new(options, executor))
}
