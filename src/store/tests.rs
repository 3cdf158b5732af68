use super::batch::Batch;
use super::loss::Loss;
use super::queue::{Queue, Ticket};
use super::sample_entry::{admit, entry};
use super::spool::folder::Fault;
use super::spool::{Place, Spool};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::path::Path;
use std::time::{Duration, Instant};

/// What happens to the store's part of an agent.
#[derive(Clone, Debug)]
enum Step {
    Push {
        target: u8,
        samples: u64,
    },
    Take {
        most: u64,
    },
    TakeOverflow {
        most: u64,
    },
    /// Of the batches on their way, one is settled.
    Settle {
        which: Index,
        how: Outcome,
    },
    TakeSpooled {
        most: u64,
    },
    SettleSpooled {
        which: Index,
        how: Outcome,
    },
    Disk(Option<Fault>),
    Pass(Duration),
    /// The agent is killed, and another begins.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Done,
    GiveBack,
    Halve,
    Refused,
    /// Written to the spool, if it came from the queue.
    Spool,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = || {
        let all = [Outcome::Done, Outcome::GiveBack, Outcome::Halve, Outcome::Refused, Outcome::Spool];
        prop::sample::select(all.to_vec())
    };
    let most = || 500..20_000_u64;
    let fault = prop::sample::select(vec![None, Some(Fault::Full), Some(Fault::ReadOnly)]);
    prop_oneof![
        8 => (0..3_u8, 0..50_u64).prop_map(|(target, samples)| Step::Push { target, samples }),
        2 => most().prop_map(|most| Step::Take { most }),
        3 => most().prop_map(|most| Step::TakeOverflow { most }),
        5 => (any::<Index>(), outcome()).prop_map(|(which, how)| Step::Settle { which, how }),
        3 => most().prop_map(|most| Step::TakeSpooled { most }),
        4 => (any::<Index>(), outcome()).prop_map(|(which, how)| Step::SettleSpooled { which, how }),
        1 => fault.prop_map(Step::Disk),
        2 => (0..1200_u64).prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
        1 => Just(Step::Restart),
    ]
}

/// An agent's part, and what a bystander saw.
struct World {
    queue: Queue,
    spool: Spool,
    now: Instant,
    windows: u64,
    batches: Vec<Batch<Ticket>>,
    spooled: Vec<Batch<Place>>,
    /// Samples that were pushed.
    pushed: u64,
    /// Samples that the store has, those twice that it got twice.
    delivered: u64,
    /// Samples that agents lost of which they told, and those that were in memory when they were killed.
    lost_before: u64,
    /// Samples that came back from the disk after they were delivered, because that could not be noted.
    twice: u64,
    /// Whether something could not be noted since the agent began.
    unnoted: bool,
}

/// Small enough that both get full.
const QUEUE_LIMIT: u64 = 8000;
const SPOOL_LIMIT: u64 = 24 << 10;

impl World {
    fn new(path: &Path) -> Self {
        Self {
            queue: Queue::new(QUEUE_LIMIT),
            spool: Spool::open(&path.join("spool"), SPOOL_LIMIT).unwrap(),
            now: Instant::now(),
            windows: 0,
            batches: Vec::new(),
            spooled: Vec::new(),
            pushed: 0,
            delivered: 0,
            lost_before: 0,
            twice: 0,
            unnoted: false,
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let (queue, spool) = (self.queue.counts(), self.spool.counts());
        prop_assert_eq!(
            queue.pushed,
            queue.queued.samples
                + queue.in_flight.samples
                + queue.delivered
                + queue.spooled
                + queue.lost.total(),
            "{:?}",
            queue
        );
        prop_assert_eq!(
            spool.found + spool.written,
            spool.held + spool.in_flight + spool.delivered + spool.lost.total(),
            "{:?}",
            spool
        );
        prop_assert_eq!(queue.spooled, spool.written);
        let on_their_way = |sum: u64, samples: u64| sum + samples;
        let batches = self.batches.iter().map(|batch| batch.amount().samples).fold(0, on_their_way);
        prop_assert_eq!(queue.in_flight.samples, batches);
        let spooled = self.spooled.iter().map(|batch| batch.amount().samples).fold(0, on_their_way);
        prop_assert_eq!(spool.in_flight, spooled);
        prop_assert_eq!(
            self.pushed + self.twice,
            self.delivered
                + self.lost_before
                + queue.lost.total()
                + spool.lost.total()
                + queue.queued.samples
                + batches
                + spool.held
                + spooled
        );
        prop_assert!(queue.queued.bytes + queue.in_flight.bytes <= QUEUE_LIMIT);
        prop_assert!(spool.bytes <= SPOOL_LIMIT);
        Ok(())
    }

    /// The agent is killed, and another one begins.
    fn restart(&mut self, path: &Path) -> Result<(), TestCaseError> {
        let (queue, spool) = (self.queue.counts(), self.spool.counts());
        self.batches.clear();
        self.spooled.clear();
        self.queue = Queue::new(QUEUE_LIMIT);
        self.lost_before +=
            queue.lost.total() + queue.queued.samples + queue.in_flight.samples + spool.lost.total();
        let expected = spool.held + spool.in_flight;
        // The directory is free for the next one when the one before has let go of it.
        self.spool = Spool::open(&path.join("meanwhile"), SPOOL_LIMIT).unwrap();
        self.spool = Spool::open(&path.join("spool"), SPOOL_LIMIT).unwrap();
        self.spool.look_through(self.now);
        let found = self.spool.counts().found;
        if self.unnoted {
            prop_assert!(found >= expected);
        } else {
            prop_assert_eq!(found, expected);
        }
        self.twice += found - expected;
        self.unnoted = false;
        Ok(())
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Push { target, samples } => {
                self.windows += 1;
                self.pushed += samples;
                admit(&mut self.queue, entry(&format!("t{target}"), self.windows, *samples));
            }
            Step::Take { most } => self.batches.extend(self.queue.take(*most)),
            Step::TakeOverflow { most } => self.batches.extend(self.queue.take_overflow(*most)),
            Step::Settle { which, how } if !self.batches.is_empty() => {
                let batch = self.batches.swap_remove(which.index(self.batches.len()));
                self.settle(batch, *how);
            }
            Step::TakeSpooled { most } => self.spooled.extend(self.spool.take(*most, self.now)),
            Step::SettleSpooled { which, how } if !self.spooled.is_empty() => {
                let batch = self.spooled.swap_remove(which.index(self.spooled.len()));
                self.settle_spooled(batch, *how);
            }
            Step::Disk(fault) => {
                self.unnoted |= matches!(fault, Some(Fault::ReadOnly));
                self.spool.fail_with(*fault);
            }
            Step::Pass(time) => {
                self.now += *time;
                self.spool.tend(self.now);
            }
            Step::Settle { .. } | Step::SettleSpooled { .. } | Step::Restart => (),
        }
    }

    fn settle(&mut self, batch: Batch<Ticket>, how: Outcome) {
        let samples = batch.amount().samples;
        match how {
            Outcome::Done => {
                self.delivered += samples;
                self.queue.done(batch);
            }
            Outcome::GiveBack => self.queue.give_back(batch),
            Outcome::Halve => {
                let (first, second) = batch.halves();
                self.batches.push(first);
                self.batches.extend(second);
            }
            Outcome::Refused => self.queue.discard(batch, Loss::Refused),
            Outcome::Spool => {
                let transfer = self.spool.append_batch(batch, self.now);
                self.queue.spooled(transfer.written);
                self.queue.discard(transfer.too_large, Loss::TooLarge);
                self.queue.give_back(transfer.left);
            }
        }
    }

    fn settle_spooled(&mut self, batch: Batch<Place>, how: Outcome) {
        let samples = batch.amount().samples;
        match how {
            Outcome::Done => {
                self.delivered += samples;
                self.spool.done(batch);
            }
            Outcome::GiveBack | Outcome::Spool => self.spool.give_back(batch),
            Outcome::Halve => {
                let (first, second) = batch.halves();
                self.spooled.push(first);
                self.spooled.extend(second);
            }
            Outcome::Refused => self.spool.discard(batch, Loss::Refused),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn no_sample_appears_or_vanishes(steps in vec(step(), 1..150)) {
        let root = tempfile::tempdir().unwrap();
        let mut world = World::new(root.path());
        for step in steps {
            match step {
                Step::Restart => world.restart(root.path())?,
                step => world.take(&step),
            }
            world.check()?;
        }
        // A store that takes everything gets what is left.
        world.spool.fail_with(None);
        for batch in std::mem::take(&mut world.batches) {
            world.settle(batch, Outcome::Done);
        }
        for batch in std::mem::take(&mut world.spooled) {
            world.settle_spooled(batch, Outcome::Done);
        }
        while let Some(batch) = world.queue.take(1000) {
            world.settle(batch, Outcome::Done);
        }
        while let Some(batch) = world.spool.take(1000, world.now) {
            world.settle_spooled(batch, Outcome::Done);
        }
        world.check()?;
        prop_assert_eq!((world.queue.counts().queued.samples, world.spool.counts().held), (0, 0));
    }
}
