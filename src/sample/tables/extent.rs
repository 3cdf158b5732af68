//! Which parts of the fixed tables are in use: runs of entries, in one long table or in blocks.

use parca_agent_common::table::Run;
use std::collections::BTreeMap;

/// The free runs of a table of entries.
#[derive(Clone, Debug)]
pub(super) struct Extents {
    /// Length by first entry. No two touch.
    free: BTreeMap<u32, u32>,
}

impl Extents {
    /// All of a table of a size.
    pub(super) fn new(entries: u32) -> Self {
        Self { free: BTreeMap::from([(0, entries)]) }
    }

    /// Takes the smallest free run that is long enough; `None` if there is none.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let fits = self.free.iter().filter(|(_, length)| **length >= count);
        let (first, length) =
            fits.min_by_key(|(_, length)| **length).map(|(first, length)| (*first, *length))?;
        self.free.remove(&first);
        if length > count {
            self.free.insert(first + count, length - count);
        }
        Some(first)
    }

    /// Gives a run back.
    pub(super) fn give(&mut self, first: u32, count: u32) {
        if count == 0 {
            return;
        }
        let (mut first, mut count) = (first, count);
        if let Some((before, length)) =
            self.free.range(..first).next_back().map(|(at, length)| (*at, *length))
            && before + length == first
        {
            self.free.remove(&before);
            (first, count) = (before, length + count);
        }
        if let Some(length) = self.free.remove(&(first + count)) {
            count += length;
        }
        self.free.insert(first, count);
    }

    /// The longest free run.
    fn longest(&self) -> u32 {
        self.free.values().copied().max().unwrap_or_default()
    }
}

/// Free runs in blocks of one size. Blocks are begun as they are needed.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    entries: u32,
    most: usize,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
struct Block {
    extents: Extents,
    longest: u32,
}

impl Blocks {
    /// At most `most` blocks of `entries` entries.
    pub(super) fn new(entries: usize, most: u32) -> Self {
        Self { entries: entries as u32, most: most as usize, blocks: Vec::new() }
    }

    /// Takes a run of entries in one block; `None` if no block has room.
    pub(super) fn take(&mut self, count: u16) -> Option<Run> {
        let wanted = u32::from(count);
        let found = self.blocks.iter().position(|block| block.longest >= wanted);
        let index = match found {
            Some(index) => index,
            None if self.blocks.len() < self.most && wanted <= self.entries => {
                self.blocks.push(Block { extents: Extents::new(self.entries), longest: self.entries });
                self.blocks.len() - 1
            }
            None => return None,
        };
        let block = self.blocks.get_mut(index)?;
        let first = block.extents.take(wanted)?;
        block.longest = block.extents.longest();
        Some(Run { block: u16::try_from(index).ok()?, first: u16::try_from(first).ok()?, count, reserved: 0 })
    }

    /// Gives a run back.
    pub(super) fn give(&mut self, run: Run) {
        if let Some(block) = self.blocks.get_mut(usize::from(run.block)) {
            block.extents.give(u32::from(run.first), u32::from(run.count));
            block.longest = block.extents.longest();
        }
    }

    /// Blocks begun.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocks, Extents};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn what_is_given_back_joins_its_neighbours() {
        let mut extents = Extents::new(10);
        let [a, b, c] = [3, 3, 4].map(|count| extents.take(count).unwrap());
        assert_eq!((a, b, c), (0, 3, 6));
        assert_eq!(extents.take(1), None);
        extents.give(a, 3);
        extents.give(c, 4);
        assert_eq!(extents.take(5), None, "the middle is in use");
        extents.give(b, 3);
        assert_eq!(extents.take(10), Some(0));
    }

    #[test]
    fn the_smallest_gap_that_fits_is_taken() {
        let mut extents = Extents::new(100);
        extents.take(100);
        extents.give(0, 50);
        extents.give(60, 5);
        assert_eq!(extents.take(5), Some(60));
    }

    #[test]
    fn blocks_are_begun_when_none_has_room() {
        let mut blocks = Blocks::new(16, 2);
        let runs: Vec<_> = (0..4).map(|_| blocks.take(7).unwrap()).collect();
        assert_eq!(
            runs.iter().map(|run| (run.block, run.first)).collect::<Vec<_>>(),
            [(0, 0), (0, 7), (1, 0), (1, 7)]
        );
        assert_eq!(blocks.take(7), None);
        assert_eq!(blocks.take(17), None, "longer than a block");
        blocks.give(runs[1]);
        assert_eq!(blocks.take(8).map(|run| (run.block, run.first)), Some((0, 7)));
    }

    proptest! {
        #[test]
        fn runs_in_use_never_overlap(steps in proptest::collection::vec((any::<bool>(), 1_u16..9), 0..200)) {
            let mut blocks = Blocks::new(32, 4);
            let mut used: Vec<parca_agent_common::table::Run> = Vec::new();
            for (take, number) in steps {
                if take {
                    if let Some(run) = blocks.take(number) {
                        let overlaps = |other: &parca_agent_common::table::Run| {
                            other.block == run.block
                                && other.first < run.first + run.count
                                && run.first < other.first + other.count
                        };
                        prop_assert!(!used.iter().any(overlaps));
                        used.push(run);
                    }
                } else if !used.is_empty() {
                    blocks.give(used.swap_remove(usize::from(number) % used.len()));
                }
            }
            for run in used {
                blocks.give(run);
            }
            prop_assert_eq!((0..4).filter(|_| blocks.take(32).is_some()).count(), 4);
        }
    }
}
