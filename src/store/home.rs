//! Where batches come from, and are told of what became of them.

use super::account::Account;
use super::batch::Batch;
use super::keeper::{Settled, SpoolLink};
use super::loss::Loss;
use super::queue::Ticket;
use super::spool::Place;

/// The queue, or the spool.
pub(super) trait Home {
    /// Where in it an entry was.
    type Place: Ord;

    /// The store has it.
    fn done(&self, batch: Batch<Self::Place>);

    /// Nobody will have it.
    fn lose(&self, batch: Batch<Self::Place>, loss: Loss);

    /// It waits again.
    fn give_back(&self, batch: Batch<Self::Place>);
}

impl Home for Account {
    type Place = Ticket;

    fn done(&self, batch: Batch<Ticket>) {
        self.state().queue.done(batch);
    }

    fn lose(&self, batch: Batch<Ticket>, loss: Loss) {
        self.state().queue.discard(batch, loss);
    }

    fn give_back(&self, batch: Batch<Ticket>) {
        self.state().queue.give_back(batch);
    }
}

/// The spool's own thread is told: nobody else waits for a disk.
impl Home for SpoolLink {
    type Place = Place;

    fn done(&self, batch: Batch<Place>) {
        self.settle(Settled::Done(batch));
    }

    fn lose(&self, batch: Batch<Place>, loss: Loss) {
        self.settle(Settled::Lost(batch, loss));
    }

    fn give_back(&self, batch: Batch<Place>) {
        self.settle(Settled::GivenBack(batch));
    }
}
