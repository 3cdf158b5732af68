//! The bytes of a debug file for those who must not wait for a disk.

use super::DebugFile;
use crate::debuginfo::reader::{PIECE, PlanReader, ReadError, StartError};
use prost::bytes::Bytes;
use sha2::{Digest, Sha256};
use smol::channel::{Receiver, bounded};
use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Pieces that are read and not yet sent.
const AHEAD: usize = 2;

/// What reads the bytes.
pub(super) type Reader = PlanReader<Arc<OwnedFd>>;

impl DebugFile {
    /// Begins at the first byte.
    pub(super) fn reader(&self) -> Result<Reader, StartError> {
        PlanReader::new(self.file.clone(), self.stamp, self.plan.clone())
    }
}

/// Tells work on other threads that nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it when the result is dropped.
    pub(super) fn on_drop(&self) -> SetOnDrop {
        SetOnDrop(self.0.clone())
    }
}

/// See [`Stop::on_drop`].
pub(super) struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// SHA-256 of the debug file, as 64 hexadecimal digits.
pub(super) async fn hash(file: &DebugFile) -> Result<String, StartError> {
    let (file, stop) = (file.clone(), Stop::default());
    let _stop = stop.on_drop();
    smol::unblock(move || {
        let mut reader = file.reader()?;
        let mut digest = Sha256::new();
        while !stop.is_set() {
            match reader.next_piece()? {
                [] => break,
                piece => digest.update(piece),
            }
        }
        let mut text = String::with_capacity(64);
        for byte in digest.finalize() {
            // A string takes all that is written to it.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    })
    .await
}

/// Reads ahead by [`AHEAD`] pieces. The last thing to come is an error or, where the bytes are whole, nothing. It ends
/// when the receiver is dropped.
pub(super) fn read(mut reader: Reader) -> Receiver<Result<Bytes, ReadError>> {
    const { assert!(PIECE <= 1 << 20, "no message is larger") };
    let (sender, receiver) = bounded(AHEAD);
    let work = move || {
        loop {
            let piece = match reader.next_piece() {
                Ok([]) => return,
                Ok(piece) => Ok(Bytes::copy_from_slice(piece)),
                Err(error) => Err(error),
            };
            let is_last = piece.is_err();
            if sender.send_blocking(piece).is_err() || is_last {
                return;
            }
        }
    };
    smol::unblock(work).detach();
    receiver
}
