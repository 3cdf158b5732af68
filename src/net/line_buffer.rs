//! Bytes that come in pieces, and the lines in them. Pure.

/// Bytes of an empty buffer that are kept for what comes next.
const IDLE: usize = 64 << 10;

/// What came and was not given yet.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the first line begins that was not given.
    start: usize,
    /// From there to here is no line feed.
    searched: usize,
}

impl LineBuffer {
    /// The next line without its line feed; `None` if it is not there whole.
    pub(super) fn take_line(&mut self) -> Option<Vec<u8>> {
        let Some(length) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return None;
        };
        let end = self.searched + length;
        let line = self.bytes[self.start..end].to_vec();
        (self.start, self.searched) = (end + 1, end + 1);
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(IDLE);
            (self.start, self.searched) = (0, 0);
        }
        Some(line)
    }

    /// Takes in what follows. Only here is dropped what was given: to do so for each line would move all that is
    /// behind it each time.
    pub(super) fn extend(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// What was not given.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::{IDLE, LineBuffer};
    use std::time::{Duration, Instant};

    /// The lines that there are after each piece, `|` between them, and what is left.
    fn lines(pieces: &[&str]) -> (Vec<String>, String) {
        let mut buffer = LineBuffer::default();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut found = Vec::new();
        for piece in pieces {
            buffer.extend(piece.as_bytes());
            let lines: Vec<_> = std::iter::from_fn(|| buffer.take_line()).map(|line| text(&line)).collect();
            found.push(lines.join("|"));
        }
        (found, text(buffer.rest()))
    }

    #[test]
    fn lines_are_told_when_they_are_whole() {
        for (pieces, expected, rest) in [
            (&["a\n"][..], &["a"][..], ""),
            (&["a\nb\n\nc"], &["a|b|"], "c"),
            (&["a", "b\nc", "\n"], &["", "ab", "c"], ""),
            (&["", "\n"], &["", ""], ""),
            (&["a\nb", "c", "d\ne"], &["a", "", "bcd"], "e"),
        ] {
            let (found, left) = lines(pieces);
            assert_eq!(
                (found.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), left.as_str()),
                (expected, rest)
            );
        }
    }

    #[test]
    fn many_lines_in_one_piece_take_no_time() {
        let mut buffer = LineBuffer::default();
        buffer.extend(&vec![b'\n'; 1 << 20]);
        let begun = Instant::now();
        assert_eq!(std::iter::from_fn(|| buffer.take_line()).count(), 1 << 20);
        // With all that follows moved for each line it would take minutes.
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_long_line_does_not_take_its_memory_for_ever() {
        let mut buffer = LineBuffer::default();
        buffer.extend(&vec![b'x'; 4 << 20]);
        assert_eq!(buffer.take_line(), None);
        buffer.extend(b"\n");
        assert_eq!(buffer.take_line().unwrap().len(), 4 << 20);
        assert!(buffer.bytes.capacity() <= IDLE);
    }
}
