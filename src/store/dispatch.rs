//! What brings batches to the store, one request at a time.

use super::account::Account;
use super::channel::{CallError, StoreChannel};
use super::evidence::Evidence;
use super::held::Held;
use super::home::Home;
use super::keeper::SpoolLink;
use super::message::WriteRawResponse;
use super::pace::{Fate, Pace};
use super::retry::{Verdict, verdict};
use super::series::request;
use crate::backoff::random_fraction;
use crate::net::Limits;
use smol::Timer;
use smol::channel::Receiver;
use smol::future::FutureExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The method that takes profiles.
const WRITE_RAW: &str = "/parca.profilestore.v1alpha1.ProfileStoreService/WriteRaw";
/// What an answer may cost. It is empty.
const LIMITS: Limits = Limits { deadline: Duration::from_secs(20), bytes: 64 << 10 };
/// Time between two batches from disk.
const REPLAY_PAUSE: Duration = Duration::from_millis(500);
/// Time between two tries after the agent was told to stop.
const LAST_PAUSE: Duration = Duration::from_millis(300);
/// How often it is looked whether somebody gave the agent another token, while the store does not take the old one.
const TOKEN_PAUSE: Duration = Duration::from_secs(3);
/// Requests that the store may refuse, of parts of a batch, before any: then it is taken to refuse all.
const MOST_REFUSALS: usize = 16;
/// Entries that are set aside from one batch.
const MOST_SUSPECTS: usize = 64;

/// What sends.
pub(super) struct Dispatch {
    account: Arc<Account>,
    spool: Option<SpoolLink>,
    channel: StoreChannel,
    progress: Progress,
}

/// How the store has answered so far.
struct Progress {
    pace: Pace,
    evidence: Evidence,
}

/// What is learned of the parts of a batch, when the store does not take the whole.
#[derive(Default)]
struct Parting {
    /// The store did not take the whole.
    is_on: bool,
    /// It is not said that it will never take it, so parts are tried twice.
    is_vague: bool,
    /// Parts that it took.
    taken: usize,
    /// Parts that it did not take.
    refused: usize,
    /// What it said of the last of them.
    error: Option<CallError>,
}

impl Dispatch {
    pub(super) fn new(
        account: Arc<Account>,
        spool: Option<SpoolLink>,
        channel: StoreChannel,
        pace: Pace,
    ) -> Self {
        Self { account, spool, channel, progress: Progress { pace, evidence: Evidence::default() } }
    }

    /// Brings what waits to the store until it is to stop; then what there is, within `last`. A request that is on its way
    /// then has this time, too: who cancels it does not know whether the store has taken it.
    pub(super) async fn run(self, stop: &Receiver<()>, last: Duration) {
        let Self { account, spool, channel, mut progress } = self;
        let sending = Sending { account: &account, spool: spool.as_ref(), channel: &channel };
        let mut over = std::pin::pin!(async {
            ended(stop).await;
            Timer::after(last).await;
        });
        // Agents that were started together are spread over the interval.
        let mut pause = progress.pace.interval().mul_f64(random_fraction());
        while !sending.rests(stop, pause, progress.pace.is_denied()).await {
            let flush = async { Some(sending.flush(&mut progress).await) };
            let is_over = async {
                over.as_mut().await;
                None
            };
            let Some(next) = flush.or(is_over).await else { return };
            pause = next;
        }
        let flush = async {
            while sending.flush_queue(&mut progress).await.is_some() {
                Timer::after(LAST_PAUSE).await;
            }
        };
        flush.or(over).await;
    }
}

/// What it takes to send.
struct Sending<'a> {
    account: &'a Account,
    spool: Option<&'a SpoolLink>,
    channel: &'a StoreChannel,
}

impl Sending<'_> {
    /// Waits for so long; true at once when it is to stop. Who is denied waits no longer than for another token.
    async fn rests(&self, stop: &Receiver<()>, pause: Duration, is_denied: bool) -> bool {
        let wait = async {
            Timer::after(pause).await;
            false
        };
        let token = async {
            if !is_denied {
                std::future::pending::<()>().await;
            }
            loop {
                Timer::after(TOKEN_PAUSE).await;
                if self.channel.has_new_token().await {
                    return false;
                }
            }
        };
        let stopped = async {
            ended(stop).await;
            true
        };
        stopped.or(wait.or(token)).await
    }

    /// Sends all that waits in memory, then something of what waits on disk. Returns how long to pause.
    async fn flush(&self, progress: &mut Progress) -> Duration {
        if let Some(pause) = self.flush_queue(progress).await {
            return pause;
        }
        let Some(spool) = self.spool else { return progress.pace.interval() };
        let Some(batch) = spool.take(progress.pace.bytes()) else {
            // It may have been asked while one was being read.
            let is_read = self.account.state().disk.held > 0;
            return if is_read { REPLAY_PAUSE } else { progress.pace.interval() };
        };
        let pause = self.send_all(Held::new(spool, batch), progress).await;
        let usual = if progress.pace.is_slowed() { progress.pace.interval() } else { REPLAY_PAUSE };
        pause.unwrap_or(usual)
    }

    /// Sends all that waits in memory. Tells how long to pause if that is not possible, or not wanted.
    async fn flush_queue(&self, progress: &mut Progress) -> Option<Duration> {
        loop {
            let batch = self.account.state().queue.take(progress.pace.bytes())?;
            if let Some(pause) = self.send_all(Held::new(self.account, batch), progress).await {
                return Some(pause);
            }
            if progress.pace.is_slowed() {
                return Some(progress.pace.interval());
            }
        }
    }

    /// Sends a batch. Tells how long to pause if the store does not take it; it waits again then.
    ///
    /// Where the store does not take something in it, that is looked for by parts, and only entries are lost beside which
    /// it took others: a store that refuses everything costs none.
    async fn send_all<H: Home>(&self, mut held: Held<'_, H>, progress: &mut Progress) -> Option<Duration> {
        let Progress { pace, evidence } = progress;
        let mut parting = Parting::default();
        loop {
            let Some(message) = held.next().map(request) else {
                if std::mem::take(&mut parting.is_vague) && parting.taken > 0 && held.suspects() > 0 {
                    held.try_suspects();
                    continue;
                }
                break;
            };
            let Err(error) = self.channel.call::<_, WriteRawResponse>(WRITE_RAW, message, LIMITS).await
            else {
                held.done();
                pace.succeed();
                evidence.taken(Instant::now());
                self.account.up();
                parting.taken += 1;
                continue;
            };
            self.account.count(&error);
            let verdict = verdict_of(&error);
            let fate = match verdict {
                Verdict::RetryFew if parting.is_on => Fate::Part,
                other => pace.fail(other, random_fraction()),
            };
            match fate {
                Fate::Wait(pause) => {
                    self.account.down(&error);
                    return Some(pause);
                }
                Fate::Halve => held.halve(),
                Fate::Part => {
                    parting.is_vague |= verdict == Verdict::RetryFew && !parting.is_on;
                    parting.is_on = true;
                    held.suspect();
                }
            }
            parting.refused += 1;
            parting.error = Some(error);
            let is_hopeless =
                parting.taken == 0 && parting.refused >= MOST_REFUSALS && !evidence.refused(Instant::now());
            if is_hopeless || held.suspects() >= MOST_SUSPECTS {
                break;
            }
        }
        if held.suspects() == 0 && held.next().is_none() {
            return None;
        }
        let error = parting.error?;
        if parting.taken == 0 && !evidence.refused(Instant::now()) {
            self.account.down(&error);
            return Some(pace.refuse_all(random_fraction()));
        }
        self.account.refused(&error, held.suspects());
        held.lose_suspects();
        held.next().map(|_| pace.interval())
    }
}

fn verdict_of(error: &CallError) -> Verdict {
    match error {
        CallError::Rpc(error) => verdict(error),
        // Somebody will mend the file, or the proxy.
        _ => Verdict::Retry,
    }
}

/// Returns once it is to stop.
async fn ended(stop: &Receiver<()>) {
    // Closed, or a message: both say stop.
    let _ = stop.recv().await;
}
