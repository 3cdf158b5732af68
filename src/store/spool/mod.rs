//! Entries that wait for the store on disk, where they outlive the agent.
//!
//! They stand in files of [`MAX_FILE_BYTES`], one record each ([`record`]), and come back in the order and with the
//! times they had. A record is in the hands of the kernel when [`Spool::append`] returns, so that it outlives the
//! agent even if that is killed; files are forced to disk when they are full or [`MAX_FILE_AGE`] old, so a host that
//! fails loses what is younger. Where files get too many, the oldest goes.
//!
//! A delivered record is marked in its file. An agent that is killed between the two delivers it twice.
//!
//! What an earlier agent left is looked through bit by bit, so that a start does not wait for it ([`backlog`]). Damage
//! costs the records that it hits; files of a newer agent stay as they are ([`scan`]).
//!
//! All of this waits for a disk: it belongs to a thread of its own.

pub mod backlog;
pub mod checksum;
pub mod folder;
pub mod reader;
pub mod record;
mod room;
pub mod scan;
pub mod transfer;

use super::amount::Amount;
use super::batch::{Batch, Item};
use super::entry::Entry;
use super::loss::{Loss, Losses};
use crate::disk::health::Health;
use crate::disk::private_directory::DirectoryError;
use crate::disk::space::NoSpace;
use backlog::Backlog;
use folder::{Folder, Sequence};
use reader::Reader;
use record::Damage;
use scan::Record;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Most bytes of a file, unless it has a single record that is larger.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// Age at which a file gets no more records, and is forced to disk.
pub const MAX_FILE_AGE: Duration = Duration::from_secs(10);

/// Most bytes of all files, unless it is said otherwise.
pub const DEFAULT_LIMIT: u64 = 1 << 30;

/// Time for which nothing is written after the disk failed, or was full.
pub const PAUSE: Duration = Duration::from_mins(10);

/// Time for which nothing is written after the disk had too little left for others.
pub const SPACE_PAUSE: Duration = Duration::from_secs(30);

/// For how long nothing is read after the disk failed to, and how often one file is tried before it is given up.
const READ_PAUSE: Duration = Duration::from_secs(30);
const READ_TRIES: u32 = 10;

/// What a file takes on disk comes in such pieces on most file systems. It also bounds the number of files.
const BLOCK: u64 = 4096;

/// Where an entry is in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    sequence: Sequence,
    record: Record,
}

/// What became of samples, and what else is to be known.
/// Always: `found + written = held + in_flight + delivered + lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples that an earlier agent left.
    pub found: u64,
    /// Samples that this one wrote.
    pub written: u64,
    /// Samples that wait on disk.
    pub held: u64,
    /// Samples that were read, of which nobody has told yet what became of them.
    pub in_flight: u64,
    /// Samples that the store has.
    pub delivered: u64,
    /// Samples that are nowhere.
    pub lost: Losses,
    /// Files.
    pub files: u64,
    /// What they take on disk.
    pub bytes: u64,
    /// Places in files that are not as they were written.
    pub damaged: u64,
    /// Times that the disk did not do what it should.
    pub failures: u64,
    /// Times that nothing was written so that others have something left of the disk.
    pub no_space: u64,
}

/// Why an entry is not in the spool.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk failed not long ago.
    #[error("the spool is off because its disk failed or has no space")]
    Off,
    /// It would not fit even alone.
    #[error(transparent)]
    TooLarge(#[from] record::TooLarge),
    /// The disk fails now; the spool is off for a while.
    #[error("failed to write to the spool")]
    Disk(#[source] io::Error),
}

/// The spool.
#[derive(Debug)]
pub struct Spool {
    folder: Folder,
    limit: u64,
    /// Oldest first. The first may be being read, the last may be being written.
    files: VecDeque<Stored>,
    /// Files that hold nothing any more and could not be removed, and what they take on disk.
    leftovers: Vec<(Sequence, u64)>,
    next: Sequence,
    writer: Option<Writer>,
    reader: Option<Reader>,
    /// What of the files is not looked through yet.
    backlog: Backlog,
    off_until: Option<Instant>,
    /// Until then nothing is read, because the disk failed.
    unread_until: Option<Instant>,
    /// Tries of the oldest file that came to nothing.
    front_tries: u32,
    counts: Counts,
    writing: Health,
    removing: Health,
    reading: Health,
}

/// A file.
#[derive(Clone, Copy, Debug)]
struct Stored {
    sequence: Sequence,
    /// End of its last whole record.
    end: u64,
    /// What it takes on disk.
    bytes: u64,
    /// Samples that were not read yet.
    samples: u64,
}

/// The file that is being written.
#[derive(Debug)]
struct Writer {
    file: File,
    since: Instant,
}

impl Spool {
    /// Opens a directory, which is made where it is not there, with what an earlier agent left in it: at most so
    /// many bytes, the oldest goes. What that is, is found out by and by.
    pub fn open(path: &Path, limit: u64) -> Result<Self, DirectoryError> {
        let mut spool = Self {
            folder: Folder::open(path)?,
            limit,
            files: VecDeque::new(),
            leftovers: Vec::new(),
            next: Sequence(0),
            writer: None,
            reader: None,
            backlog: Backlog::default(),
            off_until: None,
            unread_until: None,
            front_tries: 0,
            counts: Counts::default(),
            writing: Health::new(
                "profiles for the store cannot be kept on disk",
                "profiles for the store are kept on disk again",
            ),
            removing: Health::new(
                "profiles that the store has cannot be taken off the disk, it may get them twice",
                "profiles that the store has are taken off the disk again",
            ),
            reading: Health::new(
                "some of the profiles that wait for the store on disk cannot be read",
                "profiles that wait for the store on disk can be read again",
            ),
        };
        spool.list()?;
        Ok(spool)
    }

    /// Writes an entry. On failure it is not there, and nothing is written for a while.
    pub fn append(&mut self, entry: &Entry, now: Instant) -> Result<(), AppendError> {
        if self.is_off(now) {
            return Err(AppendError::Off);
        }
        let record = record::encode(entry)?;
        if on_disk(record.len() as u64) > self.limit {
            return Err(record::TooLarge(record.len()).into());
        }
        if let Err(error) = self.write(&record, entry.samples, now) {
            self.fail(&error, now);
            return Err(AppendError::Disk(error));
        }
        self.writing.works(self.folder.path());
        self.counts.written += entry.samples;
        self.counts.held += entry.samples;
        Ok(())
    }

    /// Reads the oldest entries, of so many bytes; a single one may have more. Those of one file only: nothing comes
    /// while the last ones of a file are on their way.
    pub fn take(&mut self, most: u64, now: Instant) -> Option<Batch<Place>> {
        loop {
            self.open_front(now)?;
            let items = self.read(most);
            if !items.is_empty() {
                return Some(Batch::new(items));
            }
            if !self.is_front_finished() {
                return None;
            }
            self.remove_finished_front();
        }
    }

    /// The store has it.
    pub fn done(&mut self, batch: Batch<Place>) {
        self.counts.delivered += self.finish(batch);
    }

    /// Nobody will have it.
    pub fn discard(&mut self, batch: Batch<Place>, loss: Loss) {
        let samples = self.finish(batch);
        self.counts.lost.add(loss, samples);
    }

    /// It waits again, where it did before; unless its file had to go in the meantime.
    pub fn give_back(&mut self, batch: Batch<Place>) {
        for Item { place: Place { sequence, record }, entry } in batch.into_items() {
            self.counts.in_flight -= entry.samples;
            let reader = self.reader.as_mut().filter(|reader| reader.sequence == sequence);
            if let (Some(reader), Some(file)) = (reader, self.files.front_mut()) {
                reader.in_flight -= 1;
                reader.give_back(record);
                file.samples += entry.samples;
                self.counts.held += entry.samples;
            } else {
                self.counts.lost.add(Loss::SpoolFull, entry.samples);
            }
        }
    }

    /// What is to be done from time to time: a file that is old enough is forced to disk, and some of what an earlier
    /// agent left is looked through.
    pub fn tend(&mut self, now: Instant) {
        let is_old = |writer: &Writer| now.saturating_duration_since(writer.since) >= MAX_FILE_AGE;
        if self.writer.as_ref().is_some_and(is_old) {
            self.sync(now);
        }
        let _ = self.remove_leftovers(); // those that stay are tried again next time
        self.look_on(now);
    }

    /// Forces what was written to disk.
    pub fn sync(&mut self, now: Instant) {
        if let Err(error) = self.end_file() {
            self.fail(&error, now);
        }
    }

    /// Whether nothing is written for now, because the disk failed or has no space.
    pub fn is_off(&self, now: Instant) -> bool {
        self.off_until.is_some_and(|until| now < until)
    }

    /// What became of samples.
    pub fn counts(&self) -> Counts {
        Counts { files: (self.files.len() + self.leftovers.len()) as u64, ..self.counts }
    }

    /// Has the disk say how much of it is free.
    #[cfg(test)]
    fn tell_space(&mut self, total: u64, available: u64) {
        self.folder.tell_space(crate::disk::space::Space { total, available });
    }

    /// Has the disk fail from now on, or work again.
    #[cfg(test)]
    pub(super) fn fail_with(&mut self, fault: Option<folder::Fault>) {
        self.folder.fault = fault;
    }

    fn fail(&mut self, error: &io::Error, now: Instant) {
        self.writing.fails(self.folder.path(), error);
        if NoSpace::is_in(error) {
            self.counts.no_space += 1;
            self.off_until = Some(now + SPACE_PAUSE);
        } else {
            self.counts.failures += 1;
            self.off_until = Some(now + PAUSE);
        }
    }

    fn write(&mut self, record: &[u8], samples: u64, now: Instant) -> io::Result<()> {
        let length = record.len() as u64;
        let is_full = self.files.back().is_some_and(|file| file.end + length > MAX_FILE_BYTES);
        let is_old = |writer: &Writer| now.saturating_duration_since(writer.since) >= MAX_FILE_AGE;
        if is_full || self.writer.as_ref().is_some_and(is_old) {
            self.end_file()?;
        }
        self.make_room(length)?;
        self.folder.check_space(on_disk(length))?;
        if self.writer.is_none() {
            let sequence = self.next;
            self.next = sequence.next();
            self.writer = Some(Writer { file: self.folder.create(sequence)?, since: now });
            self.files.push_back(Stored { sequence, end: 0, bytes: 0, samples: 0 });
        }
        let (Some(writer), Some(file)) = (&self.writer, self.files.back_mut()) else { return Ok(()) };
        let written = self.folder.write(&writer.file, record, file.end);
        let mut bytes = on_disk(file.end + length);
        if written.is_ok() {
            file.end += length;
            file.samples += samples;
        } else if self.folder.cut(&writer.file, file.end).is_ok() {
            bytes = on_disk(file.end);
        }
        self.counts.bytes += bytes - file.bytes;
        file.bytes = bytes;
        if written.is_err() {
            // What stands in the file is safe there; what is wrong with the disk is known already.
            let _ = self.end_file();
        }
        written
    }

    /// Has the file that is being written get no more records.
    fn end_file(&mut self) -> io::Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        if let Some(file) = self.files.back()
            && file.end == 0
        {
            let file = *file;
            self.files.pop_back();
            self.leftovers.push((file.sequence, file.bytes));
            return self.remove_leftovers();
        }
        writer.file.sync_all()
    }

    /// Has the oldest file open for reading. Nothing if there is none that can be.
    fn open_front(&mut self, now: Instant) -> Option<()> {
        if self.unread_until.is_some_and(|until| now < until) {
            return None;
        }
        while self.reader.is_none() {
            self.look_through_front();
            if self.files.len() == 1 {
                self.sync(now); // it may be being written
            }
            let file = *self.files.front()?;
            match Reader::open(&self.folder, file.sequence, file.end) {
                Ok(reader) => {
                    self.reconcile(&reader);
                    self.reader = Some(reader);
                    self.front_tries = 0;
                }
                Err(error) => {
                    self.counts.failures += 1;
                    self.reading.fails(self.folder.path(), &error);
                    if !is_of_file(&error) && self.front_tries < READ_TRIES {
                        self.front_tries += 1;
                        self.unread_until = Some(now + READ_PAUSE);
                        return None;
                    }
                    self.lose_front(file);
                }
            }
        }
        Some(())
    }

    /// What is missing in the oldest file was damaged since it was written or found.
    fn reconcile(&mut self, reader: &Reader) {
        let samples: u64 = reader.records.iter().map(|record| record.head.samples).sum();
        let Some(file) = self.files.front_mut() else { return };
        if samples == file.samples {
            self.reading.works(self.folder.path());
        } else {
            self.reading.fails(self.folder.path(), &damaged(Damage::NoRecord));
            self.counts.damaged += 1;
            self.counts.lost.add(Loss::SpoolDamaged, file.samples.saturating_sub(samples));
            self.counts.found += samples.saturating_sub(file.samples);
            self.counts.held = self.counts.held - file.samples + samples;
            file.samples = samples;
        }
    }

    /// Gives up the oldest file, which cannot be read.
    fn lose_front(&mut self, file: Stored) {
        self.counts.damaged += 1;
        self.counts.lost.add(Loss::SpoolDamaged, file.samples);
        self.front_tries = 0;
        self.remove_finished_front();
    }

    fn read(&mut self, most: u64) -> Vec<Item<Place>> {
        let mut items = Vec::new();
        let (Some(reader), Some(file)) = (&mut self.reader, self.files.front_mut()) else { return items };
        let mut bytes = 0;
        while let Some(record) = reader.records.pop_front() {
            let samples = record.head.samples;
            let entry = reader.read(&record).and_then(|entry| entry.map_err(damaged));
            match entry {
                Ok(entry) => {
                    bytes += Amount::of(&entry).bytes;
                    if bytes > most && !items.is_empty() {
                        reader.records.push_front(record);
                        break;
                    }
                    reader.in_flight += 1;
                    self.counts.in_flight += samples;
                    items.push(Item { place: Place { sequence: reader.sequence, record }, entry });
                }
                Err(error) => {
                    // Its head is sound, so the next record is where it says.
                    self.reading.fails(self.folder.path(), &error);
                    self.counts.damaged += 1;
                    self.counts.lost.add(Loss::SpoolDamaged, samples);
                }
            }
            self.counts.held -= samples;
            file.samples -= samples;
        }
        items
    }

    /// Takes note that nobody wants a batch again. Returns its samples.
    fn finish(&mut self, batch: Batch<Place>) -> u64 {
        let samples = batch.amount().samples;
        self.counts.in_flight -= samples;
        let items = batch.into_items();
        let sequence = items.first().map(|item| item.place.sequence);
        let reader = self.reader.as_mut().filter(|reader| Some(reader.sequence) == sequence);
        let Some(reader) = reader else { return samples };
        reader.in_flight -= items.len();
        if self.is_front_finished() {
            self.remove_finished_front();
        } else if let Some(reader) = &self.reader {
            let finish = |item: &Item<Place>| reader.finish(&self.folder, &item.place.record);
            let marked = items.iter().try_for_each(finish);
            if let Err(error) = marked {
                self.counts.failures += 1;
                self.removing.fails(self.folder.path(), &error);
            }
        }
        samples
    }

    fn is_front_finished(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.records.is_empty() && reader.in_flight == 0)
    }
}

/// Whether the file itself cannot be read, so that another try would end the same. What else goes wrong may be the
/// disk's, or a lack of something.
fn is_of_file(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

/// Damage, as what a disk does wrong.
fn damaged(damage: Damage) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, damage)
}

/// What a file of so many bytes takes on disk.
fn on_disk(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK)
}

#[cfg(test)]
mod tests;
