//! Executable mappings of a process: `/proc/PID/maps`, and where in which file an address lies.
//!
//! Format: proc_pid_maps(5). A path may hold any byte but NUL, and the kernel writes only line feeds as
//! `\012`; it is the rest of the line and never split at spaces.

use crate::address::UserAddress;
use crate::object::mapped::MappedFile;
use crate::object::{FileOffset, ObjectId};
use std::ops::Range;

/// Executable mappings that are kept of one process; the rest is counted. V8 alone can make 100 000.
pub const MAX_MAPPINGS: usize = 16 * 1024;

/// What stands behind a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// A file.
    File {
        /// As the kernel names it. A deleted file's path ends in ` (deleted)`.
        file: MappedFile,
        /// Where in the file the range begins.
        offset: FileOffset,
    },
    /// The kernel's shared code for fast system calls, the same for all processes of one kind.
    Vdso,
    /// No file: code that the process made itself.
    Anonymous,
}

/// One executable mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapsEntry {
    /// Its addresses.
    pub range: Range<UserAddress>,
    /// What stands behind them.
    pub backing: Backing,
}

/// The executable mappings in the text of `/proc/PID/maps`, ascending. Lines that are not understood are
/// passed over.
pub fn parse_maps(text: &[u8]) -> impl Iterator<Item = MapsEntry> + '_ {
    text.split(|byte| *byte == b'\n').filter_map(parse_line)
}

fn parse_line(line: &[u8]) -> Option<MapsEntry> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut field = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
    let (start, end) = field()?.split_once('-')?;
    let permissions = field()?;
    let offset = hex(field()?)?;
    let (major, minor) = field()?.split_once(':')?;
    let inode = field()?.parse().ok()?;
    if permissions.as_bytes().get(2) != Some(&b'x') {
        return None;
    }
    let name = fields.next().unwrap_or_default().trim_ascii_start();
    let backing = match name {
        b"[vdso]" => Backing::Vdso,
        b"[vsyscall]" => return None,
        path if inode != 0 && path.first() == Some(&b'/') => Backing::File {
            file: MappedFile {
                device: (hex(major)?.try_into().ok()?, hex(minor)?.try_into().ok()?),
                inode,
                path: path.into(),
            },
            offset: FileOffset(offset),
        },
        _ => Backing::Anonymous,
    };
    Some(MapsEntry { range: UserAddress(hex(start)?)..UserAddress(hex(end)?), backing })
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// What an address means once the files behind the mappings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    Object(ObjectId, FileOffset),
    /// In code without a file.
    Anonymous,
}

/// One mapping whose file has an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its addresses.
    pub range: Range<UserAddress>,
    /// The file and where in it the range begins; `None` for code without a file.
    pub object: Option<(ObjectId, FileOffset)>,
}

/// The executable mappings of one address space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings(Box<[Mapping]>);

impl Mappings {
    /// Takes mappings in any order.
    pub fn new(mut mappings: Vec<Mapping>) -> Self {
        mappings.sort_by_key(|mapping| mapping.range.start);
        Self(mappings.into())
    }

    /// Every mapping, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.0.iter()
    }

    /// What lies at an address; `None` where nothing executable is mapped.
    pub fn find(&self, address: UserAddress) -> Option<Place> {
        let after = self.0.partition_point(|mapping| mapping.range.start <= address);
        let mapping = self.0.get(after.checked_sub(1)?)?;
        if address >= mapping.range.end {
            return None;
        }
        Some(match mapping.object {
            Some((object, start)) => {
                let distance = address.0 - mapping.range.start.0;
                Place::Object(object, FileOffset(start.0.wrapping_add(distance)))
            }
            None => Place::Anonymous,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Backing, Mapping, Mappings, Place, parse_maps};
    use crate::address::UserAddress;
    use crate::object::mapped::MappedFile;
    use crate::object::{FileOffset, ObjectId};

    fn path_of(line: &[u8]) -> Option<Vec<u8>> {
        match parse_maps(line).next()?.backing {
            Backing::File { file, .. } => Some(file.path.into_vec()),
            Backing::Vdso | Backing::Anonymous => None,
        }
    }

    #[test]
    fn a_path_is_the_rest_of_the_line() {
        for path in ["/bin/cat", "/a b  c ", "/tmp/x (deleted)", "/tmp/new\\012line"] {
            let line = format!("55d0-55d8 r-xp 00002000 fe:00 1234                       {path}");
            assert_eq!(path_of(line.as_bytes()).as_deref(), Some(path.as_bytes()), "{path:?}");
        }
        let not_utf8 = b"1000-2000 r-xp 00000000 00:1f 9 /tmp/\xff\xfe";
        assert_eq!(path_of(not_utf8).as_deref(), Some(&b"/tmp/\xff\xfe"[..]));
    }

    #[test]
    fn only_executable_mappings_count() {
        let text = b"1000-2000 r--p 00000000 fe:00 5 /bin/a\n\
                     2000-3000 r-xp 00001000 fe:00 5 /bin/a\n\
                     3000-4000 rwxp 00000000 00:00 0 \n\
                     4000-5000 rwxp 00000000 00:01 77 anon_inode:[perf_event]\n\
                     7000-8000 r-xp 00000000 00:00 0                          [vdso]\n\
                     ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n\
                     garbage\n";
        let backings: Vec<_> = parse_maps(text).map(|entry| entry.backing).collect();
        let file = Backing::File {
            file: MappedFile { device: (0xfe, 0), inode: 5, path: b"/bin/a".as_slice().into() },
            offset: FileOffset(0x1000),
        };
        assert_eq!(backings, [file, Backing::Anonymous, Backing::Anonymous, Backing::Vdso]);
    }

    #[test]
    fn an_address_is_found_in_its_mapping_only() {
        let range = |start, end| UserAddress(start)..UserAddress(end);
        let mappings = Mappings::new(vec![
            Mapping { range: range(0x3000, 0x4000), object: None },
            Mapping { range: range(0x1000, 0x2000), object: Some((ObjectId(7), FileOffset(0x500))) },
        ]);
        for (address, place) in [
            (0xfff, None),
            (0x1000, Some(Place::Object(ObjectId(7), FileOffset(0x500)))),
            (0x1fff, Some(Place::Object(ObjectId(7), FileOffset(0x14ff)))),
            (0x2000, None),
            (0x3000, Some(Place::Anonymous)),
            (0x4000, None),
        ] {
            assert_eq!(mappings.find(UserAddress(address)), place, "{address:#x}");
        }
    }
}
