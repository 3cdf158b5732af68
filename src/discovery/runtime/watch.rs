//! Listening to Docker: what changes is asked for at once.

use super::circuit::{chance, delay};
use super::docker::{EVENTS, Event};
use super::engine_api::request;
use super::error::AskError;
use super::socket::{LIMITS, Socket};
use super::source::Runtimes;
use crate::net::Limits;
use http::StatusCode;
use smol::Timer;
use smol::future::FutureExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// At least so long passes until another try, also where the daemon answers questions but ends every stream.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes of one event, which has the labels of its container.
const LINE: usize = 1 << 20;
/// Nothing may happen for as long as it likes. A daemon that ends closes the stream.
const PATIENCE: Duration = Duration::MAX;

/// Listens to a socket for as long as the agent runs, whether its daemon does or not.
pub(super) async fn watch(runtimes: &Runtimes, socket: &Arc<Socket>) {
    let mut failures = 0;
    loop {
        let begun = Instant::now();
        if let Err(error) = listen(runtimes, socket).await {
            runtimes.take_in_error(socket, &error);
        }
        socket.set_listening(None);
        // A stream that went on for a while was a good one.
        failures = if begun.elapsed() > LIMITS.deadline * 2 { 0 } else { failures + 1 };
        Timer::after(PAUSE).await;
        let pause = async {
            Timer::after(delay(failures, chance())).await;
        };
        pause.or(socket.answers()).await;
    }
}

/// Reads events to the end of the stream.
async fn listen(runtimes: &Runtimes, socket: &Arc<Socket>) -> Result<(), AskError> {
    let Some(mut connection) = socket.connect().await? else {
        runtimes.tell_absence();
        return Ok(());
    };
    let limits = Limits { bytes: LINE, ..LIMITS };
    let answer = connection.stream(request(EVENTS), limits).await?;
    if answer.status() != StatusCode::OK {
        let (peer, status) = (connection.peer().to_owned(), answer.status().as_u16());
        return Err(AskError::Status { peer, status });
    }
    socket.set_listening(Some(Instant::now()));
    // What happened while nobody listened.
    runtimes.ask_for_all_of(socket).await;
    let mut lines = answer.into_body();
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
