//! Releases of Linux, which say what a kernel knows.

use std::fmt;

/// A release, as `uname -r` begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(pub(crate) u8, pub(crate) u8);

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

/// The kernel that an object promises to run on, and what that kernel lets its programs do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    /// The oldest kernel that must take the object.
    pub(crate) release: Release,
    /// Most instructions of a program: `BPF_MAXINSNS`, and since 5.2 the next number instead.
    pub(crate) instructions: usize,
    /// Instructions that the verifier looks at before it gives up: `BPF_COMPLEXITY_LIMIT_INSNS`.
    pub(crate) work: u64,
    /// Sections that the loader makes programs of; a name before a slash stands for all behind it.
    pub(crate) programs: &'static [&'static str],
    /// Helpers that the programs may call.
    pub(crate) helpers: &'static [(u32, &'static str)],
    /// Kinds of maps that are in use, which leaves none newer than meant.
    pub(crate) maps: &'static [u32],
}

/// What an object needs that its floor does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Program, map or section.
    pub(crate) part: String,
    /// Counted in slots of eight bytes from the start of the program, as the verifier does.
    pub(crate) instruction: Option<usize>,
    /// What is wrong.
    pub(crate) fault: Fault,
}

/// What is wrong with a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// A newer kernel takes it.
    #[error("{what} came with Linux {since}")]
    Newer {
        /// The feature.
        what: String,
        /// The first release that has it.
        since: Release,
    },
    /// The kernel has it, but not for this.
    #[error("{what} is not for such a program on Linux {floor}")]
    Withheld {
        /// The feature.
        what: String,
        /// The release that withholds it.
        floor: Release,
    },
    /// No kernel, or none that this check can speak for, takes it.
    #[error("{0}")]
    Refused(String),
}

impl Fault {
    /// A feature, unless the floor has it.
    pub(crate) fn unless_known(floor: Release, since: Release, what: impl Into<String>) -> Option<Self> {
        (since > floor).then(|| Self::Newer { what: what.into(), since })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.part)?;
        if let Some(index) = self.instruction {
            write!(formatter, ", instruction {index}")?;
        }
        write!(formatter, ": {}", self.fault)
    }
}
