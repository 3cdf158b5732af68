//! Closing descriptors that nobody in this process knows of.

use rustix::io::Errno;
use std::fs;

/// First descriptor after standard input, output and error.
const FIRST_INHERITED: u32 = 3;

/// Closes everything but standard input, output and error, whatever the parent forgot to mark
/// close-on-exec. To be called before this process has opened anything itself.
pub fn close_inherited() -> Result<(), Errno> {
    match close_range(FIRST_INHERITED) {
        // Kernels before 5.9.
        Err(Errno::NOSYS) => close_listed(),
        other => other,
    }
}

fn close_range(first: u32) -> Result<(), Errno> {
    // SAFETY: the call reads no memory. The caller runs before anything in this process owns a descriptor
    // from `first` on.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

fn close_listed() -> Result<(), Errno> {
    let entries = fs::read_dir("/proc/self/fd").map_err(|_| Errno::NOENT)?;
    // Collected first: closing while reading would skip entries.
    let listed: Vec<i32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor: &i32| u32::try_from(*descriptor).is_ok_and(|number| number >= FIRST_INHERITED))
        .collect();
    for descriptor in listed {
        // SAFETY: as in `close_range`; the descriptor of the directory itself is closed already, and
        // closing a free number does nothing.
        unsafe { libc::close(descriptor) };
    }
    Ok(())
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
