//! Listening to Docker: what changes is asked for at once.
//!
//! Docker's socket may be systemd's, which starts Docker at any connection: one that was stopped must not be started
//! by who would like to hear of it. So nobody connects again before there is another file at the socket's path, as
//! a daemon makes that opens its socket itself, or before Docker has answered a question: that is asked because of a
//! process in a container, which Docker has started. Until then what it told is taken to hold, and a name that it
//! has changed is noticed then.

use super::docker::{EVENTS, Event};
use super::engine_api::request;
use super::error::AskError;
use super::socket::{FileIdentity, LIMITS, Socket};
use super::source::Runtimes;
use crate::backoff::{Backoff, random_fraction};
use crate::net::lines::Lines;
use crate::net::{Limits, NetError};
use http::StatusCode;
use smol::Timer;
use smol::future::FutureExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// At least so long passes until another try, also where the daemon answers questions but ends every stream.
const PAUSE: Duration = Duration::from_millis(500);
/// At most so long passes until another look for a new socket.
const LONGEST: Duration = Duration::from_secs(60);
/// Bytes of one event, which has the labels of its container.
const LINE: usize = 1 << 20;
/// Nothing may happen for as long as it likes. A daemon that ends closes the stream.
const PATIENCE: Duration = Duration::MAX;

/// Listens to a socket for as long as the agent runs, whether its daemon does or not.
pub(super) async fn watch(runtimes: &Arc<Runtimes>, socket: &Arc<Socket>) {
    let mut backoff = Backoff::new(PAUSE, LONGEST);
    loop {
        let (begun, file) = (Instant::now(), file(socket).await);
        let end = listen(runtimes, socket).await;
        // After an event that is too long the daemon is still there.
        let is_there = matches!(end, Err(AskError::Net(NetError::TooLong { .. })));
        socket.end_listening(is_there);
        if let Err(error) = end {
            runtimes.take_in_error(socket, &error);
        }
        // A stream that went on for a while was a good one.
        if begun.elapsed() > LIMITS.deadline * 2 {
            backoff.reset();
        }
        Timer::after(PAUSE).await;
        let is_to_be_tried = async {
            loop {
                Timer::after(backoff.next(random_fraction())).await;
                if is_there || self::file(socket).await != file {
                    break;
                }
            }
        };
        is_to_be_tried.or(socket.answers()).await;
    }
}

/// Which file is at the socket's path, if any.
async fn file(socket: &Arc<Socket>) -> Option<FileIdentity> {
    socket.see().await?.file()
}

/// Reads events to the end of the stream.
async fn listen(runtimes: &Arc<Runtimes>, socket: &Arc<Socket>) -> Result<(), AskError> {
    let Some(mut connection) = socket.connect().await? else {
        runtimes.notice_absence().await;
        return Ok(());
    };
    let limits = Limits { bytes: LINE, ..LIMITS };
    let answer = connection.stream(request(EVENTS), limits).await?;
    if answer.status() != StatusCode::OK {
        let (peer, status) = (connection.peer().to_owned(), answer.status().as_u16());
        return Err(AskError::Status { peer, status });
    }
    socket.begin_listening();
    // What happened while nobody listened, beside what happens now.
    let catch_up = async {
        runtimes.ask_for_all_of(socket).await;
        std::future::pending().await
    };
    read(runtimes, socket, answer.into_body()).or(catch_up).await
}

async fn read(runtimes: &Arc<Runtimes>, socket: &Arc<Socket>, mut lines: Lines) -> Result<(), AskError> {
    while let Some(line) = lines.next(PATIENCE).await? {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match Event::read(&line) {
            Some(Event::Changed(id)) => {
                runtimes.figures.events.increment();
                runtimes.ask_again(socket, &id).await;
            }
            Some(Event::Destroyed(id)) => {
                runtimes.figures.events.increment();
                runtimes.lose(socket, &id);
            }
            Some(Event::Other) => {}
            None => runtimes.figures.bad_events.increment(),
        }
    }
    Ok(())
}
