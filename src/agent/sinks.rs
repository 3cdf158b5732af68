//! Where windows go beside the page: the store, debug information for it, and files.

use super::{debuginfo, store};
use crate::collector::library::ObjectLibrary;
use crate::config::Config;
use crate::debuginfo::dispatch::Dispatch;
use crate::local_store::{self, LocalStore};
use crate::metrics::Registry;
use crate::profile::publish::Windows;
use crate::store::delivery::Delivery;
use crate::worker::supervisor::Supervisor;
use smol::Executor;
use smol::future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Those that are wanted.
pub(super) struct Sinks {
    store: Option<Arc<Delivery>>,
    debuginfo: Option<Arc<Dispatch>>,
    local_store: Option<Arc<LocalStore>>,
}

/// What they need to know.
pub(super) struct Surroundings<'a> {
    pub(super) config: &'a Config,
    pub(super) executor: &'a Arc<Executor<'static>>,
    pub(super) windows: &'a Windows,
    pub(super) registry: &'a Registry,
    /// Samples carry `thread_id` and `thread_name`.
    pub(super) thread_labels: &'a Arc<AtomicBool>,
    pub(super) worker: Arc<Supervisor>,
    pub(super) objects: &'a Arc<ObjectLibrary>,
}

impl Sinks {
    /// Starts to take what is published.
    pub(super) fn start(around: &Surroundings<'_>) -> anyhow::Result<Self> {
        let store = store::start(around)?;
        let debuginfo = debuginfo::start(around)?;
        Ok(Self { store, debuginfo, local_store: start_local_store(around)? })
    }

    /// The store, if there is one.
    pub(super) fn store(&self) -> Option<Arc<Delivery>> {
        self.store.clone()
    }

    /// Ends them beside each other, for each may wait for a disk or a peer. The last window is published by now.
    pub(super) async fn finish(self) {
        let Self { store, debuginfo, local_store } = self;
        let store = smol::unblock(move || store.iter().for_each(|store| store.finish()));
        let debuginfo = smol::unblock(move || debuginfo.iter().for_each(|debuginfo| debuginfo.finish()));
        let local_store = smol::unblock(move || local_store.iter().for_each(|store| store.finish()));
        future::zip(store, future::zip(debuginfo, local_store)).await;
    }
}

fn start_local_store(around: &Surroundings<'_>) -> anyhow::Result<Option<Arc<LocalStore>>> {
    let settings = &around.config.local_store;
    let Some(directory) = settings.directory.get() else { return Ok(None) };
    let options = local_store::Options {
        directory: directory.to_owned(),
        bytes: settings.size.bytes(),
        age: settings.age.get(),
        thread_labels: around.thread_labels.clone(),
    };
    let store = Arc::new(LocalStore::start(options)?);
    let sink = store.clone();
    around.windows.add_sink(Box::new(move |window| sink.take(window)));
    let shown = store.clone();
    around.registry.register(move |exposition| shown.collect(exposition));
    Ok(Some(store))
}
