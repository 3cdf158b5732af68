//! The body of an answer, line by line, as it comes.

use super::deadline::within;
use super::http1::{gather, next_data};
use super::line_buffer::LineBuffer;
use super::{Limits, NetError};
use hyper::body::Incoming;
use smol::future;
use std::time::Duration;

/// Lines that are given before others have the thread: a peer may send many small ones at once, and what is done
/// with each takes some ten microseconds.
const LINES_IN_A_ROW: usize = 256;

/// Lines of a body, of which no one knows when it ends.
#[derive(Debug)]
pub struct Lines {
    peer: String,
    body: Incoming,
    buffer: LineBuffer,
    /// Since others had the thread.
    in_a_row: usize,
    longest: usize,
}

impl Lines {
    pub(super) fn new(peer: String, body: Incoming, longest: usize) -> Self {
        Self { peer, body, buffer: LineBuffer::default(), in_a_row: 0, longest }
    }

    /// The next line without its line feed; `None` at the end.
    ///
    /// # Errors
    /// [`NetError::Late`] if nothing comes for `patience`, [`NetError::TooLong`] for a line that is too long,
    /// [`NetError::Cut`] for a body that ends within a line. There is no going on after an error.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, NetError> {
        if self.in_a_row >= LINES_IN_A_ROW {
            self.in_a_row = 0;
            future::yield_now().await;
        }
        loop {
            if let Some(line) = self.buffer.take_line() {
                self.in_a_row += 1;
                return Ok(Some(line));
            }
            if self.buffer.rest().len() > self.longest {
                return Err(NetError::TooLong { peer: self.peer.clone(), bytes: self.longest });
            }
            let data = within(patience, next_data(&self.peer, &mut self.body)).await;
            match data.ok_or_else(|| NetError::late(&self.peer, patience))?? {
                Some(data) => self.buffer.extend(&data),
                None if self.buffer.rest().iter().all(u8::is_ascii_whitespace) => return Ok(None),
                None => return Err(NetError::Cut { peer: self.peer.clone() }),
            }
        }
    }

    /// What was not given yet, whether it is lines or not: its beginning, if it is longer or takes longer than the
    /// limits allow.
    pub async fn rest(mut self, limits: Limits) -> Vec<u8> {
        let mut bytes = self.buffer.rest().to_vec();
        bytes.truncate(limits.bytes);
        let gathered = gather(&self.peer, &mut self.body, &mut bytes, limits.bytes);
        // Whatever ends it, half of it is better than none.
        let _ = within(limits.deadline, gathered).await;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{LINES_IN_A_ROW, Lines};
    use crate::net::http1::Connection;
    use crate::net::stream::dial_tcp;
    use crate::net::{Limits, NetError};
    use smol::Executor;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    const DEADLINE: Duration = Duration::from_secs(20);
    const LIMITS: Limits = Limits { deadline: DEADLINE, bytes: 1 << 20 };

    /// Reads an answer with this body. It ends with the connection, which otherwise stays until the client goes.
    fn read<T>(body: &[u8], ends: bool, work: impl AsyncFnOnce(Lines) -> T) -> T {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let body = body.to_vec();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            // A client that turns back is part of the tests.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").and_then(|()| stream.write_all(&body));
            if !ends {
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        let executor = Executor::new();
        let result = smol::block_on(executor.run(async {
            let dialed = dial_tcp("127.0.0.1", port, DEADLINE).await.unwrap();
            let mut connection = Connection::begin(dialed, &executor).await.unwrap();
            let request = http::Request::get("/").header("host", "localhost").body(Vec::new()).unwrap();
            work(connection.stream(request, LIMITS).await.unwrap().into_body()).await
        }));
        drop(executor);
        server.join().unwrap();
        result
    }

    #[test]
    fn a_body_that_ends_within_a_line_is_cut() {
        for (body, count, is_cut) in
            [("a\nb\n", 2, false), ("a\nb", 1, true), ("a", 0, true), ("", 0, false), ("a\n \r", 1, false)]
        {
            read(body.as_bytes(), true, async |mut lines| {
                for _ in 0..count {
                    assert!(lines.next(DEADLINE).await.unwrap().is_some(), "{body:?}");
                }
                let end = lines.next(DEADLINE).await;
                assert_eq!(matches!(end, Err(NetError::Cut { .. })), is_cut, "{body:?} {end:?}");
                assert!(is_cut || matches!(end, Ok(None)), "{body:?} {end:?}");
            });
        }
    }

    #[test]
    fn others_have_the_thread_between_many_lines() {
        // Few enough to come in one piece.
        read(&[b'\n'; 2 * LINES_IN_A_ROW], false, async |mut lines| {
            lines.next(DEADLINE).await.unwrap();
            let mut count = 1;
            while smol::future::poll_once(lines.next(DEADLINE)).await.is_some() {
                count += 1;
            }
            assert_eq!(count, LINES_IN_A_ROW);
        });
    }

    #[test]
    fn the_rest_is_bounded_in_time_and_size() {
        for (body, ends, limits, expected) in [
            ("abc", true, LIMITS, "abc"),
            ("abc", true, Limits { bytes: 2, ..LIMITS }, "ab"),
            ("abc", false, Limits { bytes: 2, ..LIMITS }, "ab"),
            ("abc", false, Limits { deadline: Duration::from_millis(500), ..LIMITS }, "abc"),
        ] {
            let rest = read(body.as_bytes(), ends, async |lines| lines.rest(limits).await);
            assert_eq!(rest, expected.as_bytes(), "{limits:?}");
        }
    }
}
