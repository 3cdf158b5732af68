//! Answers: what a handler gives back.

use serde::Serialize;
use tiny_http::{Header, Request, Response};

/// A whole answer. The guard adds the headers that all answers share.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

impl Answer {
    /// An answer of some type; nobody may keep a copy of it.
    pub(super) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, headers: vec![("Cache-Control", "no-store")], body: body.into() }
    }

    /// A line of plain text.
    pub(super) fn text(status: u16, line: impl std::fmt::Display) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{line}\n"))
    }

    /// A value.
    pub(super) fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => Self::new(200, "application/json", json),
            Err(error) => Self::text(500, error),
        }
    }

    /// A page.
    pub(super) fn page(status: u16, page: String) -> Self {
        Self::new(status, "text/html; charset=utf-8", page)
    }

    /// Sets one header; a second value replaces the first.
    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    /// Sends it. Blocks until the guard has taken all of it.
    pub(super) fn send(self, request: Request) {
        let length = self.body.len();
        let headers = self
            .headers
            .into_iter()
            .chain([("Content-Type", self.content_type), ("Server", "parca-agent")])
            .filter_map(|(name, value)| Header::from_bytes(name, value).ok())
            .collect();
        let response = Response::new(self.status.into(), headers, self.body.as_slice(), Some(length), None)
            .with_chunked_threshold(usize::MAX);
        // The reader is gone: nothing is left to do for it.
        let _ = request.respond(response);
    }
}
