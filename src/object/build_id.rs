//! Build ids: by what an object file is known on every host.

use std::fmt;

/// Where a [`BuildId`] came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BuildIdKind {
    /// The `NT_GNU_BUILD_ID` note.
    Gnu,
    /// The Go toolchain's note, text of its own.
    Go,
    /// SHA-256 of the executable segments' bytes, for files with neither note.
    Hash,
}

/// What identifies the contents of an object file: 4 to 64 bytes for GNU, text for Go, 32 bytes for a
/// hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildId {
    /// Where it came from.
    pub kind: BuildIdKind,
    /// The note's descriptor, or the hash.
    pub bytes: Box<[u8]>,
}

/// Lower-case hexadecimal, as file names of debug information and `readelf -n` write it. A Go build id
/// is hexadecimal of its text, so that it too is safe in a path or a URL.
impl fmt::Display for BuildId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{BuildId, BuildIdKind};

    #[test]
    fn hostile_bytes_are_hexadecimal_only() {
        let id = BuildId { kind: BuildIdKind::Go, bytes: b"../\xff".as_slice().into() };
        assert_eq!(id.to_string(), "2e2e2fff");
    }
}
