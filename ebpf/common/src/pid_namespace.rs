//! The pid namespace whose ids the BPF programs tell.

/// A pid namespace, and where the kernel keeps the ids that a task has in it: byte offsets from its BTF.
///
/// `modern` gets it as a read-only global of its own, apart from [`Settings`](crate::settings::Settings), which are
/// read whole: in the initial namespace no program reads more than [`Self::inode`].
///
/// ```text
/// task_struct.thread_pid -> pid { level, numbers[0..=level] { nr, ns -> pid_namespace { ns.inum } } }
/// ```
/// The initial namespace has level 0. A task has an id in its own namespace and in each that this one is nested in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PidNamespace {
    /// Its inode number; 0 for the initial namespace, whose ids need no translation.
    pub inode: u32,
    /// `task_struct.thread_pid`, a pointer.
    pub task_thread_pid: u32,
    /// `pid.level`.
    pub pid_level: u32,
    /// `pid.numbers`, an array.
    pub pid_numbers: u32,
    /// Bytes of one of its elements, a `upid`.
    pub number_bytes: u32,
    /// `upid.nr`, the id.
    pub number_id: u32,
    /// `upid.ns`, a pointer.
    pub number_namespace: u32,
    /// `pid_namespace.ns.inum`.
    pub namespace_inode: u32,
}

const _: () = assert!(size_of::<PidNamespace>() == 32);

/// Namespaces nest no deeper than this (`MAX_PID_NS_LEVEL` of the kernel's `kernel/pid_namespace.c`).
pub const MAX_PID_NAMESPACE_LEVEL: u32 = 32;

#[cfg(feature = "user")]
impl PidNamespace {
    /// Its size in [`Self::to_words`].
    pub const WORDS: usize = size_of::<Self>() / size_of::<u32>();

    /// The same bytes as plain words, in which form a loader takes them.
    pub fn to_words(self) -> [u32; Self::WORDS] {
        [
            self.inode,
            self.task_thread_pid,
            self.pid_level,
            self.pid_numbers,
            self.number_bytes,
            self.number_id,
            self.number_namespace,
            self.namespace_inode,
        ]
    }
}
