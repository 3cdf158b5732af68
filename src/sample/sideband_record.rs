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
    /// Nothing that is of interest: a thread took another name.
    Renamed,
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
            PERF_RECORD_COMM => return Some(Self::Renamed),
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
