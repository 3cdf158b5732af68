//! `/proc/PID/stat`: when a process started, by whom, and whether it is one.

/// Field 22, `starttime`, in clock ticks since boot. The name in field 2 may hold any byte, parentheses
/// too, and ends at the last closing one.
pub fn start_ticks(stat: &[u8]) -> Option<u64> {
    field(stat, 22)
}

/// Field 9, `flags`, holds `PF_KTHREAD`: it is a thread of the kernel.
pub fn is_kernel_thread(stat: &[u8]) -> bool {
    const PF_KTHREAD: u64 = 0x0020_0000;
    field(stat, 9).is_some_and(|flags| flags & PF_KTHREAD != 0)
}

/// Field 4, `ppid`.
pub fn parent(stat: &[u8]) -> Option<u32> {
    field(stat, 4)?.try_into().ok()
}

/// A field behind the name, which is the second.
fn field(stat: &[u8], number: usize) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = stat.get(name_end + 1..)?;
    // What follows the name starts with field 3.
    let field = fields.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).nth(number - 3)?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{is_kernel_thread, parent, start_ticks};

    #[test]
    fn the_name_may_look_like_fields() {
        let rest = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 1 2 3";
        for name in ["cat", ") R 1 1\n(x", "a) (b", ""] {
            assert_eq!(start_ticks(format!("7 ({name}) {rest}").as_bytes()), Some(12345), "{name:?}");
            assert_eq!(parent(format!("7 ({name}) {rest}").as_bytes()), Some(1), "{name:?}");
        }
        let kthreadd = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 2 0 0";
        assert!(is_kernel_thread(kthreadd));
        assert!(!is_kernel_thread(format!("7 (kthreadd) {rest}").as_bytes()));
        for cut in ["", "7 (cat", "7 (cat) S 1 1"] {
            assert_eq!(start_ticks(cut.as_bytes()), None, "{cut:?}");
        }
    }
}
