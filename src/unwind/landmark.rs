//! Code that no table describes, or not in a way that a rule could say, and that is known by its bytes.
//!
//! | code | rule |
//! |---|---|
//! | calls `rt_sigreturn` | a signal frame |
//! | musl's `__clone`, in the new thread | outermost |
//! | where the program or its loader starts | outermost |

use super::image::Image;
use super::machine::Landmarks;
use super::stretch::{Content, Stretch, gaps};
use crate::object::ObjectAddress;
use crate::object::read_at::ReadAt;

/// How far from where the program starts its first function may reach: `_start` of a C library, and in a
/// loader the code behind it that calls constructors.
const MAX_ENTRY: u64 = 128;

/// Most bytes of code without a table that are searched: a C library without CFI has less than 1 MiB.
const MAX_SEARCHED: u64 = 32 << 20;

/// Bytes searched at a time.
const BLOCK: u64 = 1 << 20;

/// How far behind the start of what a signal handler returns to its first instruction may be: glibc's
/// begins with a `nop`, for it is looked up one byte early.
const MAX_HEAD: usize = 8;

/// The stretch of a function that a signal handler returns to, if it is what the file says.
pub(super) fn signal_return<F: ReadAt + ?Sized>(image: &Image<'_, F>, stretch: Stretch) -> Option<Stretch> {
    let Landmarks { signal_return: pattern, early, .. } = image.machine.landmarks();
    let bytes = available(image, stretch.start, (pattern.len() + MAX_HEAD) as u64);
    let at = bytes.windows(pattern.len()).position(|window| window == pattern)? as u64;
    let start = stretch.start.saturating_add(at).saturating_sub(early).min(stretch.start);
    Some(Stretch { start, content: Content::Signal, ..stretch })
}

/// What is to be added to stretches, which are arranged.
pub(super) fn missing<F: ReadAt + ?Sized>(image: &Image<'_, F>, stretches: &[Stretch]) -> Vec<Stretch> {
    let mut found = Vec::new();
    let landmarks = image.machine.landmarks();
    let mut left = MAX_SEARCHED;
    for segment in image.segments.iter().filter(|segment| segment.executable) {
        let start = segment.address.0;
        let end = start.saturating_add(segment.file_size);
        for (from, to) in gaps(stretches, start, end) {
            let searched = left.min(to - from);
            if searched >= landmarks.signal_return.len() as u64 {
                left -= searched;
                search(image, (from, from + searched), &landmarks, &mut found);
            }
            if (from..to).contains(&image.entry.0) {
                let end = to.min(image.entry.0.saturating_add(MAX_ENTRY));
                found.push(Stretch { start: image.entry.0, end, content: Content::Outermost });
            }
        }
    }
    found
}

fn search<F: ReadAt + ?Sized>(
    image: &Image<'_, F>,
    (from, to): (u64, u64),
    landmarks: &Landmarks,
    found: &mut Vec<Stretch>,
) {
    let longest = landmarks.signal_return.len().max(landmarks.thread_start.len()) as u64;
    let mut start = from;
    while start < to {
        let bytes = available(image, start, (to - start).min(BLOCK + longest));
        for (at, window) in (start..).zip(bytes.windows(landmarks.signal_return.len())).take(BLOCK as usize) {
            if window == landmarks.signal_return {
                let end = at.saturating_add(window.len() as u64);
                let start = at.saturating_sub(landmarks.early);
                found.push(Stretch { start, end, content: Content::Signal });
            }
        }
        for (at, window) in (start..).zip(bytes.windows(landmarks.thread_start.len())).take(BLOCK as usize) {
            if window == landmarks.thread_start {
                let end = at.saturating_add(window.len() as u64);
                found.push(Stretch { start: at, end, content: Content::Outermost });
            }
        }
        start = start.saturating_add(BLOCK);
    }
}

/// Bytes at an address, as many as the file has.
fn available<F: ReadAt + ?Sized>(image: &Image<'_, F>, start: u64, most: u64) -> Vec<u8> {
    let start = ObjectAddress(start);
    let count = usize::try_from(image.rest_of_segment(start).min(most)).unwrap_or_default();
    image.memory(start, count).unwrap_or_default()
}
