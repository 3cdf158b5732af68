//! Unwind tables on disk, so that an agent that starts again need not make them again.
//!
//! Tables are read where files are met ([`TableCache::read`]), which may wait for a disk, and written by a thread of
//! its own, for who makes tables must not wait. Whatever goes wrong, the table is made anew.

pub mod entry;
pub mod folder;
pub mod key;

use crate::metrics::{Counter, Exposition, Gauge};
use crate::unwind::Table;
use folder::{Folder, FolderError};
use key::Key;
use smol::channel::{Receiver, Sender, bounded};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// Tables that may wait to be written, of at most 3 MiB each.
const QUEUE: usize = 4;

/// The tables of earlier times.
pub struct TableCache {
    shared: Arc<Shared>,
    to_write: Sender<(Key, Table)>,
}

struct Shared {
    folder: Folder,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Metrics {
    hits: Counter,
    misses: Counter,
    damaged: Counter,
    unreadable: Counter,
    written: Counter,
    unwritten: Counter,
    dropped: Counter,
    evicted: Counter,
    bytes: Gauge,
}

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Its directory.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its thread.
    #[error("failed to start a thread")]
    Thread(#[source] io::Error),
}

impl TableCache {
    /// The cache in a directory, which is made where it is not there.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        let shared = Arc::new(Shared { folder: Folder::open(path)?, metrics: Metrics::default() });
        let (to_write, tables) = bounded(QUEUE);
        let writer = shared.clone();
        thread::Builder::new()
            .name("cache-writer".into())
            .spawn(move || writer.write_all(&tables))
            .map_err(CacheError::Thread)?;
        Ok(Self { shared, to_write })
    }

    /// The table of a key, if it was written.
    pub fn read(&self, key: Key) -> Option<Table> {
        let Shared { folder, metrics } = &*self.shared;
        let bytes = match folder.read(key) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                metrics.misses.increment();
                return None;
            }
            Err(_) => {
                metrics.unreadable.increment();
                return None;
            }
        };
        let table = entry::decode(&bytes, key);
        if table.is_some() {
            metrics.hits.increment();
        } else {
            metrics.damaged.increment();
            folder.remove(key);
        }
        table
    }

    /// Has the table of a key written, unless too many wait.
    pub fn write(&self, key: Key, table: Table) {
        if self.to_write.try_send((key, table)).is_err() {
            self.shared.metrics.dropped.increment();
        }
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        let metrics = &self.shared.metrics;
        exposition.counter(
            "unwind_cache_reads",
            "Unwind tables that were looked for on disk, by result.",
            [
                (&[("result", "hit")][..], metrics.hits.get()),
                (&[("result", "miss")][..], metrics.misses.get()),
                (&[("result", "damaged")][..], metrics.damaged.get()),
                (&[("result", "unreadable")][..], metrics.unreadable.get()),
            ],
        );
        exposition.counter(
            "unwind_cache_writes",
            "Unwind tables that were to be written to disk, by result.",
            [
                (&[("result", "written")][..], metrics.written.get()),
                (&[("result", "failed")][..], metrics.unwritten.get()),
                (&[("result", "queue_full")][..], metrics.dropped.get()),
            ],
        );
        let evicted = [(&[][..], metrics.evicted.get())];
        exposition.counter("unwind_cache_evicted", "Unwind tables on disk that made room.", evicted);
        let bytes = [(&[][..], metrics.bytes.get() as f64)];
        exposition.gauge("unwind_cache_bytes", "Bytes of unwind tables on disk.", bytes);
    }
}

impl Shared {
    /// Writes tables until nobody can send any more.
    fn write_all(&self, tables: &Receiver<(Key, Table)>) {
        let mut bytes = self.folder.bytes().unwrap_or_default();
        self.metrics.bytes.set(bytes);
        let mut failed = false;
        while let Ok((key, table)) = tables.recv_blocking() {
            let entry = entry::encode(key, table);
            let written = self.folder.write(key, &entry);
            match &written {
                Ok(()) => {
                    self.metrics.written.increment();
                    bytes += entry.len() as u64;
                }
                Err(error) => {
                    self.metrics.unwritten.increment();
                    if !failed {
                        log::warn!(error = error.to_string().as_str(); "failed to write an unwind table to disk");
                    }
                }
            }
            failed = written.is_err();
            if bytes > folder::MAX_BYTES
                && let Ok((evicted, rest)) = self.folder.shrink(folder::MAX_BYTES / 8 * 7)
            {
                self.metrics.evicted.add(evicted);
                bytes = rest;
            }
            self.metrics.bytes.set(bytes);
        }
    }
}
