//! gzip streams (RFC 1952), from a compressor that is used again.
//!
//! A compressor takes 320 KiB. Made and freed for each of thousands of profiles that stay in memory, it leaves holes
//! between them in which the next one does not fit: glibc's allocator took 300 KiB for each profile of 300 bytes.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::sync::{Mutex, PoisonError};

/// A compressor that nobody uses now. More are made when several threads need one, and only one is kept.
static IDLE: Mutex<Option<Compress>> = Mutex::new(None);

/// RFC 1952, section 2.3: the magic, method 8, no flags, no time, no hints, from an unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Bytes behind the compressed ones: their sum and their number.
const TAIL_BYTES: usize = 8;

/// Bytes as one gzip stream.
pub(super) fn compress(bytes: &[u8]) -> Vec<u8> {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut compressor = idle.unwrap_or_else(|| Compress::new(Compression::default(), false));
    let mut output = Vec::with_capacity(HEAD.len() + bytes.len() / 2 + TAIL_BYTES);
    output.extend(HEAD);
    // Each turn has room to write to, so each gets further; memory is no file, it does not fail.
    while let Some(rest) = usize::try_from(compressor.total_in()).ok().and_then(|done| bytes.get(done..)) {
        match compressor.compress_vec(rest, &mut output, FlushCompress::Finish) {
            Ok(Status::Ok | Status::BufError) => output.reserve(output.len()),
            Ok(Status::StreamEnd) | Err(_) => break,
        }
    }
    compressor.reset();
    *IDLE.lock().unwrap_or_else(PoisonError::into_inner) = Some(compressor);
    let mut sum = Crc::new();
    sum.update(bytes);
    output.extend(sum.sum().to_le_bytes());
    output.extend(sum.amount().to_le_bytes());
    output
}

#[cfg(test)]
mod tests {
    use super::compress;
    use flate2::read::GzDecoder;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::io::Read;

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(bytes in vec(any::<u8>(), 0..3000), times in 1..20_usize) {
            // Random bytes do not get smaller, repeated ones do.
            for bytes in [bytes.repeat(times), bytes] {
                let stream = compress(&bytes);
                let mut decoder = GzDecoder::new(&*stream);
                let mut decoded = Vec::new();
                prop_assert!(decoder.read_to_end(&mut decoded).is_ok());
                prop_assert!(decoded == bytes && decoder.into_inner().is_empty());
            }
        }
    }
}
