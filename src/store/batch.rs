//! Entries that are on their way somewhere.

use super::amount::Amount;
use super::entry::Entry;
use crate::label::LabelSet;

/// An entry, and where it came from.
#[derive(Debug)]
pub struct Item<P> {
    pub(super) place: P,
    /// The entry.
    pub entry: Entry,
}

/// Entries taken out together, those of one series beside each other in the order of time. Whoever takes a batch
/// has to tell what became of it; until then its samples count as being on their way.
#[derive(Debug)]
#[must_use = "its samples count as being on their way for ever"]
pub struct Batch<P> {
    items: Vec<Item<P>>,
}

impl<P: Ord> Batch<P> {
    /// Places are in the order in which entries came.
    pub(super) fn new(mut items: Vec<Item<P>>) -> Self {
        items.sort_unstable_by(|left, right| {
            (&left.entry.labels, &left.place).cmp(&(&right.entry.labels, &right.place))
        });
        Self { items }
    }

    /// Each series, with its entries.
    pub fn series(&self) -> impl Iterator<Item = (&LabelSet, &[Item<P>])> {
        let series = self.items.chunk_by(|left, right| left.entry.labels == right.entry.labels);
        series.filter_map(|items| Some((&*items.first()?.entry.labels, items)))
    }

    /// Every entry.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.items.iter().map(|item| &item.entry)
    }

    /// How much it is.
    pub fn amount(&self) -> Amount {
        self.entries().fold(Amount::default(), |mut sum, entry| {
            sum += Amount::of(entry);
            sum
        })
    }

    /// Two batches of about as many entries each, for a store that finds it too large; nothing comes second if it
    /// is one entry only.
    pub fn halves(mut self) -> (Self, Option<Self>) {
        let second = self.items.split_off(self.items.len().div_ceil(2));
        (self, (!second.is_empty()).then_some(Self { items: second }))
    }

    pub(super) fn into_items(self) -> Vec<Item<P>> {
        self.items
    }
}
