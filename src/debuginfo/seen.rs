//! Which object files were sampled, how often, and what is to be done about the debug information of each. Pure.

use crate::object::Object;
use crate::object::build_id::BuildId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most build ids that are known, as many as there are objects.
pub const MAX_SEEN: usize = crate::object::table::MAX_OBJECTS;

/// Tries of a file that the store cannot bear.
pub const FEW: u32 = 3;

/// Until such a file is tried again, if it is sampled again.
pub const GIVEN_UP: Duration = Duration::from_secs(24 * 60 * 60);

/// An object file whose debug information is to be seen to.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// By what the store knows it.
    pub build_id: BuildId,
    /// One object with this build id.
    pub object: Arc<Object>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is seen to; it is looked at again if it is sampled after so long, since a store may forget.
    Settled(Duration),
    /// It did not work out this time. It is tried again after so long, whether it is sampled meanwhile or not.
    Again(Duration),
    /// The same, [`FEW`] times in a row only: then it is settled for [`GIVEN_UP`].
    AgainFew(Duration),
}

/// Build ids by what is to be done about them.
#[derive(Debug)]
pub struct Seen {
    most: usize,
    entries: HashMap<BuildId, Entry>,
    forgotten: u64,
}

#[derive(Debug)]
struct Entry {
    object: Arc<Object>,
    /// Since it was settled last.
    samples: u64,
    /// Tries in a row that came to nothing.
    tries: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Until then it is left alone.
    Waiting(Instant),
    Underway,
}

/// How many build ids are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// To be looked at now.
    pub due: usize,
    /// Somebody looks at them.
    pub underway: usize,
    /// To be looked at later, if they are sampled again.
    pub settled: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self::new(MAX_SEEN)
    }
}

impl Seen {
    /// Nothing was sampled yet. At most so many build ids are known at a time.
    pub fn new(most: usize) -> Self {
        Self { most, entries: HashMap::new(), forgotten: 0 }
    }

    /// Takes in that an object file was in so many samples.
    pub fn count(&mut self, build_id: &BuildId, object: &Arc<Object>, samples: u64, now: Instant) {
        if let Some(entry) = self.entries.get_mut(build_id) {
            entry.samples += samples;
            // The one that processes map now, so the one whose file can be opened.
            if entry.object.id != object.id {
                entry.object = object.clone();
            }
            return;
        }
        if self.entries.len() >= self.most && !self.forget_one() {
            self.forgotten += 1;
            return;
        }
        let entry = Entry { object: object.clone(), samples, tries: 0, state: State::Waiting(now) };
        self.entries.insert(build_id.clone(), entry);
    }

    /// The one of the most samples, of those that are due. The caller tells by [`settle`](Self::settle) what became of
    /// it; nobody else gets it meanwhile.
    pub fn next(&mut self, now: Instant) -> Option<Wanted> {
        let due = self.entries.iter_mut().filter(|(_, entry)| entry.is_due(now));
        let (build_id, entry) = due.max_by_key(|(_, entry)| entry.samples)?;
        entry.state = State::Underway;
        Some(Wanted { build_id: build_id.clone(), object: entry.object.clone() })
    }

    /// Tells what became of one.
    pub fn settle(&mut self, build_id: &BuildId, outcome: Outcome, now: Instant) {
        let Some(entry) = self.entries.get_mut(build_id) else { return };
        let (tries, outcome) = match outcome {
            Outcome::AgainFew(_) if entry.tries + 1 >= FEW => (0, Outcome::Settled(GIVEN_UP)),
            Outcome::AgainFew(pause) => (entry.tries + 1, Outcome::Again(pause)),
            Outcome::Again(pause) => (entry.tries, Outcome::Again(pause)),
            settled @ Outcome::Settled(_) => (0, settled),
        };
        entry.tries = tries;
        let pause = match outcome {
            Outcome::Settled(pause) => {
                entry.samples = 0;
                pause
            }
            Outcome::Again(pause) | Outcome::AgainFew(pause) => pause,
        };
        // A time that no clock shows is never.
        entry.state = State::Waiting(now.checked_add(pause).unwrap_or(now + FAR));
    }

    /// How many are in which state.
    pub fn counts(&self, now: Instant) -> Counts {
        let mut counts = Counts::default();
        for entry in self.entries.values() {
            match entry.state {
                State::Underway => counts.underway += 1,
                State::Waiting(_) if entry.is_due(now) => counts.due += 1,
                State::Waiting(_) => counts.settled += 1,
            }
        }
        counts
    }

    /// Build ids that are not known any more because others came, and those that were not taken in.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The one of the fewest samples makes room, of equals the one that is due last. Not one that is underway.
    fn forget_one(&mut self) -> bool {
        let waiting = self.entries.iter().filter_map(|(build_id, entry)| match entry.state {
            State::Waiting(until) => Some((build_id, (entry.samples, std::cmp::Reverse(until)))),
            State::Underway => None,
        });
        let Some((build_id, _)) = waiting.min_by_key(|(_, key)| *key) else { return false };
        let build_id = build_id.clone();
        self.entries.remove(&build_id);
        self.forgotten += 1;
        true
    }
}

/// Longer than any agent runs.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

impl Entry {
    fn is_due(&self, now: Instant) -> bool {
        self.samples > 0 && matches!(self.state, State::Waiting(until) if until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, FAR, FEW, GIVEN_UP, Outcome, Seen};
    use crate::object::build_id::{BuildId, BuildIdKind};
    use crate::object::{Object, ObjectId};
    use std::sync::{Arc, OnceLock};
    use std::time::{Duration, Instant};

    const HOUR: Duration = Duration::from_secs(3600);

    fn build_id(number: u32) -> BuildId {
        BuildId { kind: BuildIdKind::Gnu, bytes: number.to_le_bytes().as_slice().into() }
    }

    fn object(number: u32) -> Arc<Object> {
        Arc::new(Object { id: ObjectId(number), path: Box::default(), info: OnceLock::new() })
    }

    /// Counts one object for each number of samples, numbered from 0.
    fn seen(most: usize, samples: &[u64], now: Instant) -> Seen {
        let mut seen = Seen::new(most);
        for (number, samples) in (0..).zip(samples) {
            seen.count(&build_id(number), &object(number), *samples, now);
        }
        seen
    }

    /// Every one that is due, in the order in which it is given out.
    fn given_out(seen: &mut Seen, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| seen.next(now)).map(|wanted| wanted.object.id.0).collect()
    }

    #[test]
    fn the_most_sampled_goes_first_and_to_one_only() {
        let now = Instant::now();
        let mut seen = seen(9, &[5, 50, 1], now);
        seen.count(&build_id(2), &object(2), 10, now);
        assert_eq!(given_out(&mut seen, now), [1, 2, 0]);
        assert_eq!(seen.counts(now), Counts { due: 0, underway: 3, settled: 0 });
        seen.count(&build_id(1), &object(1), 10, now);
        assert_eq!(given_out(&mut seen, now + FAR), [0; 0], "all are underway");
    }

    #[test]
    fn what_is_settled_is_looked_at_again_when_it_is_sampled_again() {
        let now = Instant::now();
        let mut seen = seen(9, &[5], now);
        seen.next(now).unwrap();
        seen.settle(&build_id(0), Outcome::Settled(HOUR), now);
        assert_eq!(given_out(&mut seen, now + 2 * HOUR), [0; 0]);
        seen.count(&build_id(0), &object(7), 1, now + HOUR / 2);
        assert_eq!(given_out(&mut seen, now + HOUR / 2), [0; 0]);
        assert_eq!(given_out(&mut seen, now + HOUR), [7], "the object that is mapped now");
    }

    #[test]
    fn what_did_not_work_out_is_tried_again_without_another_sample() {
        let now = Instant::now();
        let mut seen = seen(9, &[5, 4], now);
        seen.next(now).unwrap();
        seen.settle(&build_id(0), Outcome::Again(HOUR), now);
        assert_eq!(given_out(&mut seen, now), [1]);
        seen.settle(&build_id(1), Outcome::Settled(Duration::MAX), now);
        assert_eq!(given_out(&mut seen, now + HOUR), [0]);
    }

    #[test]
    fn what_the_store_cannot_bear_is_given_up_after_a_few_tries() {
        let now = Instant::now();
        let mut seen = seen(9, &[5], now);
        for _ in 0..FEW {
            seen.next(now).unwrap();
            seen.settle(&build_id(0), Outcome::AgainFew(Duration::ZERO), now);
            // Asked meanwhile, the store says that somebody sends it.
            if seen.next(now).is_some() {
                seen.settle(&build_id(0), Outcome::Again(Duration::ZERO), now);
            }
        }
        assert_eq!(given_out(&mut seen, now + GIVEN_UP), [0; 0], "without another sample it is left alone");
        seen.count(&build_id(0), &object(0), 1, now);
        assert_eq!(given_out(&mut seen, now), [0; 0]);
        assert_eq!(given_out(&mut seen, now + GIVEN_UP), [0]);
    }

    #[test]
    fn the_least_sampled_makes_room_and_none_that_is_underway() {
        let now = Instant::now();
        let mut seen = seen(2, &[5, 1], now);
        seen.count(&build_id(2), &object(2), 3, now);
        assert_eq!(seen.forgotten(), 1);
        assert_eq!(given_out(&mut seen, now), [0, 2]);
        seen.count(&build_id(3), &object(3), 100, now);
        assert_eq!((seen.forgotten(), seen.counts(now).underway), (2, 2));
        // What was forgotten is told of once more, to no effect.
        seen.settle(&build_id(1), Outcome::Settled(HOUR), now);
        assert_eq!(seen.counts(now), Counts { due: 0, underway: 2, settled: 0 });
    }
}
