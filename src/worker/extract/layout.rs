//! Where the kept bytes of a file go.

use std::ops::Range;

/// Bytes keep their place relative to this, and so any smaller alignment, and their distance from what is kept less
/// than this before them.
const ALIGNMENT: u64 = 64;

/// Bytes that are copied together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// In the original file.
    pub(super) old: Range<u64>,
    /// Where they begin in the debug file.
    pub(super) new: u64,
}

/// Spans in their order, which is the same in both files. None overlaps another: bytes that several sections claim
/// are copied once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Before the first span.
    start: u64,
    spans: Vec<Span>,
}

impl Layout {
    /// Places ranges of a file one behind the other, in the order of the file, from `start` on.
    pub(super) fn new(start: u64, mut wanted: Vec<Range<u64>>) -> Self {
        wanted.retain(|range| !range.is_empty());
        wanted.sort_by_key(|range| range.start);
        let mut spans: Vec<Span> = Vec::new();
        let mut end = start;
        for range in wanted {
            match spans.last_mut().filter(|last| range.start <= last.old.end) {
                Some(last) => last.old.end = last.old.end.max(range.end),
                None => spans.push(Span { new: congruent(end, range.start), old: range }),
            }
            end = spans.last().map_or(start, Span::new_end);
        }
        Self { start, spans }
    }

    /// Where the last span ends.
    pub(super) fn end(&self) -> u64 {
        self.spans.last().map_or(self.start, Span::new_end)
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The new place of an offset of the original: its byte's, or the end of what was kept before it.
    pub(super) fn place(&self, old: u64) -> u64 {
        match self.at(old) {
            Some(span) if old < span.old.end => span.new + (old - span.old.start),
            Some(span) => span.new_end(),
            None => self.start,
        }
    }

    /// Where a range of the original begins now, if its first and its last byte are kept and as far apart as they
    /// were.
    pub(super) fn moved(&self, old: Range<u64>) -> Option<u64> {
        let last = old.end.checked_sub(1).filter(|last| *last >= old.start)?;
        let place = |byte: u64| self.at(byte).filter(|span| byte < span.old.end).map(|_| self.place(byte));
        let new = place(old.start)?;
        (place(last)?.checked_sub(new)? == last - old.start).then_some(new)
    }

    /// The last span that begins at or before an offset.
    fn at(&self, old: u64) -> Option<&Span> {
        let after = self.spans.partition_point(|span| span.old.start <= old);
        self.spans.get(after.checked_sub(1)?)
    }
}

impl Span {
    fn new_end(&self) -> u64 {
        self.new + (self.old.end - self.old.start)
    }
}

/// The first position from `least` on that is where `old` is, relative to the alignment.
fn congruent(least: u64, old: u64) -> u64 {
    least + (old.wrapping_sub(least) % ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT, Layout};
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    #[test]
    fn bytes_of_several_sections_are_copied_once() {
        let layout = Layout::new(64, vec![200..300, 100..250, 100..110, 300..310, 500..500]);
        let spans: Vec<_> = layout.spans().iter().map(|span| (span.old.clone(), span.new)).collect();
        assert_eq!(spans, [(100..310, 100)]);
        assert_eq!(layout.end(), 310);
    }

    #[test]
    fn what_was_near_stays_near() {
        let layout = Layout::new(1000, vec![0x338..0x358, 0x35c..0x360, 0x9000..0x9001]);
        assert_eq!(layout.moved(0x338..0x360), Some(0x3f8));
        assert_eq!(layout.place(0x35c), 0x3f8 + 0x24);
        assert_eq!(layout.moved(0x338..0x9001), None);
        assert_eq!(layout.moved(0x338..0x361), None);
        assert_eq!(layout.moved(0x338..0x338), None);
        assert_eq!(layout.place(0x359), 0x3f8 + 0x20, "between two");
        assert_eq!(layout.place(0), 1000);
        assert_eq!(layout.place(u64::MAX), layout.end());
    }

    proptest! {
        #[test]
        fn every_wanted_byte_has_one_place_and_the_rest_none(
            start in 0_u64..200,
            wanted in vec((0_u64..2000, 0_u64..300), 0..20),
        ) {
            let wanted: Vec<_> = wanted.into_iter().map(|(start, length)| start..start + length).collect();
            let layout = Layout::new(start, wanted.clone());
            let mut places = Vec::new();
            for byte in 0..2400 {
                let is_wanted = wanted.iter().any(|range| range.contains(&byte));
                let moved = layout.moved(byte..byte + 1);
                prop_assert_eq!(moved.is_some(), is_wanted, "{}", byte);
                prop_assert!(moved.is_none_or(|new| new % ALIGNMENT == byte % ALIGNMENT && new >= start));
                places.extend(moved);
            }
            prop_assert!(places.is_sorted_by(|left, right| left < right));
            let padding = ALIGNMENT * layout.spans().len() as u64;
            prop_assert!(layout.end() <= start + places.len() as u64 + padding);
            // A layout of what was laid out changes nothing.
            let again = layout.spans().iter().map(|span| span.new..span.new_end()).collect();
            let again = Layout::new(start, again);
            prop_assert_eq!(again.end(), layout.end());
            for byte in 0..2400 {
                prop_assert_eq!(again.place(layout.place(byte)), layout.place(byte));
            }
        }
    }
}
