//! The guard: owns the public sockets, and lets only whole, plain requests through to the inner server.
//!
//! tiny_http gives every connection a thread, waits for a head without end or bound, and stops listening
//! for good once it runs out of descriptors. So it never faces the network. Here a half-open connection
//! costs a task and a descriptor, and makes room for the next one when there are too many.

use super::head::{self, Head, MAX_HEAD};
use super::headers;
use super::private_socket::PrivateSocket;
use super::refusal::{Refusal, Refusals};
use super::slots::{Slot, Slots};
use crate::metrics::Exposition;
use rustix::process::{Resource, getrlimit};
use smol::future::{FutureExt, yield_now};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::unix::UnixStream;
use smol::net::{TcpListener, TcpStream};
use smol::{Executor, Timer};
use std::net::{IpAddr, Shutdown};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections whose head is not complete, or whose answer is sent and that are closing; fewer where the
/// process may open few files.
const MAX_IDLE: usize = 256;
/// As many at least.
const MIN_IDLE: usize = 16;
/// Requests being answered, those that wait for a window among them; fewer where the process may open few
/// files.
pub(super) const MAX_ANSWERING: usize = super::query::MAX_WAITING + 32;
/// From the connection to the end of the head.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// From the request to the end of the answer, beyond the time a query may wait.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);
/// A reader that takes longer may have to make room for another request.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// How long a client may take to close after its answer. Closing first, with bytes unread, would reset
/// the connection and could destroy the answer on its way.
const LINGER: Duration = Duration::from_secs(1);
/// Pause after a failed accept: descriptors may be free again then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// As many at least.
const MIN_ANSWERING: usize = 4;
/// Descriptors of one answer on the guard's side: the client, and an end of the private connection.
const GUARDS_SHARE: usize = 2;
/// Those that follow on tiny_http's side, later: the other end, and its duplicate.
const INNER_SHARE: usize = 2;
/// Descriptors left free beyond those, for connections that are about to be refused and for the agent.
const SPARE_DESCRIPTORS: usize = 16;
/// Piece in which an answer is relayed, bytes.
const PIECE: usize = 16 * 1024;

/// The gate in front of the inner server.
#[derive(Debug)]
pub(super) struct Guard {
    executor: Arc<Executor<'static>>,
    inner: Arc<PrivateSocket>,
    idle: Slots,
    answering: Slots,
    /// Descriptors that must be free when a connection goes on.
    reserve: usize,
    answer_deadline: Duration,
    refusals: Arc<Refusals>,
}

impl Guard {
    /// A guard in front of a private socket. `waiting` is how long a request may wait before there is
    /// anything to answer.
    pub(super) fn new(
        executor: Arc<Executor<'static>>,
        inner: Arc<PrivateSocket>,
        waiting: Duration,
        refusals: Arc<Refusals>,
    ) -> Arc<Self> {
        let places = Places::under(getrlimit(Resource::Nofile).current);
        Arc::new(Self {
            executor,
            inner,
            idle: Slots::new(places.idle),
            answering: Slots::new(places.answering),
            reserve: places.reserve(),
            answer_deadline: waiting + ANSWER_DEADLINE,
            refusals,
        })
    }

    /// Writes the counters and gauges.
    pub(super) fn expose(&self, exposition: &mut Exposition) {
        let taken = [("idle", self.idle.taken()), ("answering", self.answering.taken())];
        let labels = taken.map(|(state, _)| [("state", state)]);
        exposition.gauge(
            "http_connections",
            "Open connections.",
            labels.iter().zip(taken).map(|(labels, (_, number))| (&labels[..], number as f64)),
        );
    }

    /// Accepts connections for as long as it is polled.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, bound: IpAddr) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                self.refusals.count(Refusal::NoDescriptors);
                Timer::after(ACCEPT_PAUSE).await;
                continue;
            };
            let guard = self.clone();
            self.executor.spawn(async move { guard.connection(stream, bound).await }).detach();
            // A full backlog must not keep those from running that it just evicted.
            yield_now().await;
        }
    }

    /// One connection from accept to close; it serves one request.
    async fn connection(&self, mut stream: TcpStream, bound: IpAddr) {
        if let Err(refusal) = self.request(&mut stream, bound).await {
            self.refusals.count(refusal);
            let Some(response) = refusal.response() else { return };
            let write = async { stream.write_all(response.as_bytes()).await.is_ok() };
            if !write.or(async { expired(LINGER).await }).await || is_short_of_room(refusal) {
                return;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        let Some(slot) = self.idle.enter(Some(Instant::now())) else { return };
        let drained = async { drain(&mut stream).await };
        drained
            .or(slot.evicted())
            .or(async {
                let _ = expired(LINGER).await;
            })
            .await;
    }

    async fn request(&self, stream: &mut TcpStream, bound: IpAddr) -> Result<(), Refusal> {
        check_free_descriptors(stream, self.reserve)?;
        let slot = self.idle.enter(Some(Instant::now())).ok_or(Refusal::Evicted)?;
        let head = read_head(stream)
            .or(async {
                slot.evicted().await;
                Err(Refusal::Evicted)
            })
            .or(async {
                Timer::after(HEAD_DEADLINE).await;
                Err(Refusal::HeadTimeout)
            })
            .await?;
        drop(slot);
        if !head.host_is_allowed(bound) {
            return Err(Refusal::BadHost);
        }
        let slot = self.answering.enter(None).ok_or(Refusal::Busy)?;
        self.relay(&head, stream, &slot)
            .or(async {
                slot.evicted().await;
                Err(Refusal::ResponseTimeout)
            })
            .or(async {
                Timer::after(self.answer_deadline).await;
                Err(Refusal::ResponseTimeout)
            })
            .await
    }

    /// Hands the request to the inner server and its answer to the client.
    async fn relay(&self, head: &Head, client: &mut TcpStream, slot: &Slot) -> Result<(), Refusal> {
        let mut server = UnixStream::connect(self.inner.path()).await.map_err(|_| Refusal::Unavailable)?;
        check_free_descriptors(&server, self.reserve)?;
        server.write_all(head.canonical().as_bytes()).await.map_err(|_| Refusal::Unavailable)?;
        let mut piece = vec![0; PIECE];
        let mut filled = 0;
        // The status line, whole, so that the common headers can follow it.
        let line = loop {
            let read = server.read(&mut piece[filled..]).await.map_err(|_| Refusal::Unavailable)?;
            filled += read;
            if let Some(end) = piece[..filled].iter().position(|byte| *byte == b'\n') {
                break end + 1;
            }
            if read == 0 {
                return Err(Refusal::Unavailable);
            }
        };
        slot.evictable_from(Instant::now() + ANSWER_GRACE);
        for part in [&piece[..line], headers::COMMON.as_bytes(), &piece[line..filled]] {
            client.write_all(part).await.map_err(|_| Refusal::Gone)?;
        }
        loop {
            let read = server.read(&mut piece).await.map_err(|_| Refusal::Gone)?;
            if read == 0 {
                return Ok(());
            }
            client.write_all(&piece[..read]).await.map_err(|_| Refusal::Gone)?;
        }
    }
}

/// Places for connections under a limit of open files.
#[derive(Debug, PartialEq, Eq)]
struct Places {
    idle: usize,
    answering: usize,
}

impl Places {
    /// Half of the limit for answers, and half of what they leave for those that idle.
    fn under(limit: Option<u64>) -> Self {
        const PER_ANSWER: usize = GUARDS_SHARE + INNER_SHARE;
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let answering = (limit / 2 / PER_ANSWER).clamp(MIN_ANSWERING, MAX_ANSWERING);
        let idle = (limit.saturating_sub(answering * PER_ANSWER) / 2).clamp(MIN_IDLE, MAX_IDLE);
        Self { idle, answering }
    }

    /// Descriptors to leave free. tiny_http aborts the process when it cannot duplicate one, and has yet to
    /// open its share of every answer when the guard has opened its own.
    fn reserve(&self) -> usize {
        self.answering * INNER_SHARE + SPARE_DESCRIPTORS
    }
}

/// Whether the refusal exists to free what the connection holds: then it does not linger.
fn is_short_of_room(refusal: Refusal) -> bool {
    matches!(refusal, Refusal::Evicted | Refusal::NoDescriptors)
}

async fn read_head(stream: &mut TcpStream) -> Result<Head, Refusal> {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let read = stream.read(&mut piece).await.map_err(|_| Refusal::Gone)?;
        if read == 0 {
            return Err(Refusal::Gone);
        }
        bytes.extend_from_slice(&piece[..read.min(MAX_HEAD)]);
        if let Some(end) = head::end(&bytes)? {
            return Head::parse(&bytes[..end]);
        }
    }
}

/// Reads until the client closes, and keeps nothing.
async fn drain(stream: &mut TcpStream) {
    let mut piece = [0; 4096];
    while stream.read(&mut piece).await.is_ok_and(|read| read > 0) {
        // Whoever sends without end must not keep the others waiting.
        yield_now().await;
    }
}

async fn expired(after: Duration) -> bool {
    Timer::after(after).await;
    false
}

/// The kernel gives out the lowest free number, so a number near the limit means few are left.
fn check_free_descriptors(stream: &impl AsFd, reserve: usize) -> Result<(), Refusal> {
    let number = usize::try_from(stream.as_fd().as_raw_fd()).unwrap_or(usize::MAX);
    match getrlimit(Resource::Nofile).current.map(usize::try_from) {
        Some(Ok(limit)) if number.saturating_add(reserve) >= limit => Err(Refusal::NoDescriptors),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn few_descriptors_leave_few_places() {
        let cases = [
            (Some(0), 16, 4),
            (Some(160), 40, 20),
            (Some(400), 104, 48),
            (Some(1024), 256, 48),
            (None, 256, 48),
        ];
        for (limit, idle, answering) in cases {
            assert_eq!(Places::under(limit), Places { idle, answering }, "{limit:?}");
        }
    }
}
