//! The kernel's vDSO: the code that it maps into every process. The same for all of one architecture, so the
//! agent's own is read.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::FileExt;

/// Largest vDSO that is copied, bytes. They have 4 to 16 KiB.
const MAX_BYTES: u64 = 1 << 20;

/// A file with its ELF image.
pub(super) fn copy() -> io::Result<OwnedFd> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let (start, end) = range(&maps).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let length = end.checked_sub(start).filter(|length| *length <= MAX_BYTES);
    let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut image = vec![0; usize::try_from(length).unwrap_or_default()];
    File::open("/proc/self/mem")?.read_exact_at(&mut image, start)?;
    let file = memfd_create("vdso", MemfdFlags::CLOEXEC)?;
    File::from(file.as_fd().try_clone_to_owned()?).write_all(&image)?;
    Ok(file)
}

/// Its first address, and the one behind its last.
fn range(maps: &str) -> Option<(u64, u64)> {
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::{copy, range};
    use std::os::unix::fs::FileExt;

    #[test]
    fn the_line_is_found_by_its_end() {
        let maps =
            "7ff0-7ff8 r--p 00000000 00:00 0 /a[vdso]x\n7ffe1000-7ffe3000 r-xp 00000000 00:00 0    [vdso]\n";
        assert_eq!(range(maps), Some((0x7ffe_1000, 0x7ffe_3000)));
        assert_eq!(range("7ff0-7ff8 r--p 0 0 0\n"), None);
    }

    #[test]
    fn the_copy_is_an_elf_file() {
        let file = std::fs::File::from(copy().unwrap());
        let mut magic = [0; 4];
        file.read_exact_at(&mut magic, 0).unwrap();
        assert_eq!(&magic, b"\x7fELF");
    }
}
