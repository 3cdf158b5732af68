//! The HTTP server from outside: over real sockets, with a window made by hand.
//!
//! `PARCA_AGENT_TEST_SERVE=SECONDS cargo test --test http pages -- --nocapture` keeps the servers of
//! the tests alive, to look at their pages in a browser.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod client;
mod guard;
mod hostile;
mod routes;
mod server;
mod window;
