//! The file of the spool that is being read.

use super::folder::{Folder, Sequence};
use super::record::{Damage, FINISHED, HEAD_BYTES, STATE_OFFSET};
use super::scan::{Record, scan};
use crate::store::entry::Entry;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A file that is being read.
#[derive(Debug)]
pub struct Reader {
    /// Its number.
    pub sequence: Sequence,
    file: File,
    /// What is to be read yet, in order.
    pub records: VecDeque<Record>,
    /// Records that were read, of which nobody has told yet what became of them.
    pub in_flight: usize,
}

impl Reader {
    /// Opens a file, and finds its records up to an offset.
    pub fn open(folder: &Folder, sequence: Sequence, end: u64) -> io::Result<Self> {
        let file = folder.open_file(sequence)?;
        let mut records = VecDeque::new();
        // What damage hides is missed by its count of samples.
        scan(&file, end, |record| records.push_back(record))?;
        Ok(Self { sequence, file, records, in_flight: 0 })
    }

    /// The entry of a record.
    pub fn read(&self, record: &Record) -> io::Result<Result<Entry, Damage>> {
        let mut payload = vec![0; record.head.length as usize];
        match self.file.read_exact_at(&mut payload, record.offset + HEAD_BYTES as u64) {
            Ok(()) => Ok(record.head.entry(&payload)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(Damage::Cut)),
            Err(error) => Err(error),
        }
    }

    /// Notes that a record's entry was delivered, for the agent after this one.
    pub fn finish(&self, folder: &Folder, record: &Record) -> io::Result<()> {
        folder.overwrite(&self.file, &FINISHED, record.offset + STATE_OFFSET)
    }

    /// Takes a record back, to be read again.
    pub fn give_back(&mut self, record: Record) {
        let index = self.records.partition_point(|other| other.offset < record.offset);
        self.records.insert(index, record);
    }
}
