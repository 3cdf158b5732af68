//! `open_by_handle_at(2)` on the cgroup file system: from a cgroup's id to the cgroup.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `struct file_handle` with the one kind of handle that kernfs makes since 5.5: the 64-bit id.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: [u8; 8],
}

/// `FILEID_KERNFS` of the kernel's `include/linux/exportfs.h`.
const FILEID_KERNFS: i32 = 0xfe;

/// Opens the directory that has this id in a mounted kernfs, as `O_PATH`. Needs `CAP_DAC_READ_SEARCH`
/// and Linux 5.5.
pub fn open_by_id(mount: BorrowedFd<'_>, id: u64) -> io::Result<OwnedFd> {
    let handle = Handle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
    // SAFETY: the handle says its own length and lives until the call returns.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            &raw const handle,
            libc::O_PATH | libc::O_CLOEXEC | libc::O_DIRECTORY,
        )
    };
    let descriptor =
        i32::try_from(descriptor).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
