//! What files of the spool take on disk: when they go, and when there are no more.

use super::{Spool, Stored, on_disk};
use crate::store::loss::Loss;
use std::io;

impl Spool {
    /// Removes the oldest files until so many bytes more are within the limit.
    pub(super) fn make_room(&mut self, length: u64) -> io::Result<()> {
        let more = on_disk(length);
        if self.counts.bytes + more > self.limit {
            self.remove_leftovers()?;
        }
        while self.counts.bytes + more > self.limit
            && let Some(file) = self.look_through_front()
        {
            self.folder.remove(file.sequence)?;
            self.forget_front();
            self.counts.bytes -= file.bytes;
            self.counts.lost.add(Loss::SpoolFull, file.samples);
        }
        Ok(())
    }

    /// Takes the oldest file off the books, but for its bytes.
    pub(super) fn forget_front(&mut self) -> Option<Stored> {
        let file = self.files.pop_front()?;
        self.counts.held -= file.samples;
        if self.files.is_empty() {
            self.writer = None;
        }
        self.reader = None;
        Some(file)
    }

    /// Removes the oldest file, of which every record was read.
    pub(super) fn remove_finished_front(&mut self) {
        if let Some(file) = self.forget_front() {
            self.leftovers.push((file.sequence, file.bytes));
        }
        self.counts.failures += u64::from(self.remove_leftovers().is_err());
    }

    /// Removes what holds nothing any more.
    pub(super) fn remove_leftovers(&mut self) -> io::Result<()> {
        while let Some((sequence, bytes)) = self.leftovers.last() {
            if let Err(error) = self.folder.remove(*sequence) {
                self.removing.fails(self.folder.path(), &error);
                return Err(error);
            }
            self.removing.works(self.folder.path());
            self.counts.bytes -= bytes;
            self.leftovers.pop();
        }
        Ok(())
    }
}
