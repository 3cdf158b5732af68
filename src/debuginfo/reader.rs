//! The bytes of a debug file, made while they are read.

use super::plan::{Part, Plan, PlanError};
use super::stamp::Stamp;
use crate::object::FileOffset;
use rustix::fd::AsFd;
use rustix::io::{Errno, pread};
use std::io::{self, Read};
use std::vec;

/// Most bytes in memory at a time.
pub const PIECE: usize = 1 << 20;

/// Why the bytes end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file is not any more what the plan was made of.
    #[error("the file changed while it was read")]
    Changed,
    /// The file cannot be read.
    #[error("cannot read the file")]
    Unreadable(#[source] Errno),
}

/// Why reading cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The plan is of another file.
    #[error("the plan does not fit the file")]
    Plan(#[from] PlanError),
    /// See there.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Reads the debug file that a plan describes. It holds [`PIECE`] bytes, however large the file is.
///
/// No byte is given out before the file was found unchanged after the byte was read. Whoever reads to the end, or as
/// many bytes as the plan has, has a debug file of one content of the file.
#[derive(Debug)]
pub struct PlanReader<F> {
    file: F,
    stamp: Stamp,
    parts: vec::IntoIter<Part>,
    /// What is left of the part before the next.
    rest: Option<Part>,
    piece: Vec<u8>,
    /// Bytes of the piece that were given out.
    given: usize,
    /// Once an error, always that error: bytes are missing.
    failed: Option<ReadError>,
}

impl<F: AsFd> PlanReader<F> {
    /// `stamp` is that of `file` before the worker looked at it for the plan.
    pub fn new(file: F, stamp: Stamp, plan: Plan) -> Result<Self, StartError> {
        plan.check(stamp.size)?;
        let reader = Self {
            file,
            stamp,
            parts: plan.into_parts().into_iter(),
            rest: None,
            piece: Vec::new(),
            given: 0,
            failed: None,
        };
        reader.check_unchanged()?;
        Ok(reader)
    }

    /// The next bytes, at most [`PIECE`]; none at the end.
    pub fn next_piece(&mut self) -> Result<&[u8], ReadError> {
        if self.given == self.piece.len() {
            self.fill()?;
        }
        let piece = self.piece.get(self.given..).unwrap_or_default();
        self.given = self.piece.len();
        Ok(piece)
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        self.piece.clear();
        self.given = 0;
        let result = self.failed.map_or_else(|| self.try_fill(), Err);
        if let Err(error) = result {
            // Nothing of a piece that is not whole is given out.
            self.piece.clear();
            self.failed = Some(error);
        }
        result
    }

    fn try_fill(&mut self) -> Result<(), ReadError> {
        while self.piece.len() < PIECE {
            let Some(part) = self.rest.take().or_else(|| self.parts.next()) else { break };
            let (taken, rest) = split(part, PIECE - self.piece.len());
            self.rest = rest;
            append(&mut self.piece, &self.file, taken)?;
        }
        self.check_unchanged()
    }

    fn check_unchanged(&self) -> Result<(), ReadError> {
        let now = Stamp::of(&self.file).map_err(ReadError::Unreadable)?;
        if now == self.stamp { Ok(()) } else { Err(ReadError::Changed) }
    }
}

impl<F: AsFd> Read for PlanReader<F> {
    /// An error of the file has a [`ReadError`] inside.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len() {
            self.fill().map_err(io::Error::other)?;
        }
        let mut left = self.piece.get(self.given..).unwrap_or_default();
        let count = left.read(buffer)?;
        self.given += count;
        Ok(count)
    }
}

/// The first bytes of a part, and the part that is left, if any.
fn split(part: Part, most: usize) -> (Part, Option<Part>) {
    let length = part.length();
    let left = length.saturating_sub(most as u64);
    if left == 0 {
        return (part, None);
    }
    match part {
        Part::Bytes(mut bytes) => {
            let rest = bytes.split_off(most.min(bytes.len()));
            (Part::Bytes(bytes), Some(Part::Bytes(rest)))
        }
        Part::Copy { from, length } => {
            let taken = length - left;
            let rest = Part::Copy { from: FileOffset(from.0 + taken), length: left };
            (Part::Copy { from, length: taken }, Some(rest))
        }
        Part::Zeros(length) => (Part::Zeros(length - left), Some(Part::Zeros(left))),
    }
}

/// Adds a part, of at most [`PIECE`] bytes, to a piece.
fn append(piece: &mut Vec<u8>, file: impl AsFd, part: Part) -> Result<(), ReadError> {
    let start = piece.len();
    let end = start + usize::try_from(part.length()).unwrap_or(PIECE);
    match part {
        Part::Bytes(bytes) => piece.extend(bytes),
        Part::Zeros(_) => piece.resize(end, 0),
        Part::Copy { from, .. } => {
            piece.resize(end, 0);
            fill_at(file, from, piece.get_mut(start..).unwrap_or_default())?;
        }
    }
    Ok(())
}

fn fill_at(file: impl AsFd, from: FileOffset, mut buffer: &mut [u8]) -> Result<(), ReadError> {
    let mut position = from.0;
    while !buffer.is_empty() {
        match pread(file.as_fd(), &mut *buffer, position) {
            // Within the size that it had.
            Ok(0) => return Err(ReadError::Changed),
            Ok(count) => {
                position += count as u64;
                buffer = buffer.get_mut(count..).unwrap_or_default();
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(ReadError::Unreadable(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{PIECE, PlanReader, ReadError, StartError};
    use crate::debuginfo::plan::{Part, Plan};
    use crate::debuginfo::stamp::Stamp;
    use crate::object::FileOffset;
    use rustix::fs::{Timespec, Timestamps};
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::fs::FileExt;

    /// A file of bytes that differ, and what it holds.
    fn file(length: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|at| (at / 7 + at / 4096) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    fn copy(from: u64, length: u64) -> Part {
        Part::Copy { from: FileOffset(from), length }
    }

    fn reader(file: &File, parts: Vec<Part>) -> PlanReader<&File> {
        PlanReader::new(file, Stamp::of(file).unwrap(), Plan::new(parts).unwrap()).unwrap()
    }

    #[test]
    fn parts_are_joined_whatever_their_sizes() {
        let (file, bytes) = file(3 * PIECE);
        let parts = vec![
            Part::Bytes(vec![9; PIECE - 3]),
            Part::Zeros(7),
            copy(5, 2),
            copy(1000, 2 * PIECE as u64 + 11),
            Part::Bytes(vec![8; 2 * PIECE]),
        ];
        let expected = [
            &vec![9; PIECE - 3][..],
            &[0; 7],
            &bytes[5..7],
            &bytes[1000..1000 + 2 * PIECE + 11],
            &vec![8; 2 * PIECE],
        ]
        .concat();
        let mut read = Vec::new();
        reader(&file, parts.clone()).read_to_end(&mut read).unwrap();
        assert!(read == expected);
        let mut by_pieces: Vec<u8> = Vec::new();
        let mut pieces = reader(&file, parts);
        loop {
            let piece = pieces.next_piece().unwrap();
            assert!(piece.len() <= PIECE);
            if piece.is_empty() {
                break;
            }
            by_pieces.extend(piece);
        }
        assert!(by_pieces == expected);
    }

    #[test]
    fn both_ways_of_reading_go_together() {
        let (file, bytes) = file(100);
        let mut reader = reader(&file, vec![copy(0, 100)]);
        let mut first = [0; 10];
        reader.read_exact(&mut first).unwrap();
        assert_eq!(first, bytes[..10]);
        assert_eq!(reader.next_piece().unwrap(), &bytes[10..]);
        assert_eq!(reader.next_piece().unwrap(), b"");
        assert_eq!(reader.read(&mut first).unwrap(), 0);
    }

    #[test]
    fn a_plan_of_a_larger_file_is_refused() {
        let (file, _) = file(100);
        let plan = Plan::new(vec![copy(0, 101)]).unwrap();
        let refused = PlanReader::new(&file, Stamp::of(&file).unwrap(), plan);
        assert!(matches!(refused, Err(StartError::Plan(_))), "{refused:?}");
    }

    /// Times as they were before the change: to be noticed by size or `st_ctime` alone.
    fn set_times_back(file: &File) {
        let time = Timespec { tv_sec: 1, tv_nsec: 0 };
        rustix::fs::futimens(file, &Timestamps { last_access: time, last_modification: time }).unwrap();
    }

    #[test]
    fn a_change_is_noticed_before_the_next_byte_is_given_out() {
        type Change = fn(&File);
        let changes: [(&str, Change); 4] = [
            ("written", |file| file.write_all_at(b"x", 2 * PIECE as u64).unwrap()),
            ("written, and its time set back", |file| {
                file.write_all_at(b"x", 2 * PIECE as u64).unwrap();
                set_times_back(file);
            }),
            ("longer", |file| file.set_len(4 * PIECE as u64).unwrap()),
            ("shorter", |file| file.set_len(10).unwrap()),
        ];
        for (name, change) in changes {
            let (file, _) = file(3 * PIECE);
            set_times_back(&file);
            let stamp = Stamp::of(&file).unwrap();
            let mut reader = reader(&file, vec![copy(0, 3 * PIECE as u64)]);
            assert_eq!(reader.next_piece().unwrap().len(), PIECE, "{name}");
            // The kernel's clock has to tick, or no stamp tells.
            while !changed_since(&file, stamp, change) {}
            assert!(matches!(reader.next_piece(), Err(ReadError::Changed)), "{name}");
            let error = reader.read(&mut [0; 1]).unwrap_err();
            let inside = error.get_ref().and_then(|inside| inside.downcast_ref());
            assert!(matches!(inside, Some(ReadError::Changed)), "{name}: {error:?}");
            let late = PlanReader::new(&file, stamp, Plan::new(vec![copy(0, 1)]).unwrap());
            assert!(matches!(late, Err(StartError::Read(ReadError::Changed))), "{name}");
        }
    }

    fn changed_since(file: &File, stamp: Stamp, change: fn(&File)) -> bool {
        change(file);
        Stamp::of(file).unwrap() != stamp
    }
}
