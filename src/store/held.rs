//! Batches that are on their way.

use super::batch::Batch;
use super::home::Home;
use super::loss::Loss;
use std::collections::VecDeque;

/// What was taken together, in the parts that it had to be sent in. Those of which nobody told anything wait again when
/// this is dropped.
pub(super) struct Held<'a, H: Home> {
    home: &'a H,
    /// The first one is sent next.
    batches: VecDeque<Batch<H::Place>>,
    /// Single entries that the store did not take, while it is not known whether it takes any.
    suspects: Vec<(Batch<H::Place>, Loss)>,
}

impl<'a, H: Home> Held<'a, H> {
    pub(super) fn new(home: &'a H, batch: Batch<H::Place>) -> Self {
        Self { home, batches: [batch].into(), suspects: Vec::new() }
    }

    /// The one to send.
    pub(super) fn next(&self) -> Option<&Batch<H::Place>> {
        self.batches.front()
    }

    /// The store has that one.
    pub(super) fn done(&mut self) {
        if let Some(batch) = self.batches.pop_front() {
            self.home.done(batch);
        }
    }

    /// That one is too long for the store: it goes in two, at once. A single entry is set aside.
    pub(super) fn halve(&mut self) {
        let Some(batch) = self.batches.pop_front() else { return };
        match batch.halves() {
            (first, Some(second)) => {
                self.batches.push_front(second);
                self.batches.push_front(first);
            }
            (only, None) => self.suspects.push((only, Loss::TooLarge)),
        }
    }

    /// The store does not take something in that one. Its halves go after all others, so that what the store takes shows
    /// soon; a single entry is set aside.
    pub(super) fn suspect(&mut self) {
        let Some(batch) = self.batches.pop_front() else { return };
        match batch.halves() {
            (first, Some(second)) => self.batches.extend([first, second]),
            (only, None) => self.suspects.push((only, Loss::Refused)),
        }
    }

    /// What was set aside is sent again, for another reason may have kept it from being taken.
    pub(super) fn try_suspects(&mut self) {
        self.batches.extend(self.suspects.drain(..).map(|(batch, _)| batch));
    }

    /// How many entries were set aside.
    pub(super) fn suspects(&self) -> usize {
        self.suspects.len()
    }

    /// Nobody will have what was set aside: the store takes others.
    pub(super) fn lose_suspects(&mut self) {
        for (batch, loss) in self.suspects.drain(..) {
            self.home.lose(batch, loss);
        }
    }
}

impl<H: Home> Drop for Held<'_, H> {
    fn drop(&mut self) {
        for batch in self.batches.drain(..).chain(self.suspects.drain(..).map(|(batch, _)| batch)) {
            self.home.give_back(batch);
        }
    }
}
