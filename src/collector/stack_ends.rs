//! How user stacks ended: each with exactly one reason.

use crate::metrics::{Counter, Exposition};
use crate::sample::record::RawSample;
use parca_agent_common::unwind::StackEnd;

/// Samples by the end of their user stack.
#[derive(Debug, Default)]
pub(super) struct StackEnds {
    /// Every frame is as the tables say.
    told: [Counter; StackEnd::COUNT],
    /// A frame pointer was followed where no table says that there is one.
    guessed: [Counter; StackEnd::COUNT],
}

impl StackEnds {
    /// Counts a sample.
    pub(super) fn add(&self, sample: &RawSample) {
        let ends = if sample.guessed { &self.guessed } else { &self.told };
        if let Some(counter) = ends.get(sample.user_end as usize) {
            counter.add(sample.count);
        }
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
}
