//! Records that leave the kernel.

use crate::limits::{COMM_LENGTH, MAX_STACK_BYTES, MAX_USER_FRAMES};

/// The task is a kernel thread (`PF_KTHREAD`).
pub const FLAG_KERNEL_THREAD: u32 = 1 << 0;
/// `baseline` only: the user stack exists but could not be read.
pub const FLAG_USER_STACK_FAILED: u32 = 1 << 1;
/// The kernel stack exists but could not be read.
pub const FLAG_KERNEL_STACK_FAILED: u32 = 1 << 2;
/// The kernel side was told no mappings of the process, or not one that the stack is in.
pub const FLAG_PROCESS_UNKNOWN: u32 = 1 << 3;

/// Head of one sample; `kernel_frames` 64-bit addresses and then `user_frames`
/// [`FrameWord`](crate::frame::FrameWord)s follow it, leaf first.
///
/// A kernel frame above the leaf holds the address to return to, a user frame the call itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SampleHeader {
    /// When the sample was taken: `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_time: u64,
    /// When the process (its thread group leader) started: `CLOCK_BOOTTIME`, nanoseconds.
    pub process_start: u64,
    /// Cgroup v2 id of the task; the id of the root where only cgroup v1 is used.
    pub cgroup_id: u64,
    /// Process id: the kernel's `tgid`, in the pid namespace of the agent's `/proc`.
    pub tgid: u32,
    /// Thread id: the kernel's `pid`, in the same namespace.
    pub tid: u32,
    /// CPU the sample was taken on.
    pub cpu: u32,
    /// `FLAG_*` bits.
    pub flags: u32,
    /// Kernel addresses that follow the header.
    pub kernel_frames: u16,
    /// User frames that follow the kernel ones.
    pub user_frames: u16,
    /// Why the user stack has no more frames: a [`StackEnd`](crate::unwind::StackEnd).
    pub user_end: u16,
    /// How many samples it stands for, if few of its process are kept: at least 1.
    pub weight: u16,
    /// Name of the thread, NUL-terminated unless it fills the array.
    pub comm: [u8; COMM_LENGTH],
}

const _: () = assert!(size_of::<SampleHeader>() == 64);

/// Size of the largest sample record.
pub const MAX_SAMPLE_BYTES: usize =
    size_of::<SampleHeader>() + MAX_STACK_BYTES + MAX_USER_FRAMES * size_of::<u64>();

/// What a [`ProcessEvent`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ProcessEventKind {
    /// A process replaced its program; its mappings are new.
    Exec = 1,
    /// A thread group leader exited.
    Exit = 2,
    /// A process was created, with a copy of its parent's mappings.
    Fork = 3,
}

/// One change in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ProcessEvent {
    /// When it happened: `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_time: u64,
    /// Start of the process: `CLOCK_BOOTTIME`, nanoseconds.
    pub process_start: u64,
    /// Start of the parent of a forked process, else 0.
    pub parent_start: u64,
    /// A [`ProcessEventKind`].
    pub kind: u32,
    /// The process.
    pub tgid: u32,
    /// The parent of a forked process, else 0.
    pub parent_tgid: u32,
    /// Zero.
    pub reserved: u32,
    /// Name of the process after the event.
    pub comm: [u8; COMM_LENGTH],
}

const _: () = assert!(size_of::<ProcessEvent>() == 56);

/// Key of the count maps of `baseline`: everything by which its samples are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CountKey {
    /// As [`SampleHeader::process_start`], 0 where the kernel has no BTF.
    pub process_start: u64,
    /// As [`SampleHeader::cgroup_id`].
    pub cgroup_id: u64,
    /// As [`SampleHeader::tgid`].
    pub tgid: u32,
    /// As [`SampleHeader::tid`].
    pub tid: u32,
    /// Key in the stack map, or the negative errno of `bpf_get_stackid`.
    pub user_stack: i32,
    /// See `user_stack`.
    pub kernel_stack: i32,
    /// `FLAG_*` bits.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// As [`SampleHeader::comm`].
    pub comm: [u8; COMM_LENGTH],
}

const _: () = assert!(size_of::<CountKey>() == 56);

#[cfg(feature = "user")]
mod user {
    use super::{CountKey, ProcessEvent, ProcessEventKind, SampleHeader};

    /// Reads the fields of a record in their order, little-endian as every supported CPU is.
    struct Fields<'a>(&'a [u8]);

    impl Fields<'_> {
        fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
            let (head, rest) = self.0.split_first_chunk::<N>()?;
            self.0 = rest;
            Some(*head)
        }
        fn u64(&mut self) -> Option<u64> {
            self.array().map(u64::from_le_bytes)
        }
        fn u32(&mut self) -> Option<u32> {
            self.array().map(u32::from_le_bytes)
        }
        fn i32(&mut self) -> Option<i32> {
            self.array().map(i32::from_le_bytes)
        }
        fn u16(&mut self) -> Option<u16> {
            self.array().map(u16::from_le_bytes)
        }
    }

    impl SampleHeader {
        /// Splits a record into its header and the bytes of its addresses; `None` if it is too short.
        pub fn split(record: &[u8]) -> Option<(Self, &[u8])> {
            let mut fields = Fields(record);
            let header = Self {
                boot_time: fields.u64()?,
                process_start: fields.u64()?,
                cgroup_id: fields.u64()?,
                tgid: fields.u32()?,
                tid: fields.u32()?,
                cpu: fields.u32()?,
                flags: fields.u32()?,
                kernel_frames: fields.u16()?,
                user_frames: fields.u16()?,
                user_end: fields.u16()?,
                weight: fields.u16()?,
                comm: fields.array()?,
            };
            Some((header, fields.0))
        }
    }

    impl ProcessEvent {
        /// Decodes a record; `None` if it is too short.
        pub fn decode(record: &[u8]) -> Option<Self> {
            let mut fields = Fields(record);
            Some(Self {
                boot_time: fields.u64()?,
                process_start: fields.u64()?,
                parent_start: fields.u64()?,
                kind: fields.u32()?,
                tgid: fields.u32()?,
                parent_tgid: fields.u32()?,
                reserved: fields.u32()?,
                comm: fields.array()?,
            })
        }
    }

    impl CountKey {
        /// Decodes a key; `None` if it is too short.
        pub fn decode(key: &[u8]) -> Option<Self> {
            let mut fields = Fields(key);
            Some(Self {
                process_start: fields.u64()?,
                cgroup_id: fields.u64()?,
                tgid: fields.u32()?,
                tid: fields.u32()?,
                user_stack: fields.i32()?,
                kernel_stack: fields.i32()?,
                flags: fields.u32()?,
                reserved: fields.u32()?,
                comm: fields.array()?,
            })
        }
    }

    impl TryFrom<u32> for ProcessEventKind {
        type Error = u32;
        fn try_from(value: u32) -> Result<Self, u32> {
            [Self::Exec, Self::Exit, Self::Fork].into_iter().find(|kind| *kind as u32 == value).ok_or(value)
        }
    }
}
