//! One place in one program, in a form that outlives the process it was seen in.

use crate::address::{KernelAddress, UserAddress};
use crate::object::{FileOffset, ObjectId};
use crate::process::id::ProcessId;

/// One frame of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Frame {
    /// Kernel, module or BPF code.
    Kernel(KernelAddress),
    /// Code of a file, the same in every process that maps it.
    Object {
        /// The file.
        object: ObjectId,
        /// Where in it.
        offset: FileOffset,
    },
    /// Code without a file, as a JIT compiler makes it.
    Anonymous {
        /// Whose address space it is.
        process: ProcessId,
        /// Where in it.
        address: UserAddress,
    },
    /// The stack ends here: the mapping of this frame is not known, and so its caller is not either.
    Unresolved(Unresolved),
}

/// Why a user frame has no mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unresolved {
    /// The process was gone before its mappings could be read.
    ProcessExited,
    /// No mapping holds the address, also after reading them again.
    NoMapping,
    /// Its mappings could not be read in time: too many processes waited.
    Overloaded,
}

impl Unresolved {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::ProcessExited, Self::NoMapping, Self::Overloaded];

    /// As a metric's label value and a function's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProcessExited => "process_exited",
            Self::NoMapping => "no_mapping",
            Self::Overloaded => "overloaded",
        }
    }
}
