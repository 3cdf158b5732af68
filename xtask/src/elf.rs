//! The little of ELF that tells a static program from one that needs a loader.

/// What an executable needs from the machine it starts on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// Nothing.
    Static,
    /// A program interpreter (`PT_INTERP`).
    Interpreter,
    /// Shared libraries (`DT_NEEDED`).
    Libraries,
}

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;

/// The machine number and linkage of a 64-bit little-endian ELF file; `None` if it is not one.
pub(crate) fn inspect(file: &[u8]) -> Option<(u16, Linkage)> {
    // e_ident: magic, class 2 (64 bits), data 1 (little-endian).
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let machine = u16::from_le_bytes(bytes(file, 18)?);
    let table = usize::try_from(u64::from_le_bytes(bytes(file, 32)?)).ok()?;
    let entry_size = usize::from(u16::from_le_bytes(bytes(file, 54)?));
    let count = usize::from(u16::from_le_bytes(bytes(file, 56)?));
    let mut linkage = Linkage::Static;
    for index in 0..count {
        let header = table.checked_add(index.checked_mul(entry_size)?)?;
        match u32::from_le_bytes(bytes(file, header)?) {
            PT_INTERP => linkage = Linkage::Interpreter,
            PT_DYNAMIC if linkage == Linkage::Static && needs_libraries(file, header)? => {
                linkage = Linkage::Libraries;
            }
            _ => {}
        }
    }
    Some((machine, linkage))
}

/// Whether the dynamic section that a program header describes names a library. A static program that
/// relocates itself has such a section too, without one.
fn needs_libraries(file: &[u8], header: usize) -> Option<bool> {
    let offset = usize::try_from(u64::from_le_bytes(bytes(file, header.checked_add(8)?)?)).ok()?;
    let size = usize::try_from(u64::from_le_bytes(bytes(file, header.checked_add(32)?)?)).ok()?;
    let section = file.get(offset..offset.checked_add(size)?)?;
    Some(section.chunks_exact(16).any(|entry| bytes(entry, 0) == Some(DT_NEEDED.to_le_bytes())))
}

fn bytes<const N: usize>(file: &[u8], offset: usize) -> Option<[u8; N]> {
    file.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EM_X86_64: u16 = 62;

    /// An ELF file with one program header at 64 and one dynamic entry at 120.
    fn file(segment: u32, tag: u64) -> Vec<u8> {
        let mut file = vec![0; 136];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18..20].copy_from_slice(&EM_X86_64.to_le_bytes());
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64..68].copy_from_slice(&segment.to_le_bytes());
        file[72] = 120;
        file[96] = 16;
        file[120..128].copy_from_slice(&tag.to_le_bytes());
        file
    }

    #[test]
    fn linkage_follows_from_segments_and_dynamic_entries() {
        const PT_LOAD: u32 = 1;
        const DT_FLAGS: u64 = 30;
        let cases = [
            (PT_LOAD, 0, Linkage::Static),
            (PT_DYNAMIC, DT_FLAGS, Linkage::Static),
            (PT_DYNAMIC, DT_NEEDED, Linkage::Libraries),
            (PT_INTERP, 0, Linkage::Interpreter),
        ];
        for (segment, tag, expected) in cases {
            assert_eq!(inspect(&file(segment, tag)), Some((EM_X86_64, expected)));
        }
    }

    #[test]
    fn what_is_cut_short_or_not_elf_is_refused() {
        let whole = file(PT_DYNAMIC, DT_NEEDED);
        for length in 0..whole.len() - 1 {
            assert_eq!(inspect(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(inspect(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn this_test_itself_needs_a_loader() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(matches!(inspect(&program), Some((_, Linkage::Interpreter | Linkage::Libraries))));
    }
}
