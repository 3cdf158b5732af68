//! Delivery: takes each window in, and brings it to the store in the end.
//!
//! The store may be down, slow or gone: nothing but the threads here waits for it, or for a disk.

use super::account::Account;
use super::channel::StoreChannel;
use super::dispatch::Dispatch;
use super::keeper::Keeper;
use super::loss::Loss;
use super::pace::Pace;
use super::queue::Queue;
use super::series::entries;
use super::spool::Spool;
use super::status::StoreStatus;
use crate::metrics::Exposition;
use crate::pprof;
use crate::profile::Window;
use smol::channel::{Receiver, Sender, bounded};
use smol::future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Windows that may wait to be encoded.
const WINDOWS: usize = 2;

/// Most bytes of one request: the server takes 64 MiB.
const REQUEST_BYTES: u64 = 16 << 20;
/// Which part of the queue one request may be: what is on its way takes room, too.
const QUEUE_SHARE: u64 = 4;

/// How profiles are made and sent.
pub struct Options {
    /// Most bytes that wait in memory.
    pub queue_bytes: u64,
    /// Where that goes which finds no room in memory.
    pub spool: Option<Spool>,
    /// Time between two requests.
    pub interval: Duration,
    /// Whether samples carry `thread_id` and `thread_name`.
    pub thread_labels: Arc<AtomicBool>,
    /// The store.
    pub channel: StoreChannel,
    /// For how long what waits is sent after [`Delivery::finish`] was called.
    pub last_sending: Duration,
}

/// Profiles on their way to a store.
pub struct Delivery {
    windows: Sender<Arc<Window>>,
    account: Arc<Account>,
    stop: Sender<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Delivery {
    /// Starts to take windows in and to send them.
    pub fn start(options: Options) -> io::Result<Self> {
        let Options { queue_bytes, spool, interval, thread_labels, channel, last_sending } = options;
        let account = Arc::new(Account::new(channel.peer(), Queue::new(queue_bytes)));
        let request_bytes = REQUEST_BYTES.min(queue_bytes / QUEUE_SHARE);
        let (windows, to_encode) = bounded(WINDOWS);
        let (stop, stopped) = bounded::<()>(1);
        let mut threads = Vec::new();
        let mut start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(run).map(|thread| threads.push(thread))
        };
        let to = account.clone();
        start("store-encode", Box::new(move || encode(&to_encode, &to, &thread_labels)))?;
        let link = match spool {
            Some(spool) => {
                let (keeper, link) = Keeper::new(spool, account.clone(), interval);
                start("store-spool", Box::new(move || keeper.run()))?;
                Some(link)
            }
            None => None,
        };
        let dispatch = Dispatch::new(account.clone(), link, channel, Pace::new(interval, request_bytes));
        start("store-send", Box::new(move || future::block_on(dispatch.run(&stopped, last_sending))))?;
        Ok(Self { windows, account, stop, threads: Mutex::new(threads) })
    }

    /// Takes a window in. One that finds no room, because encoding is slow, is lost and counted.
    pub fn take(&self, window: &Arc<Window>) {
        let samples = window.total().0;
        let mut state = self.account.state();
        match self.windows.try_send(window.clone()) {
            Ok(()) => state.encoding += samples,
            Err(_) => state.busy += samples,
        }
    }

    /// Takes no more windows, and returns when what waits is sent, on disk, or lost because the time was over. It may
    /// block.
    pub fn finish(&self) {
        self.windows.close();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut threads = std::mem::take(&mut *threads).into_iter();
        // Encoding ends by itself; then nothing comes any more that the others could miss.
        if let Some(encoder) = threads.next() {
            let _ = encoder.join(); // a panic was reported where it happened
        }
        self.stop.close();
        for thread in threads {
            let _ = thread.join();
        }
        let mut state = self.account.state();
        while let Some(batch) = state.queue.take(u64::MAX) {
            state.queue.discard(batch, Loss::Ended);
        }
    }

    /// How the store does.
    pub fn status(&self) -> StoreStatus {
        self.account.status()
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        self.account.collect(exposition);
    }
}

fn encode(windows: &Receiver<Arc<Window>>, account: &Account, thread_labels: &AtomicBool) {
    while let Ok(window) = windows.recv_blocking() {
        let options = pprof::Options { thread_labels: thread_labels.load(Ordering::Relaxed) };
        for entry in entries(&window, options) {
            account.admit(entry);
        }
    }
}
