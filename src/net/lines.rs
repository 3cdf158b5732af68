//! The body of an answer, line by line, as it comes.

use super::NetError;
use super::http1::{next_data, within};
use hyper::body::Incoming;
use std::time::Duration;

/// Lines of a body, of which no one knows when it ends.
#[derive(Debug)]
pub struct Lines {
    peer: String,
    body: Incoming,
    /// What came and was not given yet.
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that hold no line feed.
    searched: usize,
    longest: usize,
}

impl Lines {
    pub(super) fn new(peer: String, body: Incoming, longest: usize) -> Self {
        Self { peer, body, buffer: Vec::new(), searched: 0, longest }
    }

    /// The next line without its line feed; `None` at the end. A last line without a line feed is one, too.
    ///
    /// # Errors
    /// [`NetError::Late`] if nothing comes for `patience`, [`NetError::TooLong`] for a line that is too long.
    /// There is no going on after an error.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, NetError> {
        loop {
            if let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.longest {
                return Err(NetError::TooLong { peer: self.peer.clone(), bytes: self.longest });
            }
            match within(&self.peer, patience, next_data(&self.peer, &mut self.body)).await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    return Ok(Some(std::mem::take(&mut self.buffer)));
                }
            }
        }
    }
}
