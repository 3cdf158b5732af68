//! A batch that goes to the spool.

use super::{AppendError, Spool};
use crate::store::batch::Batch;
use std::io;
use std::time::Instant;

/// What became of a batch. Each part may be empty, and is to be told to where the batch came from.
#[derive(Debug)]
pub struct Transfer<P> {
    /// Entries that the spool has.
    pub written: Batch<P>,
    /// Entries that it will never take.
    pub too_large: Batch<P>,
    /// Entries that it does not take now.
    pub left: Batch<P>,
    /// What is wrong with the disk, if that is news.
    pub error: Option<io::Error>,
}

impl Spool {
    /// Writes a batch, as far as the disk takes it.
    pub fn append_batch<P: Ord>(&mut self, batch: Batch<P>, now: Instant) -> Transfer<P> {
        let (mut written, mut too_large, mut left) = (Vec::new(), Vec::new(), Vec::new());
        let mut error = None;
        for item in batch.into_items() {
            match self.append(&item.entry, now) {
                Ok(()) => written.push(item),
                Err(AppendError::TooLarge(_)) => too_large.push(item),
                Err(AppendError::Off) => left.push(item),
                Err(AppendError::Disk(news)) => {
                    error = Some(news);
                    left.push(item);
                }
            }
        }
        let [written, too_large, left] = [written, too_large, left].map(Batch::new);
        Transfer { written, too_large, left, error }
    }
}
