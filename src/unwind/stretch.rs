//! Stretches of code, each with one source of rows: sorted, without overlaps.

/// Padding between two functions that belongs to the one before, bytes.
pub(super) const MAX_PADDING: u64 = 15;

/// Code from one address, as the object file states it, to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) start: u64,
    /// Not part of it.
    pub(super) end: u64,
    pub(super) content: Content,
}

/// Where the rows come from. Of two for one start, the first in this order is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    /// Go's table.
    Go,
    /// The FDE at an offset of the section.
    Fde(u32),
    /// A signal handler returns to it.
    Signal,
    /// There is no caller.
    Outermost,
}

/// Sorts stretches. Where two overlap, Go's wins, and else the one that starts later; of two with one start,
/// the first.
pub(super) fn arrange(stretches: &mut Vec<Stretch>) {
    stretches.retain(|stretch| stretch.start < stretch.end);
    stretches.sort_unstable_by_key(|stretch| (stretch.start, stretch.content));
    let (mut kept, mut go_end) = (0_usize, 0);
    for index in 0..stretches.len() {
        let Some(mut stretch) = stretches.get(index).copied() else { break };
        stretch.start = stretch.start.max(go_end);
        if stretch.start >= stretch.end {
            continue;
        }
        if stretch.content == Content::Go {
            go_end = stretch.end;
        }
        if let Some(last) = kept.checked_sub(1).and_then(|last| stretches.get_mut(last)) {
            if last.start == stretch.start {
                continue;
            }
            last.end = last.end.min(stretch.start);
        }
        if let Some(place) = stretches.get_mut(kept) {
            *place = stretch;
            kept += 1;
        }
    }
    stretches.truncate(kept);
}

/// What lies between stretches, from one address to another: pairs of start and end.
pub(super) fn gaps(stretches: &[Stretch], from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    let first = stretches.partition_point(|stretch| stretch.end <= from);
    let inside = stretches.get(first..).unwrap_or_default().iter();
    let inside = inside.take_while(move |stretch| stretch.start < to);
    let starts = std::iter::once(from).chain(inside.clone().map(|stretch| stretch.end));
    let ends = inside.map(|stretch| stretch.start).chain(std::iter::once(to));
    starts.zip(ends).filter(|(start, end)| start < end)
}

#[cfg(test)]
mod tests {
    use super::{Content, Stretch, arrange, gaps};
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    /// Start, end, content.
    type Parts = (u64, u64, Content);

    fn arranged(given: &[Parts]) -> Vec<Parts> {
        let mut stretches: Vec<_> = given
            .iter()
            .map(|(start, end, content)| Stretch { start: *start, end: *end, content: *content })
            .collect();
        arrange(&mut stretches);
        stretches.into_iter().map(|stretch| (stretch.start, stretch.end, stretch.content)).collect()
    }

    const fn fde(offset: u32) -> Content {
        Content::Fde(offset)
    }

    #[test]
    fn of_two_the_later_start_wins_and_go_always() {
        let cases: [(&str, &[Parts], &[Parts]); 6] = [
            ("descending", &[(20, 30, fde(1)), (0, 10, fde(2))], &[(0, 10, fde(2)), (20, 30, fde(1))]),
            ("overlap", &[(0, 20, fde(1)), (10, 30, fde(2))], &[(0, 10, fde(1)), (10, 30, fde(2))]),
            ("twice", &[(0, 20, fde(1)), (0, 20, fde(2))], &[(0, 20, fde(1))]),
            ("empty", &[(0, 0, fde(1)), (9, 3, fde(2))], &[]),
            (
                "inside Go",
                &[(5, 50, fde(1)), (20, 25, fde(2)), (10, 40, Content::Go), (35, 60, fde(3))],
                &[(5, 10, fde(1)), (10, 40, Content::Go), (40, 60, fde(3))],
            ),
            ("starts with Go", &[(10, 20, fde(1)), (10, 40, Content::Go)], &[(10, 40, Content::Go)]),
        ];
        for (name, given, expected) in cases {
            assert_eq!(arranged(given), expected, "{name}");
        }
    }

    #[test]
    fn gaps_are_what_is_left() {
        let stretches =
            [(10, 20), (20, 30), (45, 50)].map(|(start, end)| Stretch { start, end, content: fde(0) });
        let between = |from, to| gaps(&stretches, from, to).collect::<Vec<_>>();
        assert_eq!(between(0, 60), [(0, 10), (30, 45), (50, 60)]);
        assert_eq!(between(12, 48), [(30, 45)]);
        assert_eq!(between(31, 40), [(31, 40)]);
        assert_eq!(between(60, 60), []);
    }

    proptest! {
        #[test]
        fn stretches_never_overlap(
            given in vec((0_u64..200, 0_u64..60, any::<u32>().prop_map(Content::Fde)), 0..30),
        ) {
            let given: Vec<_> =
                given.into_iter().map(|(start, length, content)| (start, start + length, content)).collect();
            let arranged = arranged(&given);
            prop_assert!(arranged.iter().all(|stretch| stretch.0 < stretch.1));
            prop_assert!(arranged.is_sorted_by(|left, right| left.1 <= right.0));
            for address in 0..300 {
                let starts = |list: &[Parts]| {
                    list.iter().filter(|stretch| stretch.0 <= address && address < stretch.1).map(|stretch| stretch.0).max()
                };
                // A shorter stretch that lies in a longer one cuts off the rest of that.
                if starts(&arranged).is_some() {
                    prop_assert_eq!(starts(&arranged), starts(&given));
                }
            }
        }
    }
}
