//! The set of CPUs that are online, and its text form in `/sys`.

use crate::sys::perf_event::CpuId;
use std::collections::BTreeSet;
use std::io;

const ONLINE: &str = "/sys/devices/system/cpu/online";
/// More CPUs than any supported kernel is built for (`NR_CPUS` is at most 8192).
const MAX_CPUS: u32 = 8192;

/// The CPUs that are online now.
pub(super) fn online() -> io::Result<BTreeSet<CpuId>> {
    let text = std::fs::read_to_string(ONLINE)?;
    parse(&text).ok_or_else(|| io::Error::other(format!("{ONLINE} reads {text:?}")))
}

/// Parses a list such as `0,3-7`.
fn parse(list: &str) -> Option<BTreeSet<CpuId>> {
    let mut cpus = BTreeSet::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last >= MAX_CPUS {
            return None;
        }
        cpus.extend((first..=last).map(CpuId));
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lists_of_ranges() {
        for (text, expected) in [
            ("0\n", Some(vec![0])),
            ("0,3-5\n", Some(vec![0, 3, 4, 5])),
            ("", None),
            ("0-", None),
            ("0-4294967295", None),
        ] {
            let cpus = parse(text).map(|cpus| cpus.into_iter().map(|cpu| cpu.0).collect::<Vec<_>>());
            assert_eq!(cpus, expected, "{text:?}");
        }
    }
}
