//! The checksum by which `.gnu_debuglink` knows its file.

use crate::debuginfo::stamp::Stamp;
use rustix::fd::AsFd;
use rustix::io::{Errno, pread};

/// Largest file that is summed up, bytes: some seconds of reading.
pub const MAX_SIZE: u64 = 4 << 30;

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// Why a file has no checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrcError {
    /// Larger than [`MAX_SIZE`].
    #[error("a file of {0} bytes is too large for a checksum")]
    TooLarge(u64),
    /// It is not any more what it was.
    #[error("the file changed while it was read")]
    Changed,
    /// It cannot be read.
    #[error("cannot read the file")]
    Unreadable(#[source] Errno),
    /// The caller wants it no longer.
    #[error("stopped")]
    Stopped,
}

/// CRC-32, as zlib computes it, of all bytes of a file that is and stays what its stamp says. `is_stopped` is asked
/// before each piece.
pub fn crc_of(file: impl AsFd, stamp: Stamp, is_stopped: impl Fn() -> bool) -> Result<u32, CrcError> {
    if stamp.size > MAX_SIZE {
        return Err(CrcError::TooLarge(stamp.size));
    }
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut position = 0;
    while position < stamp.size {
        if is_stopped() {
            return Err(CrcError::Stopped);
        }
        let most = usize::try_from(stamp.size - position).unwrap_or(PIECE).min(PIECE);
        let count = match pread(&file, piece.get_mut(..most).unwrap_or_default(), position) {
            Ok(0) => return Err(CrcError::Changed),
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(CrcError::Unreadable(error)),
        };
        hasher.update(piece.get(..count).unwrap_or_default());
        position += count as u64;
    }
    let now = Stamp::of(&file).map_err(CrcError::Unreadable)?;
    if now == stamp { Ok(hasher.finalize()) } else { Err(CrcError::Changed) }
}

#[cfg(test)]
mod tests {
    use super::{CrcError, MAX_SIZE, PIECE, crc_of};
    use crate::debuginfo::stamp::Stamp;
    use std::cell::Cell;
    use std::fs::File;
    use std::io::Write;

    fn file(bytes: &[u8]) -> (File, Stamp) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let stamp = Stamp::of(&file).unwrap();
        (file, stamp)
    }

    #[test]
    fn it_is_the_checksum_of_zlib() {
        for (bytes, expected) in [
            (&b""[..], 0),
            // The check value of the catalogue of CRC algorithms.
            (b"123456789", 0xcbf4_3926),
        ] {
            let (file, stamp) = file(bytes);
            assert_eq!(crc_of(&file, stamp, || false), Ok(expected));
        }
        let long: Vec<u8> = (0..3 * PIECE + 7).map(|at| (at / 5) as u8).collect();
        let (file, stamp) = file(&long);
        assert_eq!(crc_of(&file, stamp, || false), Ok(crc32fast::hash(&long)));
    }

    #[test]
    fn it_can_be_stopped_between_two_pieces() {
        let (file, stamp) = file(&vec![1; 3 * PIECE]);
        let asked = Cell::new(0);
        let is_stopped = || asked.replace(asked.get() + 1) == 2;
        assert_eq!(crc_of(&file, stamp, is_stopped), Err(CrcError::Stopped));
        assert_eq!(asked.get(), 3);
    }

    #[test]
    fn a_file_that_changes_has_none() {
        let (file, stamp) = file(&[1; 100]);
        file.set_len(50).unwrap();
        assert_eq!(crc_of(&file, stamp, || false), Err(CrcError::Changed), "shorter");
        file.set_len(200).unwrap();
        assert_eq!(crc_of(&file, stamp, || false), Err(CrcError::Changed), "longer");
    }

    #[test]
    fn what_is_larger_than_the_bound_is_not_read() {
        let (file, _) = file(b"");
        file.set_len(MAX_SIZE + 1).unwrap();
        let stamp = Stamp::of(&file).unwrap();
        assert_eq!(crc_of(&file, stamp, || panic!("it is read")), Err(CrcError::TooLarge(MAX_SIZE + 1)));
    }
}
