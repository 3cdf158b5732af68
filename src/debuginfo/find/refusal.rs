//! Why a file that was found is not the debug file that was looked for.

use crate::metrics::{Counter, Exposition};

/// Why a candidate does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// On a file system that may never answer, or the way leads over one.
    UnsafeFileSystem,
    /// The way to it has more links or components than any honest one.
    TooLongPath,
    /// Not a regular file, or it may not be read.
    Refused,
    /// Larger than the agent reads, or than is summed up.
    TooLarge,
    /// A file of the host that neither root nor the agent's user owns.
    Owner,
    /// Not ELF, or nothing of it can be read.
    Malformed,
    /// Its build id is another.
    BuildId,
    /// It has no build id to compare, and its checksum is another than the link says.
    Checksum,
    /// It changed while it was looked at.
    Changed,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::UnsafeFileSystem,
        Self::TooLongPath,
        Self::Refused,
        Self::TooLarge,
        Self::Owner,
        Self::Malformed,
        Self::BuildId,
        Self::Checksum,
        Self::Changed,
    ];

    /// As a metric's label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnsafeFileSystem => "unsafe_file_system",
            Self::TooLongPath => "too_long_path",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Owner => "owner",
            Self::Malformed => "malformed",
            Self::BuildId => "build_id",
            Self::Checksum => "checksum",
            Self::Changed => "changed",
        }
    }
}

/// How often each reason was met.
#[derive(Debug, Default)]
pub struct Refusals([Counter; Refusal::ALL.len()]);

impl Refusals {
    /// Counts one.
    pub fn count(&self, reason: Refusal) {
        self.counter(reason).into_iter().for_each(Counter::increment);
    }

    /// How many there were.
    pub fn of(&self, reason: Refusal) -> u64 {
        self.counter(reason).map(Counter::get).unwrap_or_default()
    }

    /// Writes them.
    pub fn collect(&self, exposition: &mut Exposition) {
        let counts = Refusal::ALL.map(|reason| ([("reason", reason.name())], self.of(reason)));
        exposition.counter(
            "debuginfo_candidates_refused",
            "Files where a debug file is looked for that were none, or another's, by reason.",
            counts.iter().map(|(labels, value)| (&labels[..], *value)),
        );
    }

    fn counter(&self, reason: Refusal) -> Option<&Counter> {
        let position = Refusal::ALL.iter().position(|each| *each == reason)?;
        self.0.get(position)
    }
}
