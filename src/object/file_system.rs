//! File systems that may take for ever to answer: whoever serves them can hold a reader at will.
//!
//! A FUSE file system is served by any user's program, and a request to it can block beyond the reach of a
//! signal. So the question is put to the kernel's list of mounts first, which asks the file system nothing.
//! What cannot be seen is an overlay whose layers are such a file system.

use crate::process::id::Tgid;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// Largest list of mounts that is read, bytes: some 30 000 mounts.
const MAX_MOUNTS: u64 = 4 << 20;

/// Type names as `/proc/PID/mountinfo` writes them, and `f_type` of `statfs`, where it has one of its own.
const UNSAFE: [(&str, i64); 13] = [
    // It asks a program what to mount, and that may be a network's.
    ("autofs", 0x0187),
    ("fuse", 0x6573_5546),
    ("fuseblk", 0x6573_5546),
    ("virtiofs", 0x6573_5546),
    ("nfs", 0x6969),
    ("nfs4", 0x6969),
    ("9p", 0x0102_1997),
    ("cifs", 0xff53_4d42),
    ("smb3", 0xfe53_4d42),
    ("smbfs", 0x517b),
    ("ceph", 0x00c3_6400),
    ("afs", 0x5346_414f),
    ("coda", 0x7375_7245),
];

/// `f_type` of the kernel's own AFS client.
const KERNEL_AFS: i64 = 0x6b41_4653;

/// Says whether the file, opened with `O_PATH` only, may be read without fear of waiting for ever.
pub fn is_safe(file: BorrowedFd<'_>, process: Tgid) -> bool {
    match mount_of(file).and_then(|mount| type_of(mount, process)) {
        Some(name) => !is_unsafe_name(&name),
        // A mount that the process does not see, such as the one of anonymous shared memory.
        None => rustix::fs::fstatfs(file).is_ok_and(|stat| !is_unsafe_magic(stat.f_type)),
    }
}

/// Says the same of a mount within the process's root, which the process sees.
pub(super) fn is_safe_mount(mount: u64, process: Tgid) -> bool {
    type_of(mount, process).is_some_and(|name| !is_unsafe_name(&name))
}

/// The kernel's number of the mount through which a file was opened.
pub(super) fn mount_of(file: BorrowedFd<'_>) -> Option<u64> {
    let path = format!("/proc/self/fdinfo/{}", file.as_fd().as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}

fn type_of(mount: u64, process: Tgid) -> Option<Vec<u8>> {
    let list = File::open(format!("/proc/{process}/mountinfo")).ok()?;
    find_type(BufReader::new(list.take(MAX_MOUNTS)), mount)
}

/// Looks for a mount in the text of `mountinfo`: the first field is its number, and the field after a lone
/// hyphen its type. Spaces and newlines within fields are escaped.
fn find_type(mut list: impl BufRead, mount: u64) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if list.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let mut fields = line.split(u8::is_ascii_whitespace);
        let number = fields.next().and_then(|field| str::from_utf8(field).ok()?.parse::<u64>().ok());
        if number == Some(mount) {
            return fields.skip_while(|field| *field != b"-").nth(1).map(<[u8]>::to_vec);
        }
    }
}

/// `fuse.sshfs` and the like are FUSE with the server's name.
fn is_unsafe_name(name: &[u8]) -> bool {
    let base = name.split(|byte| *byte == b'.').next().unwrap_or_default();
    UNSAFE.iter().any(|(unsafe_name, _)| unsafe_name.as_bytes() == base)
}

fn is_unsafe_magic(magic: i64) -> bool {
    magic == KERNEL_AFS || UNSAFE.iter().any(|(_, unsafe_magic)| *unsafe_magic == magic)
}

#[cfg(test)]
mod tests {
    use super::{find_type, is_safe, is_unsafe_magic, is_unsafe_name, mount_of, type_of};
    use crate::process::id::Tgid;
    use std::fs::File;
    use std::os::fd::AsFd;

    const LIST: &[u8] = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        23 22 0:21 / /odd\\040-\\040name rw - proc proc rw\n\
        24 22 0:50 / /mnt\xff rw shared:2 master:3 - fuse.sshfs a@b:/ rw,user_id=0\n\
        25 22 0:51 / /broken rw\n";

    #[test]
    fn the_type_is_after_the_hyphen() {
        for (mount, expected) in
            [(22, Some("ext4")), (23, Some("proc")), (24, Some("fuse.sshfs")), (25, None), (2, None)]
        {
            let found = find_type(LIST, mount);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{mount}");
        }
    }

    #[test]
    fn served_and_remote_file_systems_are_unsafe() {
        for name in ["fuse", "fuse.sshfs", "fuseblk", "nfs4", "9p", "cifs", "ceph", "virtiofs"] {
            assert!(is_unsafe_name(name.as_bytes()), "{name}");
        }
        for name in ["ext4", "overlay", "tmpfs", "xfs", "btrfs", "fusectl", "", "nfsd"] {
            assert!(!is_unsafe_name(name.as_bytes()), "{name}");
        }
        assert!(is_unsafe_magic(0x6573_5546));
        assert!(is_unsafe_magic(i64::from(0xff53_4d42_u32)));
        assert!(!is_unsafe_magic(0xef53), "ext4");
    }

    #[test]
    fn the_mounts_of_this_process_are_found() {
        let this = Tgid(std::process::id());
        let status = File::open("/proc/self/status").unwrap();
        let mount = mount_of(status.as_fd()).unwrap();
        assert_eq!(type_of(mount, this).as_deref(), Some(&b"proc"[..]));
        let shared = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        assert_eq!(type_of(mount_of(shared.as_fd()).unwrap(), this), None);
        assert!(is_safe(shared.as_fd(), this), "by statfs");
    }
}
