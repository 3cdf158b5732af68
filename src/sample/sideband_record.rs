//! Records of the perf side-band, decoded: `PERF_RECORD_MMAP2`, `PERF_RECORD_COMM` and `PERF_RECORD_LOST` as
//! `include/uapi/linux/perf_event.h` lays them out, each ending in the time at which it was written.

use crate::address::UserAddress;
use crate::object::FileOffset;
use crate::object::mapped::MappedFile;
use crate::process::id::{BootTime, Tgid, ThreadId};
use crate::process::mapping::{Backing, MapsEntry};
use crate::process::mapping_record::{MappingChange, MappingRecord};

const PERF_RECORD_LOST: u32 = 2;
const PERF_RECORD_COMM: u32 = 3;
const PERF_RECORD_EXIT: u32 = 4;
const PERF_RECORD_FORK: u32 = 7;
const PERF_RECORD_MMAP2: u32 = 10;
/// The name changed because of an exec (3.16).
const PERF_RECORD_MISC_COMM_EXEC: u16 = 1 << 13;
/// A build id stands where inode and device would; we do not ask for it.
const PERF_RECORD_MISC_MMAP_BUILD_ID: u16 = 1 << 14;
const PROT_EXEC: u32 = 4;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SidebandRecord {
    /// A change of an address space.
    Mapping(MappingRecord),
    /// The ring was full, and this many records were not written.
    Lost(u64),
    /// A thread began, ended or took another name: the kernel tells that to whoever asks for mappings. The
    /// events of BPF say more of it, so it is of no interest.
    Other,
    /// It happened in a process that has no id where the agent runs.
    Outside,
}

impl SidebandRecord {
    /// Decodes a record with its header; `None` if it is none that was asked for.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (kind, misc, size) = (fields.u32()?, fields.u16()?, fields.u16()?);
        let (body, time) = fields.0.split_last_chunk()?;
        if usize::from(size) != bytes.len() {
            return None;
        }
        let time = BootTime { nanos: u64::from_ne_bytes(*time) };
        let mut fields = Fields(body);
        if kind == PERF_RECORD_LOST {
            let _event = fields.u64()?;
            return fields.u64().map(Self::Lost);
        }
        let (tgid, thread) = (fields.u32()?, fields.u32()?);
        let change = match kind {
            PERF_RECORD_COMM if misc & PERF_RECORD_MISC_COMM_EXEC != 0 => MappingChange::Replaced,
            PERF_RECORD_COMM | PERF_RECORD_EXIT | PERF_RECORD_FORK => return Some(Self::Other),
            PERF_RECORD_MMAP2 if misc & PERF_RECORD_MISC_MMAP_BUILD_ID == 0 => {
                MappingChange::Mapped(fields.mapping()?)
            }
            _ => return None,
        };
        // The kernel writes 0 for a process that is not of the pid namespace of who opened the event, and
        // -1 for one that has left its own already.
        if tgid == 0 || tgid == u32::MAX {
            return Some(Self::Outside);
        }
        Some(Self::Mapping(MappingRecord { time, tgid: Tgid(tgid), thread: ThreadId(thread), change }))
    }
}

/// Fields that were not read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }

    /// What follows the ids in `PERF_RECORD_MMAP2`.
    fn mapping(&mut self) -> Option<MapsEntry> {
        let (start, length, offset) = (self.u64()?, self.u64()?, self.u64()?);
        let device = (self.u32()?, self.u32()?);
        let (inode, _generation) = (self.u64()?, self.u64()?);
        let (protection, _flags) = (self.u32()?, self.u32()?);
        if protection & PROT_EXEC == 0 || length == 0 {
            return None;
        }
        // One NUL at least ends the name; more fill the last eight bytes.
        let name = self.0.split(|byte| *byte == 0).next().filter(|name| name.len() < self.0.len())?;
        let file = MappedFile { device, inode, path: as_in_maps(name) };
        Some(MapsEntry {
            range: UserAddress(start)..UserAddress(start.checked_add(length)?),
            backing: Backing::of(file, FileOffset(offset))?,
        })
    }
}

/// The path as `/proc/PID/maps` writes it: there a line feed would end the line.
fn as_in_maps(path: &[u8]) -> Box<[u8]> {
    let mut written = Vec::with_capacity(path.len());
    for byte in path {
        match byte {
            b'\n' => written.extend(b"\\012"),
            byte => written.push(*byte),
        }
    }
    written.into()
}

#[cfg(test)]
mod tests {
    use super::{PERF_RECORD_COMM, PERF_RECORD_LOST, PERF_RECORD_MMAP2, SidebandRecord};
    use crate::address::UserAddress;
    use crate::process::id::{BootTime, Tgid, ThreadId};
    use crate::process::mapping::{Backing, MapsEntry, parse_maps};
    use crate::process::mapping_record::{MappingChange, MappingRecord};
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn record(kind: u32, misc: u16, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let size = u16::try_from(8 + body.len() + 8).unwrap();
        [&kind.to_ne_bytes()[..], &misc.to_ne_bytes(), &size.to_ne_bytes(), &body, &77_u64.to_ne_bytes()]
            .concat()
    }

    /// `PERF_RECORD_MMAP2` of process 3, thread 4.
    fn mmap2(misc: u16, range: (u64, u64), inode: u64, protection: u32, name: &[u8]) -> Vec<u8> {
        let words = [range.0, range.1, 0x2000];
        let words = words.map(u64::to_ne_bytes).concat();
        let device = [0xfe_u32, 1].map(u32::to_ne_bytes).concat();
        let inode = [inode, 5].map(u64::to_ne_bytes).concat();
        let protection = [protection, 2].map(u32::to_ne_bytes).concat();
        let mut name = [name, b"\0"].concat();
        name.resize(name.len().next_multiple_of(8), 0);
        record(PERF_RECORD_MMAP2, misc, &[&ids(3, 4), &words, &device, &inode, &protection, &name])
    }

    fn ids(tgid: u32, thread: u32) -> Vec<u8> {
        [tgid, thread].map(u32::to_ne_bytes).concat()
    }

    fn mapping(bytes: &[u8]) -> Option<MapsEntry> {
        match SidebandRecord::decode(bytes)? {
            SidebandRecord::Mapping(MappingRecord { change: MappingChange::Mapped(entry), .. }) => {
                Some(entry)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mapping_is_what_the_list_of_the_process_would_say() {
        for (inode, name, line) in [
            (9, "/bin/true", "1000-3000 r-xp 00002000 fe:01 9   /bin/true"),
            (9, "/eight_b", "1000-3000 r-xp 00002000 fe:01 9   /eight_b"),
            (9, "/a b (deleted)", "1000-3000 r-xp 00002000 fe:01 9   /a b (deleted)"),
            (9, "/new\nline", "1000-3000 r-xp 00002000 fe:01 9   /new\\012line"),
            (0, "[vdso]", "1000-3000 r-xp 00000000 00:00 0   [vdso]"),
            (0, "//anon", "1000-3000 rwxp 00000000 00:00 0"),
            (0, "[heap]", "1000-3000 rwxp 00000000 00:00 0   [heap]"),
            (7, "anon_inode:[perf_event]", "1000-3000 r-xp 00002000 00:0f 7   anon_inode:[perf_event]"),
        ] {
            let found = mapping(&mmap2(2, (0x1000, 0x2000), inode, 5, name.as_bytes()));
            assert_eq!(found, parse_maps(line.as_bytes()).next(), "{name}");
        }
    }

    #[test]
    fn only_what_was_asked_for_is_a_mapping() {
        let range = (0x1000, 0x2000);
        let good = mmap2(2, range, 9, 5, b"/a");
        assert!(mapping(&good).is_some());
        for (bad, why) in [
            (mmap2(2, range, 9, 3, b"/a"), "not executable"),
            (mmap2(2 | 1 << 14, range, 9, 5, b"/a"), "a build id instead of device and inode"),
            (mmap2(2, (0x1000, 0), 9, 5, b"/a"), "empty"),
            (mmap2(2, (u64::MAX, 2), 9, 5, b"/a"), "beyond the last address"),
            (mmap2(2, range, 0, 5, b"[vsyscall]"), "of the kernel"),
            (record(1, 2, &[&good[8..good.len() - 8]]), "PERF_RECORD_MMAP"),
            ([&good[..], &[0; 8]].concat(), "longer than it says"),
            (record(PERF_RECORD_MMAP2, 2, &[&good[8..72]]), "without a name"),
        ] {
            assert_eq!(SidebandRecord::decode(&bad), None, "{why}");
        }
        for length in 0..good.len() {
            assert_eq!(SidebandRecord::decode(&good[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn each_kind_of_record() {
        let exec = |tgid| record(PERF_RECORD_COMM, 1 << 13, &[&ids(tgid, 4), b"true\0\0\0\0"]);
        let replaced = SidebandRecord::Mapping(MappingRecord {
            time: BootTime { nanos: 77 },
            tgid: Tgid(3),
            thread: ThreadId(4),
            change: MappingChange::Replaced,
        });
        let lost = record(PERF_RECORD_LOST, 0, &[&1_u64.to_ne_bytes(), &6_u64.to_ne_bytes()]);
        let exit = record(4, 0, &[&ids(3, 1), &ids(3, 1), &[0; 8]]);
        for (bytes, expected) in [
            (exec(3), Some(replaced)),
            (exec(0), Some(SidebandRecord::Outside)),
            (exec(u32::MAX), Some(SidebandRecord::Outside)),
            (record(PERF_RECORD_COMM, 0, &[&ids(3, 4), b"name\0\0\0\0"]), Some(SidebandRecord::Other)),
            (exit, Some(SidebandRecord::Other)),
            (lost, Some(SidebandRecord::Lost(6))),
            (record(9, 0, &[&ids(3, 4)]), None),
        ] {
            assert_eq!(SidebandRecord::decode(&bytes), expected, "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(
            kind in 0..24_u32,
            misc in any::<u16>(),
            body in vec(any::<u8>(), 0..256),
        ) {
            let whole = record(kind, misc, &[&body]);
            if let Some(SidebandRecord::Mapping(record)) = SidebandRecord::decode(&whole) {
                prop_assert_eq!(record.time, BootTime { nanos: 77 });
                if let MappingChange::Mapped(entry) = record.change {
                    prop_assert!(entry.range.start < entry.range.end);
                }
            }
            let _ = SidebandRecord::decode(&body);
        }

        #[test]
        fn any_name_is_kept_up_to_its_nul(start in 1..u64::MAX / 2, name in vec(1..=u8::MAX, 0..64)) {
            let name = [b"/", &name[..]].concat();
            let entry = mapping(&mmap2(2, (start, 0x1000), 9, 5, &name)).unwrap();
            prop_assert_eq!(entry.range, UserAddress(start)..UserAddress(start + 0x1000));
            let Backing::File { file, .. } = entry.backing else { panic!("{:?}", entry.backing) };
            let escaped = String::from_utf8_lossy(&name).replace('\n', "\\012");
            prop_assert_eq!(String::from_utf8_lossy(&file.path), escaped);
        }
    }
}
