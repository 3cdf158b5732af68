//! Reports: profiles of one window, merged and added up for a page.

use super::call_tree::CallTree;
use super::frame_name::FrameName;
use super::functions::Functions;
use super::names::Names;
use crate::label::LabelSet;
use crate::profile::{Profile, Window};

/// What a profile page shows.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// All samples.
    pub(super) samples: u64,
    /// The names in the rest.
    pub(super) names: Names,
    /// Cost of each function.
    pub(super) functions: Functions,
    /// Calls from the root; the first level are the targets when there are several.
    pub(super) tree: CallTree,
}

impl Report {
    /// Adds up profiles of one window.
    pub(super) fn of(window: &Window, profiles: &[&Profile]) -> Self {
        let mut report = Self::default();
        let shared = shared_labels(profiles.iter().map(|profile| &profile.target.labels));
        let mut stack = Vec::new();
        for profile in profiles {
            let target = (profiles.len() > 1).then(|| {
                let function = own_labels(&profile.target.labels, &shared);
                report.names.intern(FrameName { function, binary: String::new() })
            });
            for sample in &profile.samples {
                stack.clear();
                let frames = window.stacks.frames(sample.stack);
                stack.extend(frames.iter().map(|frame| report.names.of_frame(window, frame)));
                report.functions.add(&stack, sample.count.0);
                report.tree.add(target.into_iter().chain(stack.iter().rev().copied()), sample.count.0);
                report.samples += sample.count.0;
            }
        }
        report
    }
}

/// The labels that all sets have with the same value; none where there are fewer than two sets.
pub(super) fn shared_labels<'a>(sets: impl IntoIterator<Item = &'a LabelSet>) -> LabelSet {
    let mut sets = sets.into_iter();
    let Some(mut shared) = sets.next().cloned() else { return LabelSet::default() };
    let mut others = 0;
    for set in sets {
        others += 1;
        shared = shared
            .iter()
            .filter(|(name, value)| set.get(name) == Some(value))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
    }
    if others == 0 { LabelSet::default() } else { shared }
}

/// The labels of a set that are not shared, as one line.
fn own_labels(labels: &LabelSet, shared: &LabelSet) -> String {
    labels.iter().filter(|(name, _)| shared.get(name).is_none()).collect::<LabelSet>().to_string()
}

#[cfg(test)]
mod tests {
    use super::shared_labels;
    use crate::label::LabelSet;

    #[test]
    fn shared_labels_are_equal_in_all_sets() {
        let sets: [LabelSet; 2] = [
            [("node", "n"), ("comm", "a"), ("x", "1")].into_iter().collect(),
            [("node", "n"), ("comm", "b")].into_iter().collect(),
        ];
        assert_eq!(shared_labels(&sets), [("node", "n")].into_iter().collect());
        assert_eq!(shared_labels(&sets[..1]), LabelSet::default());
    }
}
