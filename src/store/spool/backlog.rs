//! What an earlier agent left in the spool: listed at once, and looked through in pieces, because a gibibyte of it takes
//! seconds to minutes.

use super::folder::Sequence;
use super::scan::{Survey, scan};
use super::{MAX_FILE_BYTES, Spool, Stored, damaged, on_disk};
use std::io;
use std::time::Instant;

/// Bytes of the files that are looked through in one go. Only the heads of records are read.
const PIECE: u64 = 8 * MAX_FILE_BYTES;

/// The numbers of files that are not looked through yet. It is done from the oldest on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    next: Sequence,
    end: Sequence,
    /// Files that a newer agent wrote.
    newer: u64,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { next: Sequence(0), end: Sequence(0), newer: 0 }
    }
}

impl Backlog {
    fn has(&self, sequence: Sequence) -> bool {
        (self.next..self.end).contains(&sequence)
    }
}

impl Spool {
    /// Looks through all that an earlier agent left.
    pub fn look_through(&mut self, now: Instant) {
        while !self.is_looked_through() {
            self.look_on(now);
        }
    }

    /// Whether everything that an earlier agent left is in [`Spool::counts`].
    pub fn is_looked_through(&self) -> bool {
        self.backlog.next >= self.backlog.end
    }

    /// Lists the files of an earlier agent, without a look into them.
    pub(super) fn list(&mut self) -> io::Result<()> {
        for sequence in self.folder.sequences()? {
            self.next = sequence.next();
            match self.folder.file_bytes(sequence) {
                Ok(Some(end)) => {
                    let bytes = on_disk(end);
                    self.files.push_back(Stored { sequence, end, bytes, samples: 0 });
                    self.counts.bytes += bytes;
                }
                // What is no file is left alone.
                Ok(None) | Err(_) => self.counts.failures += 1,
            }
        }
        self.backlog.end = self.next;
        Ok(())
    }

    /// Looks through some files of an earlier agent. When that was the last one, the oldest go if there is too much.
    pub(super) fn look_on(&mut self, now: Instant) {
        if self.is_looked_through() {
            return;
        }
        let mut bytes = 0;
        while bytes < PIECE {
            let index = self.files.partition_point(|file| file.sequence < self.backlog.next);
            let Some(file) = self.files.get(index).copied().filter(|file| self.backlog.has(file.sequence))
            else {
                self.backlog.next = self.backlog.end;
                return self.end_looking(now);
            };
            bytes += file.bytes;
            self.look_into(index, file);
        }
    }

    /// The oldest file, once it is known what is in it.
    pub(super) fn look_through_front(&mut self) -> Option<Stored> {
        loop {
            let file = self.files.front().copied()?;
            if !self.backlog.has(file.sequence) {
                return Some(file);
            }
            self.look_into(0, file);
        }
    }

    fn end_looking(&mut self, now: Instant) {
        let newer = self.backlog.newer;
        if newer > 0 {
            log::warn!(
                directory:% = self.folder.path().display(), files = newer;
                "files of a newer agent are left where profiles wait for the store"
            );
        }
        if let Err(error) = self.make_room(0) {
            self.fail(&error, now);
        }
    }

    /// Meets a file of an earlier agent. It goes off the books if there is nothing in it for the store.
    fn look_into(&mut self, index: usize, file: Stored) {
        self.backlog.next = file.sequence.next();
        let (mut records, mut samples) = (0_u64, 0);
        let survey = self.folder.open_file(file.sequence).and_then(|opened| {
            scan(&opened, file.end, |record| {
                records += 1;
                samples += record.head.samples;
            })
        });
        let is_ours = match survey {
            Ok(Survey { is_newer: true, .. }) => {
                self.backlog.newer += 1;
                false
            }
            Ok(Survey { places, damage, .. }) => {
                self.counts.damaged += places;
                if let Some(damage) = damage {
                    self.reading.fails(self.folder.path(), &damaged(damage));
                }
                true
            }
            // One that cannot be read is left alone.
            Err(error) => {
                self.counts.failures += 1;
                self.reading.fails(self.folder.path(), &error);
                false
            }
        };
        if is_ours && records > 0 {
            if let Some(file) = self.files.get_mut(index) {
                file.samples = samples;
            }
            self.counts.found += samples;
            self.counts.held += samples;
            return;
        }
        self.files.remove(index);
        if is_ours {
            self.leftovers.push((file.sequence, file.bytes));
            self.counts.failures += u64::from(self.remove_leftovers().is_err());
        } else {
            self.counts.bytes -= file.bytes;
        }
    }
}
