//! Entries that wait for the store, in memory.
//!
//! The queue holds a number of bytes, with what is on its way. Where they are too many it first makes two entries
//! of one target into one, so that time gets coarser before samples are lost, and then drops the oldest.

use super::amount::Amount;
use super::batch::{Batch, Item};
use super::entry::Entry;
use super::loss::{Loss, Losses};
use super::merge::merge;
use crate::label::LabelSet;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The place of an entry in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Longest time that merged entries may cover, gaps included. The server shows each as one point in time, so a
/// longer one would say too little about when.
pub const MAX_SPAN: Duration = Duration::from_mins(10);

/// Most bytes of two entries that are merged, which bounds the time and memory that it takes.
pub const MAX_MERGED_BYTES: u64 = 4 << 20;

/// The time that two entries would cover, in powers of two of a second. Short ones are merged first: merging the
/// oldest first would make one entry longer again and again, at a cost that grows with the square of its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Level(u32);

/// What became of samples. Always: `pushed = queued + in_flight + delivered + spooled + lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples that came.
    pub pushed: u64,
    /// What waits.
    pub queued: Amount,
    /// What was taken, of which nobody has told yet what became of it.
    pub in_flight: Amount,
    /// Samples that the store has.
    pub delivered: u64,
    /// Samples that the spool has.
    pub spooled: u64,
    /// Samples that are nowhere.
    pub lost: Losses,
    /// Times that two entries became one.
    pub merges: u64,
    /// Times that two entries could not become one.
    pub failed_merges: u64,
}

/// Two entries that wait, one after the other of one series, as they were when they were copied.
#[derive(Debug)]
pub struct Pair {
    places: (Ticket, Ticket),
    earlier: Entry,
    later: Entry,
}

impl Pair {
    /// One entry that says what both do, if it is smaller: any other would only take time, again and again. It takes
    /// milliseconds, and memory for what both hold before compression.
    pub fn merge(&self) -> Option<Entry> {
        let both = self.earlier.bytes() + self.later.bytes();
        merge(&self.earlier, &self.later).ok().filter(|merged| merged.bytes() < both)
    }
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    limit: u64,
    next: Ticket,
    entries: BTreeMap<Ticket, Entry>,
    /// The entries of each series, in order.
    series: HashMap<Arc<LabelSet>, VecDeque<Ticket>>,
    /// Each entry that can be merged with the next one of its series.
    pairs: BTreeSet<(Level, Ticket)>,
    counts: Counts,
}

impl Queue {
    /// An empty queue of at most so many bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            next: Ticket(0),
            entries: BTreeMap::new(),
            series: HashMap::new(),
            pairs: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// Adds an entry. The queue may be too full then, until [`pair_to_merge`](Self::pair_to_merge) has none any more
    /// or [`drop_oldest`](Self::drop_oldest) was called.
    pub fn push(&mut self, mut entry: Entry) {
        entry.shrink();
        self.counts.pushed += entry.samples;
        if entry.bytes() > self.limit {
            self.counts.lost.add(Loss::TooLarge, entry.samples);
            return;
        }
        let ticket = self.next;
        self.next.0 += 1;
        self.counts.queued += Amount::of(&entry);
        self.insert(ticket, entry);
    }

    /// If the queue is too full, a copy of the shortest pair, of these the oldest. It is offered once, unless one of
    /// the two changes.
    pub fn pair_to_merge(&mut self) -> Option<Pair> {
        while !self.has_room() {
            let (_, first) = self.pairs.pop_first()?;
            let second = self.next_of(first);
            if let Some((second, later)) =
                second.and_then(|second| Some((second, self.entries.get(&second)?)))
                && let Some(earlier) = self.entries.get(&first)
            {
                return Some(Pair {
                    places: (first, second),
                    earlier: earlier.clone(),
                    later: later.clone(),
                });
            }
        }
        None
    }

    /// Puts what came of a pair in its place, if both still wait.
    pub fn replace(&mut self, pair: &Pair, merged: Option<Entry>) {
        let (first, second) = pair.places;
        let Some(mut merged) = merged else {
            self.counts.failed_merges += 1;
            return;
        };
        if !self.entries.contains_key(&first) || !self.entries.contains_key(&second) {
            return;
        }
        merged.shrink();
        self.remove(first);
        self.remove(second);
        self.counts.queued += Amount::of(&merged);
        self.insert(first, merged);
        self.counts.merges += 1;
    }

    /// Drops the oldest entries until the queue is not too full any more.
    pub fn drop_oldest(&mut self) {
        while !self.has_room() {
            let Some((_, entry)) = self.remove_oldest() else { break };
            self.counts.lost.add(Loss::QueueFull, entry.samples);
        }
    }

    /// Takes the oldest entries out, of so many bytes; a single one may have more. Nothing if nothing waits.
    pub fn take(&mut self, most: u64) -> Option<Batch<Ticket>> {
        self.take_while(|_, bytes| bytes <= most)
    }

    /// Takes the oldest entries out for a spool, of so many bytes, if and as long as more than half of the queue is
    /// full: the rest is for a store that is merely slow, and for the time that a disk takes.
    pub fn take_overflow(&mut self, most: u64) -> Option<Batch<Ticket>> {
        let full = self.limit / 2;
        let in_flight = self.counts.in_flight.bytes;
        if self.counts.queued.bytes + in_flight <= full {
            return None;
        }
        self.take_while(|queued, bytes| bytes <= most && queued.bytes + in_flight > full)
    }

    /// The store has it.
    pub fn done(&mut self, batch: Batch<Ticket>) {
        let samples = self.arrived(&batch).samples;
        self.counts.delivered += samples;
    }

    /// The spool has it.
    pub fn spooled(&mut self, batch: Batch<Ticket>) {
        let samples = self.arrived(&batch).samples;
        self.counts.spooled += samples;
    }

    /// Nobody will have it.
    pub fn discard(&mut self, batch: Batch<Ticket>, loss: Loss) {
        let samples = self.arrived(&batch).samples;
        self.counts.lost.add(loss, samples);
    }

    /// It waits again, where it did before.
    pub fn give_back(&mut self, batch: Batch<Ticket>) {
        let amount = self.arrived(&batch);
        self.counts.queued += amount;
        for Item { place, entry } in batch.into_items() {
            self.insert(place, entry);
        }
    }

    /// What became of samples.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn arrived(&mut self, batch: &Batch<Ticket>) -> Amount {
        let amount = batch.amount();
        self.counts.in_flight -= amount;
        amount
    }

    /// Takes the oldest entry, and more as long as they are wanted: told what waits, and the bytes of all that would
    /// be taken.
    fn take_while(&mut self, wanted: impl Fn(Amount, u64) -> bool) -> Option<Batch<Ticket>> {
        let mut items = Vec::new();
        let mut bytes = 0;
        while let Some((_, entry)) = self.entries.first_key_value() {
            bytes += entry.bytes();
            if !items.is_empty() && !wanted(self.counts.queued, bytes) {
                break;
            }
            let Some((place, entry)) = self.remove_oldest() else { break };
            self.counts.in_flight += Amount::of(&entry);
            items.push(Item { place, entry });
        }
        (!items.is_empty()).then(|| Batch::new(items))
    }

    fn has_room(&self) -> bool {
        self.counts.queued.bytes + self.counts.in_flight.bytes <= self.limit
    }

    fn remove_oldest(&mut self) -> Option<(Ticket, Entry)> {
        let (ticket, _) = self.entries.first_key_value()?;
        self.remove(*ticket)
    }

    /// Puts an entry where its ticket says.
    fn insert(&mut self, ticket: Ticket, entry: Entry) {
        let tickets = self.series.entry(entry.labels.clone()).or_default();
        let index = tickets.partition_point(|other| *other < ticket);
        let previous = index.checked_sub(1).and_then(|index| tickets.get(index)).copied();
        self.unpair(previous);
        if let Some(tickets) = self.series.get_mut(&entry.labels) {
            tickets.insert(index, ticket);
        }
        self.entries.insert(ticket, entry);
        self.pair(previous);
        self.pair(Some(ticket));
    }

    /// Takes an entry from where it waits.
    fn remove(&mut self, ticket: Ticket) -> Option<(Ticket, Entry)> {
        let labels = self.entries.get(&ticket)?.labels.clone();
        let tickets = self.series.get(&labels)?;
        let index = tickets.binary_search(&ticket).ok()?;
        let previous = index.checked_sub(1).and_then(|index| tickets.get(index)).copied();
        self.unpair(previous);
        self.unpair(Some(ticket));
        let tickets = self.series.get_mut(&labels)?;
        tickets.remove(index);
        if tickets.is_empty() {
            self.series.remove(&labels);
        }
        let entry = self.entries.remove(&ticket)?;
        self.pair(previous);
        self.counts.queued -= Amount::of(&entry);
        Some((ticket, entry))
    }

    /// The next entry of the same series.
    fn next_of(&self, ticket: Ticket) -> Option<Ticket> {
        let tickets = self.series.get(&self.entries.get(&ticket)?.labels)?;
        tickets.get(tickets.binary_search(&ticket).ok()? + 1).copied()
    }

    fn pair(&mut self, first: Option<Ticket>) {
        self.pairs.extend(first.and_then(|first| Some((self.level(first)?, first))));
    }

    fn unpair(&mut self, first: Option<Ticket>) {
        if let Some(pair) = first.and_then(|first| Some((self.level(first)?, first))) {
            self.pairs.remove(&pair);
        }
    }

    /// Of an entry and the next one of its series; nothing if they may not be merged.
    fn level(&self, first: Ticket) -> Option<Level> {
        let (earlier, later) = (self.entries.get(&first)?, self.entries.get(&self.next_of(first)?)?);
        let start = earlier.start.min(later.start);
        let span = earlier.end().max(later.end()).duration_since(start).unwrap_or_default();
        let allowed = span <= MAX_SPAN && earlier.bytes() + later.bytes() <= MAX_MERGED_BYTES;
        allowed.then(|| Level(span.as_secs().checked_ilog2().map_or(0, |power| power + 1)))
    }
}

#[cfg(test)]
mod tests;
