//! Which sections of a file keep their bytes.

use super::names::Names;
use super::{ENDIAN, Section};
use object::elf::{
    SHT_DYNSYM, SHT_NOBITS, SHT_NOTE, SHT_NULL, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
};
use object::read::elf::SectionHeader;

/// The second is that of position-independent programs before Go 1.26.
pub(super) const GO_TABLES: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];

/// The second holds bytes that were compressed before ELF had a flag for it.
pub(super) const DWARF: [&[u8]; 2] = [b".debug_info", b".zdebug_info"];

/// Beginnings of names: DWARF's sections, of which there are many.
const BEGINNINGS: [&[u8]; 2] = [b".debug_", b".zdebug_"];

/// Whole names, of what has no type of its own. `.interp` is here because `readelf` complains of a program without.
const NAMES: [&[u8]; 8] = [
    b".comment",
    b".gnu_debugaltlink",
    b".gnu_debugdata",
    b".gnu_debuglink",
    b".go.buildinfo",
    b".gosymtab",
    b".data.rel.ro.gosymtab",
    b".interp",
];

/// Says for each section whether its bytes are wanted. Those without bytes are not.
pub(super) fn kept(sections: &[Section], names: &Names<'_>) -> Vec<bool> {
    let mut kept: Vec<_> = sections.iter().map(|section| is_wanted(section, names.of(section))).collect();
    let links = sections.iter().zip(&kept).filter(|(section, kept)| **kept && has_strings(section));
    let links: Vec<_> = links.map(|(section, _)| section.sh_link(ENDIAN)).collect();
    let tables = links.into_iter().filter_map(|link| usize::try_from(link).ok()).chain([names.section]);
    for table in tables {
        // A link that leads elsewhere is none.
        if sections.get(table).is_some_and(|section| section.sh_type(ENDIAN) == SHT_STRTAB)
            && let Some(kept) = kept.get_mut(table)
        {
            *kept = true;
        }
    }
    // What stands there is no section, whatever it says.
    if let Some(first) = kept.first_mut() {
        *first = false;
    }
    kept
}

fn is_wanted(section: &Section, name: &[u8]) -> bool {
    match section.sh_type(ENDIAN) {
        SHT_NULL | SHT_NOBITS => false,
        SHT_SYMTAB | SHT_SYMTAB_SHNDX | SHT_DYNSYM | SHT_NOTE => true,
        SHT_PROGBITS => {
            BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
                || NAMES.contains(&name)
                || GO_TABLES.contains(&name)
        }
        _ => false,
    }
}

/// Its link leads to the strings that it has offsets of.
fn has_strings(section: &Section) -> bool {
    matches!(section.sh_type(ENDIAN), SHT_SYMTAB | SHT_DYNSYM)
}
