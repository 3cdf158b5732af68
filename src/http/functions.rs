//! The cost of each function in a report.

use super::names::NameId;
use std::collections::{BTreeMap, HashMap};

/// Samples of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FunctionCost {
    /// Its name.
    pub(super) name: NameId,
    /// Taken in the function itself.
    pub(super) own: u64,
    /// Taken in it or in what it called.
    pub(super) total: u64,
}

/// Adds up stacks.
#[derive(Debug, Default)]
pub(super) struct Functions {
    costs: HashMap<NameId, (u64, u64)>,
    /// Names of the stack at hand, kept to spare an allocation for each.
    seen: Vec<NameId>,
}

impl Functions {
    /// Adds a stack, leaf first. A function that called itself counts once.
    pub(super) fn add(&mut self, stack: &[NameId], samples: u64) {
        if let Some(leaf) = stack.first() {
            self.costs.entry(*leaf).or_default().0 += samples;
        }
        self.seen.clear();
        self.seen.extend_from_slice(stack);
        self.seen.sort_unstable();
        self.seen.dedup();
        for name in &self.seen {
            self.costs.entry(*name).or_default().1 += samples;
        }
    }

    /// Every function; the one with the most samples of its own first.
    pub(super) fn by_own(&self) -> Vec<FunctionCost> {
        let mut costs: Vec<_> = self
            .costs
            .iter()
            .map(|(name, (own, total))| FunctionCost { name: *name, own: *own, total: *total })
            .collect();
        costs.sort_unstable_by_key(|cost| (std::cmp::Reverse((cost.own, cost.total)), cost.name));
        costs
    }
}

/// The functions worth showing, at most `2 * limit`, in their order: those with the most samples of their
/// own, and those with the most in all, so that `main` is there though it does nothing itself.
pub(super) fn worth_showing(by_own: &[FunctionCost], limit: usize) -> Vec<FunctionCost> {
    let mut by_total: Vec<usize> = (0..by_own.len()).collect();
    by_total.sort_by_key(|index| std::cmp::Reverse(by_own.get(*index).map(|cost| cost.total)));
    let shown: BTreeMap<usize, FunctionCost> = (0..by_own.len().min(limit))
        .chain(by_total.into_iter().take(limit))
        .filter_map(|index| Some((index, *by_own.get(index)?)))
        .collect();
    shown.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::{Functions, worth_showing};
    use crate::http::frame_name::FrameName;
    use crate::http::names::{NameId, Names};

    fn ids<const N: usize>() -> [NameId; N] {
        let mut names = Names::default();
        std::array::from_fn(|index| {
            names.intern(FrameName { function: index.to_string(), binary: String::new() })
        })
    }

    #[test]
    fn recursion_counts_once_in_the_total() {
        let [leaf, recursive, main] = ids();
        let mut functions = Functions::default();
        functions.add(&[leaf, recursive, recursive, recursive, main], 3);
        functions.add(&[recursive, recursive, main], 2);
        functions.add(&[], 7);
        let costs: Vec<_> = functions.by_own().iter().map(|cost| (cost.name, cost.own, cost.total)).collect();
        assert_eq!(costs, [(leaf, 3, 3), (recursive, 2, 5), (main, 0, 5)]);
    }

    #[test]
    fn what_is_shown_has_the_most_of_either() {
        let [a, b, c, main] = ids();
        let mut functions = Functions::default();
        for (leaf, samples) in [(a, 3), (b, 2), (c, 1)] {
            functions.add(&[leaf, main], samples);
        }
        let shown: Vec<_> = worth_showing(&functions.by_own(), 1).iter().map(|cost| cost.name).collect();
        assert_eq!(shown, [a, main]);
    }
}
