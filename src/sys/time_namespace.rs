//! The agent's time namespace (5.6, time_namespaces(7)): its boot clock, and with it the start times in `/proc`, may
//! be set off from the kernel's own, by which BPF programs tell the time.

use std::io;
use std::path::Path;
use std::sync::LazyLock;

/// How far the boot clock of this process is ahead of the kernel's, nanoseconds. The kernel lets nobody change it once
/// a process is in the namespace.
static OFFSET: LazyLock<i64> = LazyLock::new(|| {
    let inode = |path: &Path| rustix::fs::stat(path).map(|stat| stat.st_ino).map_err(io::Error::from);
    offset(inode, || std::fs::read("/proc/self/timens_offsets"))
});

/// How far the boot clock of this process is ahead of the kernel's, nanoseconds.
pub fn offset_nanos() -> i64 {
    *OFFSET
}

/// The offsets that the kernel tells are those of the namespace that children get. A process that has unshared its own
/// is not in it before it executes another program.
fn offset(inode: impl Fn(&Path) -> io::Result<u64>, offsets: impl Fn() -> io::Result<Vec<u8>>) -> i64 {
    let inode = |path| inode(Path::new(path)).ok();
    let own = inode("/proc/self/ns/time");
    if own.is_none() || own != inode("/proc/self/ns/time_for_children") {
        return 0;
    }
    offsets().ok().and_then(|text| parse(&text)).unwrap_or_default()
}

/// The line `boottime SECONDS NANOSECONDS`, of which the nanoseconds are never negative.
fn parse(offsets: &[u8]) -> Option<i64> {
    let line = std::str::from_utf8(offsets).ok()?.lines().find_map(|line| line.strip_prefix("boottime"))?;
    let mut numbers = line.split_ascii_whitespace().map(str::parse::<i64>);
    let (seconds, nanos) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::{offset, parse};
    use std::io::{Error, ErrorKind};

    #[test]
    fn the_offset_is_that_of_the_boot_clock() {
        for (text, expected) in [
            ("monotonic           0         0\nboottime            0         0\n", Some(0)),
            ("monotonic  5 0\nboottime      100000   7\n", Some(100_000_000_000_007)),
            ("boottime          -2 500000000\n", Some(-1_500_000_000)),
            ("boottime 9223372036854775807 0\n", None),
            ("boottime 1\n", None),
            ("monotonic 5 0\n", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn only_offsets_of_the_own_namespace_count() {
        for (name, own, of_children, expected) in [
            ("the same", Some(1), Some(1), 3_000_000_000),
            ("unshared", Some(1), Some(2), 0),
            ("before 5.6", None, None, 0),
        ] {
            let inode = |path: &std::path::Path| {
                let inode = if path.ends_with("time") { own } else { of_children };
                inode.ok_or(Error::from(ErrorKind::NotFound))
            };
            assert_eq!(offset(inode, || Ok(b"boottime 3 0\n".to_vec())), expected, "{name}");
        }
    }
}
