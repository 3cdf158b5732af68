//! Bytes at positions, the way parsers see an object file.

/// Bytes at positions. Implemented by files, and by slices so that parsers are tested without files.
pub trait ReadAt {
    /// Length at the time it was opened, bytes.
    fn size(&self) -> u64;

    /// Fills the buffer from a position, or fails when the bytes end before it is full.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Unreadable>;
}

/// The bytes were not there, or not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("file ends early or cannot be read")]
pub struct Unreadable;

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let start = usize::try_from(offset).map_err(|_| Unreadable)?;
        let end = start.checked_add(buffer.len()).ok_or(Unreadable)?;
        buffer.copy_from_slice(self.get(start..end).ok_or(Unreadable)?);
        Ok(())
    }
}
