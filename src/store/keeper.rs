//! The thread that has the spool: nobody else waits for its disk.
//!
//! ```text
//! queue --(what is too much, or old while the store is down)--> spool --(a batch at a time)--> whoever sends
//!                                                                 ^                              |
//!                                                                 +------- what became of it ----+
//! ```

use super::account::Account;
use super::batch::Batch;
use super::loss::Loss;
use super::queue::Ticket;
use super::spool::transfer::Transfer;
use super::spool::{Place, Spool};
use smol::channel::{Receiver, Sender, bounded, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Most bytes that are taken from disk at a time: what is new goes first, and a store that is back is not flooded.
const REPLAY_BYTES: u64 = 1 << 20;
/// How often it is looked whether anything has to go to disk.
const PAUSE: Duration = Duration::from_millis(250);
/// However few bytes are asked for, a batch has one entry. So it goes to disk whole or not at all.
const ONE_ENTRY: u64 = 0;

/// What became of a batch that came from the spool.
pub(super) enum Settled {
    /// The store has it.
    Done(Batch<Place>),
    /// Nobody will have it.
    Lost(Batch<Place>, Loss),
    /// It waits again.
    GivenBack(Batch<Place>),
}

/// The spool as whoever sends sees it. Its thread ends when this is dropped.
pub(super) struct SpoolLink {
    batches: Receiver<Batch<Place>>,
    /// As many messages as the one batch that is on its way has entries, at most.
    settled: Sender<Settled>,
    /// Most bytes of the next batch.
    bytes: Arc<AtomicU64>,
}

impl SpoolLink {
    /// A batch, if one was read. The next one has at most so many bytes.
    pub(super) fn take(&self, most: u64) -> Option<Batch<Place>> {
        self.bytes.store(most.min(REPLAY_BYTES), Ordering::Relaxed);
        self.batches.try_recv().ok()
    }

    pub(super) fn settle(&self, settled: Settled) {
        // The thread listens for as long as this is there.
        let _ = self.settled.try_send(settled);
    }
}

/// The thread's own state.
pub(super) struct Keeper {
    spool: Spool,
    account: Arc<Account>,
    batches: Sender<Batch<Place>>,
    settled: Receiver<Settled>,
    bytes: Arc<AtomicU64>,
    /// What waits is written once the store is down for so long.
    patience: Duration,
}

impl Keeper {
    /// A keeper to be [run](Self::run) by a thread, and the other end. What waits is written when more than half of the
    /// queue is full, or the store is down for longer than `patience`.
    pub(super) fn new(spool: Spool, account: Arc<Account>, patience: Duration) -> (Self, SpoolLink) {
        account.state().disk = spool.counts();
        let (batches, taken) = bounded(1);
        let (settled, told) = unbounded();
        let bytes = Arc::new(AtomicU64::new(REPLAY_BYTES));
        let link = SpoolLink { batches: taken, settled, bytes: bytes.clone() };
        (Self { spool, account, batches, settled: told, bytes, patience }, link)
    }

    /// Works until the other end is dropped; then all that waits in memory goes to disk.
    pub(super) fn run(mut self) {
        loop {
            match wait(&self.settled, PAUSE) {
                Told::Settled(settled) => {
                    self.settle(settled);
                    continue;
                }
                Told::Nothing => {}
                Told::End => break,
            }
            self.keep_what_has_to();
            self.offer();
            self.spool.tend(Instant::now());
            self.enter();
        }
        // A batch that was offered and not taken is on disk.
        while self.keep(|account| account.state().queue.take(ONE_ENTRY)) {}
        self.spool.sync(Instant::now());
        self.enter();
    }

    fn settle(&mut self, settled: Settled) {
        match settled {
            Settled::Done(batch) => self.spool.done(batch),
            Settled::Lost(batch, loss) => self.spool.discard(batch, loss),
            Settled::GivenBack(batch) => self.spool.give_back(batch),
        }
        self.enter();
    }

    fn keep_what_has_to(&mut self) {
        let patience = self.patience;
        while self.keep(|account| {
            let mut state = account.state();
            match state.is_down_for(patience) {
                true => state.queue.take(ONE_ENTRY),
                false => state.queue.take_overflow(ONE_ENTRY),
            }
        }) {}
    }

    /// Writes a batch, in one step of the books. Whether there may be another.
    fn keep(&mut self, take: impl FnOnce(&Account) -> Option<Batch<Ticket>>) -> bool {
        let Some(batch) = take(&self.account) else { return false };
        let Transfer { written, too_large, left, .. } = self.spool.append_batch(batch, Instant::now());
        let goes_on = left.amount().entries == 0;
        let mut state = self.account.state();
        state.queue.spooled(written);
        state.queue.discard(too_large, Loss::TooLarge);
        state.queue.give_back(left);
        state.disk = self.spool.counts();
        goes_on
    }

    /// Has a batch ready for whoever sends.
    fn offer(&mut self) {
        if self.batches.is_full() {
            return;
        }
        let most = self.bytes.load(Ordering::Relaxed);
        if let Some(batch) = self.spool.take(most, Instant::now())
            && let Err(error) = self.batches.try_send(batch)
        {
            self.spool.give_back(error.into_inner());
        }
    }

    /// Enters in the books what came of something.
    fn enter(&self) {
        self.account.state().disk = self.spool.counts();
    }
}

enum Told {
    Settled(Settled),
    Nothing,
    End,
}

fn wait(settled: &Receiver<Settled>, pause: Duration) -> Told {
    use smol::future::FutureExt;
    let told = async { settled.recv().await.map_or(Told::End, Told::Settled) };
    let later = async {
        smol::Timer::after(pause).await;
        Told::Nothing
    };
    smol::future::block_on(told.or(later))
}
