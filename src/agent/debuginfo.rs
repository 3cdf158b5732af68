//! Debug information for the store, if it is to have any.

use super::sinks::Surroundings;
use super::store::{channel, proxies};
use crate::config::Config;
use crate::config::store_address::Peer;
use crate::debuginfo::dispatch::{Dispatch, Options};
use crate::debuginfo::find::Finder;
use crate::debuginfo::selection::Selection;
use crate::debuginfo::upload::{Patience, Uploader};
use crate::object::kept::KeptFiles;
use anyhow::Context;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

/// The store, if it is to have debug information.
fn receiver(config: &Config) -> Option<&Peer> {
    config.store.address.get().filter(|_| !config.debuginfo.upload_disable)
}

/// Where files that were met stay open for a while, if anybody wants them.
pub(super) fn kept_files(config: &Config) -> anyhow::Result<Option<KeptFiles>> {
    if receiver(config).is_none() {
        return Ok(None);
    }
    KeptFiles::start().map(Some).context("failed to start a thread for files that are kept open")
}

/// Starts to send that of what is sampled.
pub(super) fn start(around: &Surroundings<'_>) -> anyhow::Result<Option<Arc<Dispatch>>> {
    let Surroundings { config, executor, windows, registry, objects, .. } = *around;
    let Some(peer) = receiver(config) else { return Ok(None) };
    let settings = &config.debuginfo;
    let directories = settings.directories.iter().map(PathBuf::from);
    let objects = objects.clone();
    // A connection of its own: it is full of bytes for minutes.
    let proxies = proxies();
    let channel = Arc::new(channel(peer, &config.store.connection, &proxies, executor)?);
    let rate = NonZeroU64::new(settings.upload_rate.bytes());
    let dispatch = Dispatch::start(Options {
        selection: Selection::new(settings.allow.iter(), settings.deny.iter()),
        claim: Box::new(move |object| objects.claim(object)),
        finder: Finder::new(around.worker.clone(), directories.collect()),
        uploader: Uploader::new(channel, proxies, rate, Patience::default()),
    });
    let dispatch = Arc::new(dispatch.context("failed to start a thread for debug information")?);
    let sink = dispatch.clone();
    windows.add_sink(Box::new(move |window| sink.take(window)));
    let shown = dispatch.clone();
    registry.register(move |exposition| shown.collect(exposition));
    Ok(Some(dispatch))
}
