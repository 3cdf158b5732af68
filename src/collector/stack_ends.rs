//! How user stacks ended, each with exactly one reason: of all samples, and of those with code of each object
//! file.

use crate::metrics::{Counter, Exposition};
use crate::object::ObjectId;
use crate::sample::record::{RawSample, UserFrame};
use crate::unwind::report::ObjectStacks;
use parca_agent_common::unwind::StackEnd;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Object files of which stacks are counted; some may be forgotten elsewhere. When there are more, all start anew.
const MAX_OBJECTS: usize = 8192;

/// Samples by the end of their user stack.
#[derive(Debug, Default)]
pub struct StackEnds {
    /// Every frame is as the tables say.
    told: [Counter; StackEnd::COUNT],
    /// A frame pointer was followed where no table says that there is one.
    guessed: [Counter; StackEnd::COUNT],
    objects: Mutex<HashMap<ObjectId, ObjectStacks>>,
}

impl StackEnds {
    /// Counts a sample.
    pub(super) fn add(&self, sample: &RawSample) {
        let end = sample.user_end as usize;
        let ends = if sample.guessed { &self.guessed } else { &self.told };
        if let Some(counter) = ends.get(end) {
            counter.add(sample.count);
        }
        let mut objects = self.lock();
        let mut last = None;
        for frame in &sample.user_stack {
            let UserFrame::Object(object, _) = *frame else { continue };
            // Neighbours mostly are of one file; one that calls back into another counts again.
            if last == Some(object) {
                continue;
            }
            last = Some(object);
            if objects.len() >= MAX_OBJECTS && !objects.contains_key(&object) {
                objects.clear();
            }
            let stacks = objects.entry(object).or_default();
            stacks.all += sample.count;
            stacks.whole += if sample.user_end.is_whole() { sample.count } else { 0 };
        }
        if let Some(UserFrame::Object(object, _)) = sample.user_stack.last()
            && let Some(ended) = objects.get_mut(object).and_then(|stacks| stacks.ended.get_mut(end))
        {
            *ended += sample.count;
        }
    }

    /// The stacks of each object file.
    pub fn of_objects(&self) -> HashMap<ObjectId, ObjectStacks> {
        self.lock().clone()
    }

    /// Samples with code of an object file.
    pub fn of_object(&self, object: ObjectId) -> u64 {
        self.lock().get(&object).map_or(0, |stacks| stacks.all)
    }

    /// Writes the metric.
    pub(super) fn collect(&self, exposition: &mut Exposition) {
        let both = [("no", &self.told), ("yes", &self.guessed)];
        let values: Vec<_> =
            both.into_iter()
                .flat_map(|(guessed, ends)| {
                    StackEnd::ALL.iter().zip(ends).map(move |(end, counter)| {
                        ([("end", end.name()), ("guessed", guessed)], counter.get())
                    })
                })
                .collect();
        exposition.counter(
            "user_stacks",
            "Samples by how their user stack ended, and whether a frame was found by guess.",
            values.iter().map(|(labels, count)| (&labels[..], *count)),
        );
    }

    /// No code panics while it holds the lock, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectId, ObjectStacks>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::StackEnds;
    use crate::address::UserAddress;
    use crate::object::{FileOffset, ObjectId};
    use crate::process::cgroup::CgroupId;
    use crate::process::comm::Comm;
    use crate::process::id::{BootTime, ProcessId, Tgid, ThreadId};
    use crate::sample::record::{RawSample, UserFrame};
    use parca_agent_common::unwind::StackEnd;

    fn sample(user_stack: Vec<UserFrame>, user_end: StackEnd) -> RawSample {
        RawSample {
            time: BootTime { nanos: 1 },
            process: ProcessId { tgid: Tgid(1), start: BootTime { nanos: 1 } },
            thread: ThreadId(1),
            comm: Comm::new(b"a"),
            cgroup: CgroupId(1),
            kernel_thread: false,
            kernel_stack: vec![],
            user_stack,
            user_end,
            guessed: false,
            unknown_process: false,
            count: 2,
            weight: 1,
        }
    }

    #[test]
    fn a_stack_counts_for_each_file_in_it_and_ends_in_the_last() {
        let frame = |id| UserFrame::Object(ObjectId(id), FileOffset(0));
        let ends = StackEnds::default();
        ends.add(&sample(vec![frame(1), frame(1), frame(2)], StackEnd::Complete));
        ends.add(&sample(vec![frame(1)], StackEnd::UnsupportedRule));
        ends.add(&sample(vec![frame(1), UserFrame::Address(UserAddress(5))], StackEnd::NoMapping));
        ends.add(&sample(vec![], StackEnd::NoUserStack));
        let objects = ends.of_objects();
        let (one, two) = (objects[&ObjectId(1)], objects[&ObjectId(2)]);
        assert_eq!((one.all, one.whole, two.all, two.whole), (6, 2, 2, 2));
        assert_eq!(one.ended[StackEnd::UnsupportedRule as usize], 2);
        assert_eq!(one.ended[StackEnd::NoMapping as usize], 0, "the last frame is in no file");
        assert_eq!(two.ended[StackEnd::Complete as usize], 2);
        assert_eq!(ends.told[StackEnd::NoUserStack as usize].get(), 2);
    }
}
