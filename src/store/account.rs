//! The books of what goes to the store: each sample of a finished profile is in one place at every scrape.

use super::channel::CallError;
use super::entry::Entry;
use super::loss::Loss;
use super::queue::Queue;
use super::spool;
use super::status::StoreStatus;
use crate::metrics::Exposition;
use crate::text::error_chain;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most merges for one entry that comes; after that the oldest are dropped.
const MAX_MERGES: usize = 16;

/// All that is known of samples and of the store.
pub(super) struct Account {
    /// Host and port of the store.
    peer: String,
    state: Mutex<State>,
}

/// What changes under one lock.
pub(super) struct State {
    pub(super) queue: Queue,
    /// What the spool said last.
    pub(super) disk: spool::Counts,
    /// Samples of windows that wait to be encoded.
    pub(super) encoding: u64,
    /// Samples of windows that found no room there.
    pub(super) busy: u64,
    /// Whether the store took the last request; `None` before the first.
    is_up: Option<bool>,
    /// Since when it does not.
    down_since: Option<Instant>,
    /// Why, since it was up.
    last_error: Option<String>,
    /// What was logged last of what it refused.
    last_refusal: Option<String>,
    /// Requests by result.
    requests: BTreeMap<&'static str, u64>,
}

impl Account {
    pub(super) fn new(peer: String, queue: Queue) -> Self {
        let state = Mutex::new(State {
            queue,
            disk: spool::Counts::default(),
            encoding: 0,
            busy: 0,
            is_up: None,
            down_since: None,
            last_error: None,
            last_refusal: None,
            requests: CallError::REASONS.into_iter().chain(["taken"]).map(|result| (result, 0)).collect(),
        });
        Self { peer, state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an entry of a window in, at the cost of old ones where it must be. Nobody waits while entries are merged.
    pub(super) fn admit(&self, entry: Entry) {
        let mut state = self.state();
        state.encoding -= entry.samples;
        state.queue.push(entry);
        drop(state);
        for _ in 0..MAX_MERGES {
            let Some(pair) = self.state().queue.pair_to_merge() else { break };
            let merged = pair.merge();
            self.state().queue.replace(&pair, merged);
        }
        self.state().queue.drop_oldest();
    }

    /// The store took a request.
    pub(super) fn up(&self) {
        let mut state = self.state();
        *state.requests.entry("taken").or_default() += 1;
        state.last_error = None;
        state.down_since = None;
        if state.is_up.replace(true) != Some(true) {
            log::info!(store = self.peer.as_str(); "the store takes profiles");
        }
    }

    /// A request came to nothing.
    pub(super) fn count(&self, error: &CallError) {
        *self.state().requests.entry(error.reason()).or_default() += 1;
    }

    /// It takes nothing. Only another reason is logged: a store that is down for a night is one line.
    pub(super) fn down(&self, error: &CallError) {
        let text = error_chain(error);
        let mut state = self.state();
        state.down_since.get_or_insert_with(Instant::now);
        let is_known = state.last_error.as_ref().is_some_and(|known| is_alike(known, &text));
        if state.is_up.replace(false) != Some(false) || !is_known {
            log::warn!(store = self.peer.as_str(), error = text.as_str(); "the store does not take profiles, they wait");
        }
        state.last_error = Some(text);
    }

    /// It takes others, but not these entries. A target that is refused each time is one line, too.
    pub(super) fn refused(&self, error: &CallError, entries: usize) {
        let text = error_chain(error);
        let mut state = self.state();
        let is_known = state.last_refusal.as_ref().is_some_and(|known| is_alike(known, &text));
        if entries > 0 && !is_known {
            log::warn!(
                store = self.peer.as_str(), error = text.as_str(), entries = entries;
                "the store refuses profiles, they are lost"
            );
            state.last_refusal = Some(text);
        }
    }

    /// How the store does.
    pub(super) fn status(&self) -> StoreStatus {
        let state = self.state();
        let (queue, disk) = (state.queue.counts(), state.disk);
        StoreStatus {
            peer: self.peer.clone(),
            is_up: state.is_up,
            error: state.last_error.clone(),
            waiting: state.waiting().into_iter().map(|(_, samples)| samples).sum(),
            delivered: queue.delivered + disk.delivered,
            dropped: state.dropped().into_iter().map(|(_, samples)| samples).sum(),
        }
    }

    /// Writes the metrics. Always: samples of finished profiles, and those that an earlier agent left on disk, wait, are
    /// delivered, or were dropped.
    pub(super) fn collect(&self, exposition: &mut Exposition) {
        let state = self.state();
        let (queue, disk) = (state.queue.counts(), state.disk);
        let waiting = state.waiting();
        let labels = waiting.map(|(stage, _)| [("stage", stage)]);
        exposition.gauge(
            "store_samples_waiting",
            "Samples of finished profiles that the store does not have yet, by where they are.",
            labels.iter().zip(waiting).map(|(labels, (_, count))| (&labels[..], count as f64)),
        );
        let none = &[][..];
        exposition.counter(
            "store_samples_found",
            "Samples that an earlier agent had left on disk for the store.",
            [(none, disk.found)],
        );
        exposition.counter(
            "store_samples_delivered",
            "Samples that the store took.",
            [(none, queue.delivered + disk.delivered)],
        );
        let lost = state.dropped();
        let labels: Vec<_> = lost.iter().map(|(reason, _)| [("reason", *reason)]).collect();
        exposition.counter(
            "store_samples_dropped",
            "Samples of finished profiles that the store will never have, by reason.",
            labels.iter().zip(&lost).map(|(labels, (_, count))| (&labels[..], *count)),
        );
        exposition.gauge(
            "store_queue_bytes",
            "Bytes that wait for the store in memory.",
            [(none, (queue.queued.bytes + queue.in_flight.bytes) as f64)],
        );
        exposition.counter(
            "store_merges",
            "Times that two profiles of a target were made one to save memory.",
            [(none, queue.merges)],
        );
        exposition.gauge(
            "store_spool_bytes",
            "Bytes that wait for the store on disk.",
            [(none, disk.bytes as f64)],
        );
        exposition.counter(
            "store_spool_faults",
            "Times that the disk failed or had too little space, and places that are not as they were written.",
            [
                (&[("fault", "failed")][..], disk.failures),
                (&[("fault", "damaged")][..], disk.damaged),
                (&[("fault", "no_space")][..], disk.no_space),
            ],
        );
        let is_up = f64::from(u8::from(state.is_up == Some(true)));
        exposition.gauge("store_up", "1 if the store took the last request.", [(none, is_up)]);
        let labels: Vec<_> = state.requests.keys().map(|result| [("result", *result)]).collect();
        exposition.counter(
            "store_requests",
            "Requests to the store, by result.",
            labels.iter().zip(state.requests.values()).map(|(labels, count)| (&labels[..], *count)),
        );
    }
}

/// Whether two errors differ in their numbers alone: sizes, times, and most names of requests.
fn is_alike(left: &str, right: &str) -> bool {
    let words = |text: &str| text.split(|letter: char| letter.is_ascii_digit()).collect::<String>();
    words(left) == words(right)
}

impl State {
    /// Whether the store takes nothing for so long.
    pub(super) fn is_down_for(&self, time: Duration) -> bool {
        self.down_since.is_some_and(|since| since.elapsed() >= time)
    }

    /// Samples that the store does not have yet, by where they are.
    fn waiting(&self) -> [(&'static str, u64); 4] {
        let (queue, disk) = (self.queue.counts(), self.disk);
        [
            ("encoding", self.encoding),
            ("queued", queue.queued.samples),
            ("in_flight", queue.in_flight.samples + disk.in_flight),
            ("spooled", disk.held),
        ]
    }

    /// Samples that the store will never have, by reason.
    fn dropped(&self) -> Vec<(&'static str, u64)> {
        let (queue, disk) = (self.queue.counts(), self.disk);
        let lost = Loss::ALL.map(|loss| (loss.name(), queue.lost.get(loss) + disk.lost.get(loss)));
        lost.into_iter().chain([("busy", self.busy)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::is_alike;

    #[test]
    fn errors_with_other_numbers_are_told_once() {
        for (left, right, expected) in [
            ("larger than max (17 vs. 16)", "larger than max (1700 vs. 16)", true),
            ("407 Proxy Authentication Required", "403 Forbidden", false),
            ("refused", "refused", true),
            ("", "1", true),
        ] {
            assert_eq!(is_alike(left, right), expected, "{left:?} {right:?}");
        }
    }
}
