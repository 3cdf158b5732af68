//! Whether a file is the debug file of an executable.

use super::candidate::Named;
use crate::object::build_id::{BuildId, BuildIdKind};

/// What build ids say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is.
    Same,
    /// It is that of another.
    Other,
    /// They say nothing; its checksum has to be what the link says.
    Unknown,
}

/// Compares the build id of an executable with that of a file that was found for it. A hash is of code, which debug
/// files have not: only an equal one says something.
pub(super) fn fit(wanted: &BuildId, found: Option<&BuildId>, named: Named) -> Fit {
    match found {
        Some(found) if found == wanted => Fit::Same,
        // A file in a tree of build ids has to have the one that it is named by.
        _ if named == Named::ByBuildId => Fit::Other,
        Some(found) if found.kind == wanted.kind && found.kind != BuildIdKind::Hash => Fit::Other,
        _ => Fit::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fit, fit};
    use crate::debuginfo::find::candidate::Named::{ByBuildId, ByLink};
    use crate::object::build_id::BuildId;
    use crate::object::build_id::BuildIdKind::{Gnu, Go, Hash};

    #[test]
    fn equal_build_ids_fit_and_checksums_decide_where_there_are_none() {
        let id = |(kind, byte)| BuildId { kind, bytes: [byte; 4].as_slice().into() };
        for (wanted, found, named, expected) in [
            ((Gnu, 1), Some((Gnu, 1)), ByBuildId, Fit::Same),
            ((Gnu, 1), Some((Gnu, 1)), ByLink, Fit::Same),
            ((Gnu, 1), Some((Gnu, 2)), ByBuildId, Fit::Other),
            ((Gnu, 1), Some((Gnu, 2)), ByLink, Fit::Other),
            ((Gnu, 1), Some((Hash, 1)), ByBuildId, Fit::Other),
            ((Gnu, 1), None, ByBuildId, Fit::Other),
            ((Gnu, 1), Some((Hash, 1)), ByLink, Fit::Unknown),
            ((Gnu, 1), None, ByLink, Fit::Unknown),
            ((Go, 1), Some((Go, 1)), ByLink, Fit::Same),
            ((Go, 1), Some((Go, 2)), ByLink, Fit::Other),
            ((Hash, 1), Some((Hash, 1)), ByLink, Fit::Same),
            ((Hash, 1), Some((Hash, 2)), ByLink, Fit::Unknown),
            ((Hash, 1), Some((Gnu, 2)), ByLink, Fit::Unknown),
        ] {
            let found = found.map(id);
            assert_eq!(fit(&id(wanted), found.as_ref(), named), expected, "{wanted:?} {found:?} {named:?}");
        }
    }
}
