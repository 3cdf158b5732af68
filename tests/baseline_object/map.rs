//! Kinds of maps, by their numbers in the kernel's `include/uapi/linux/bpf.h`.

use crate::release::{Fault, Floor, Release};

pub(crate) const HASH: u32 = 1;
pub(crate) const ARRAY: u32 = 2;
pub(crate) const PER_CPU_ARRAY: u32 = 6;
pub(crate) const STACK_TRACE: u32 = 7;
pub(crate) const RING_BUFFER: u32 = 27;

/// The kinds that came after 4.18, in the order of their numbers from 19 on.
const SINCE_4_18: [(&str, Release); 15] = [
    ("cgroup_storage", Release(4, 19)),
    ("reuseport_sockarray", Release(4, 19)),
    ("percpu_cgroup_storage", Release(4, 20)),
    ("queue", Release(4, 20)),
    ("stack", Release(4, 20)),
    ("sk_storage", Release(5, 2)),
    ("devmap_hash", Release(5, 4)),
    ("struct_ops", Release(5, 6)),
    ("ringbuf", Release(5, 8)),
    ("inode_storage", Release(5, 10)),
    ("task_storage", Release(5, 11)),
    ("bloom_filter", Release(5, 16)),
    ("user_ringbuf", Release(6, 1)),
    ("cgrp_storage", Release(6, 2)),
    ("arena", Release(6, 9)),
];

/// The first number in [`SINCE_4_18`].
const FIRST_SINCE: u32 = 19;

/// One entry of the section `maps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
}

impl Map {
    /// Reads `struct bpf_map_def`: kind, key size, value size, entries and flags, and what loaders add.
    pub(crate) fn decode(definition: &[u8]) -> Option<Self> {
        let (words, _) = definition.as_chunks();
        let word = |index: usize| words.get(index).copied().map(u32::from_le_bytes);
        Some(Self { kind: word(0)?, flags: word(4)? })
    }

    /// What the floor refuses in the map.
    pub(crate) fn fault(self, floor: &Floor) -> Option<Fault> {
        let Self { kind, flags } = self;
        let newer = kind.checked_sub(FIRST_SINCE).map(|index| SINCE_4_18.get(index as usize));
        match newer {
            Some(None) => return Some(Fault::Refused(format!("no kernel has a map of kind {kind}"))),
            Some(Some((name, since))) if *since > floor.release => {
                return Some(Fault::Newer { what: format!("a map of kind {kind} ({name})"), since: *since });
            }
            Some(Some(_)) | None => (),
        }
        if !floor.maps.contains(&kind) {
            return Some(Fault::Refused(format!("a map of kind {kind} is not among those in use")));
        }
        // A hash without preallocation is refused in programs of perf events, which run in interrupts
        // (to 6.0); the other flags came later or are for other kinds.
        (flags != 0)
            .then(|| Fault::Refused(format!("map flags {flags:#x}: programs of perf events want none")))
    }
}
