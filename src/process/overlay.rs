//! What remains of a list of mappings when a newer one is put over it, as `mmap` with `MAP_FIXED` does.

use super::mapping::{Backing, MapsEntry};
use crate::address::UserAddress;
use crate::object::FileOffset;
use std::ops::Range;

/// Puts a mapping over others, which are ascending and do not overlap, and stay so.
pub(super) fn overlay(mappings: &mut Vec<MapsEntry>, newer: MapsEntry) {
    if newer.range.is_empty() {
        return;
    }
    let first = mappings.partition_point(|mapping| mapping.range.end <= newer.range.start);
    let after = mappings.partition_point(|mapping| mapping.range.start < newer.range.end);
    let overlapped = mappings.get(first..after).unwrap_or_default();
    let before = overlapped.first().and_then(|mapping| cut(mapping, mapping.range.start..newer.range.start));
    let behind = overlapped.last().and_then(|mapping| cut(mapping, newer.range.end..mapping.range.end));
    mappings.splice(first..after, before.into_iter().chain([newer]).chain(behind));
}

/// A part of a mapping, if it is not empty.
fn cut(mapping: &MapsEntry, range: Range<UserAddress>) -> Option<MapsEntry> {
    let distance = range.start.0.wrapping_sub(mapping.range.start.0);
    let backing = match &mapping.backing {
        Backing::File { file, offset } => {
            Backing::File { file: file.clone(), offset: FileOffset(offset.0.wrapping_add(distance)) }
        }
        other => other.clone(),
    };
    (!range.is_empty()).then_some(MapsEntry { range, backing })
}

#[cfg(test)]
mod tests {
    use super::overlay;
    use crate::address::UserAddress;
    use crate::object::FileOffset;
    use crate::object::mapped::MappedFile;
    use crate::process::mapping::{Backing, MapsEntry};
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    fn entry(start: u64, end: u64, inode: u64, offset: u64) -> MapsEntry {
        let file = MappedFile { device: (8, 1), inode, path: b"/a".as_slice().into() };
        MapsEntry {
            range: UserAddress(start)..UserAddress(end),
            backing: Backing::File { file, offset: FileOffset(offset) },
        }
    }

    #[test]
    fn the_newer_mapping_cuts_the_older() {
        let older = || vec![entry(10, 20, 1, 100), entry(30, 40, 2, 0)];
        for (newer, expected) in [
            (entry(20, 30, 3, 0), vec![entry(10, 20, 1, 100), entry(20, 30, 3, 0), entry(30, 40, 2, 0)]),
            (entry(10, 20, 3, 0), vec![entry(10, 20, 3, 0), entry(30, 40, 2, 0)]),
            (
                entry(12, 15, 3, 7),
                vec![entry(10, 12, 1, 100), entry(12, 15, 3, 7), entry(15, 20, 1, 105), entry(30, 40, 2, 0)],
            ),
            (entry(15, 35, 3, 0), vec![entry(10, 15, 1, 100), entry(15, 35, 3, 0), entry(35, 40, 2, 5)]),
            (entry(0, 50, 3, 0), vec![entry(0, 50, 3, 0)]),
            (entry(15, 15, 3, 0), older()),
        ] {
            let mut mappings = older();
            overlay(&mut mappings, newer.clone());
            assert_eq!(mappings, expected, "{newer:?}");
        }
    }

    proptest! {
        /// The reference keeps each address by itself.
        #[test]
        fn each_address_belongs_to_the_last_that_was_put_there(
            ranges in vec((0..64_u64, 0..16_u64), 0..24),
        ) {
            let (mut mappings, mut addresses) = (Vec::new(), [None; 80]);
            for (inode, (start, length)) in (0..).zip(ranges) {
                overlay(&mut mappings, entry(start, start + length, inode, 1000));
                for address in start..start + length {
                    addresses[address as usize] = Some((inode, 1000 + address - start));
                }
            }
            prop_assert!(mappings.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
            for (address, expected) in (0..).zip(addresses) {
                let found = mappings.iter().find(|mapping| mapping.range.contains(&UserAddress(address)));
                let found = found.map(|mapping| match &mapping.backing {
                    Backing::File { file, offset } => {
                        (file.inode, offset.0 + address - mapping.range.start.0)
                    }
                    other => panic!("{other:?}"),
                });
                prop_assert_eq!(found, expected, "{}", address);
            }
        }
    }
}
