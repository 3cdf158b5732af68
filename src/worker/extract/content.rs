//! What a file has, and which files have more.

use super::kept::{DWARF, GO_TABLES};
use super::names::Names;
use super::{ENDIAN, Section};
use crate::debuginfo::plan::{AlternateLink, Content, DebugLink, MAX_LINK_BUILD_ID, MAX_LINK_NAME};
use crate::worker::read_at::{Headers, ReadAt};
use object::elf::{SHT_DYNSYM, SHT_SYMTAB};
use object::read::elf::SectionHeader;

/// Bytes of the checksum in `.gnu_debuglink`, and what its place is aligned to.
const CRC_BYTES: usize = 4;

/// Most bytes of a section that is a link.
const MAX_LINK: u64 = (MAX_LINK_NAME + 1 + CRC_BYTES + MAX_LINK_BUILD_ID) as u64;

/// Looks at the sections that are kept.
pub(super) fn content<F: ReadAt + ?Sized>(
    sections: &[Section],
    kept: &[bool],
    names: &Names<'_>,
    headers: &Headers<'_, F>,
) -> Content {
    let kept = || {
        let kept = sections.iter().zip(kept).filter(|(section, kept)| **kept && section.sh_size(ENDIAN) > 0);
        kept.map(|(section, _)| (section, names.of(section)))
    };
    let has_type = |wanted| kept().any(|(section, _)| section.sh_type(ENDIAN) == wanted);
    let has_name = |wanted: &[&[u8]]| kept().any(|(_, name)| wanted.contains(&name));
    let link = |wanted: &[u8]| {
        let (section, _) = kept().find(|(_, name)| *name == wanted)?;
        // One that cannot be read leads nowhere.
        (section.sh_size(ENDIAN) <= MAX_LINK).then(|| section.data(ENDIAN, headers).ok()).flatten()
    };
    Content {
        has_dwarf: has_name(&DWARF),
        has_symtab: has_type(SHT_SYMTAB),
        has_dynsym: has_type(SHT_DYNSYM),
        has_go_tables: has_name(&GO_TABLES),
        has_gnu_debugdata: has_name(&[b".gnu_debugdata"]),
        debug_link: link(b".gnu_debuglink").and_then(debug_link),
        alternate_link: link(b".gnu_debugaltlink").and_then(alternate_link),
    }
}

/// Name, NUL, zeros up to a multiple of four, CRC.
fn debug_link(bytes: &[u8]) -> Option<DebugLink> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let crc = bytes.get((end + 1).next_multiple_of(CRC_BYTES)..)?.first_chunk()?;
    DebugLink::new(bytes.get(..end)?, u32::from_le_bytes(*crc))
}

/// Path, NUL, build id.
fn alternate_link(bytes: &[u8]) -> Option<AlternateLink> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    AlternateLink::new(bytes.get(..end)?, bytes.get(end + 1..)?)
}

#[cfg(test)]
mod tests {
    use super::{alternate_link, debug_link};

    #[test]
    fn links_are_read_or_are_none() {
        for (bytes, expected) in [
            (&b"a.debug\0\x01\x02\x03\x04"[..], Some((&b"a.debug"[..], 0x0403_0201))),
            (b"ab.debug\0\0\0\0\x01\x02\x03\x04", Some((b"ab.debug", 0x0403_0201))),
            (b"ab.debug\0\0\0\0\x01\x02\x03", None),
            (b"ab.debug\0", None),
            (b"ab.debug", None),
            (b"/x\0\0\x01\x02\x03\x04", None),
            (b"", None),
        ] {
            let link = debug_link(bytes);
            assert_eq!(link.as_ref().map(|link| (&*link.name, link.crc)), expected, "{bytes:?}");
        }
        let link = alternate_link(b"/usr/lib/debug/.dwz/a.debug\0\xaa\xbb").unwrap();
        assert_eq!((&*link.path, &*link.build_id), (&b"/usr/lib/debug/.dwz/a.debug"[..], &[0xaa, 0xbb][..]));
        assert_eq!(alternate_link(b"/a\0"), None);
        assert_eq!(alternate_link(b"/a"), None);
    }
}
