//! What a rule does, ready to be done.

use super::case;
use super::draft::{Draft, MAX_WRITTEN};
use super::pattern::Pattern;
use super::source::Source;
use super::template::Template;
use crate::label::is_label_name;
use md5::{Digest, Md5};
use std::num::NonZeroU64;

/// An action with what it needs.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Replace { source: Source, pattern: Pattern, target: Template, replacement: Template },
    Keep { source: Source, pattern: Pattern },
    Drop { source: Source, pattern: Pattern },
    KeepEqual { source: Source, target: String },
    DropEqual { source: Source, target: String },
    HashMod { source: Source, modulus: NonZeroU64, target: String },
    LabelMap { pattern: Pattern, replacement: Template },
    LabelDrop { pattern: Pattern },
    LabelKeep { pattern: Pattern },
    Lowercase { source: Source, target: String },
    Uppercase { source: Source, target: String },
}

impl Operation {
    /// Does it. Returns whether the label set is kept.
    pub(super) fn apply(&self, draft: &mut Draft<'_>) -> bool {
        match self {
            Self::Keep { source, pattern } => return pattern.is_match(&source.of(draft.labels())),
            Self::Drop { source, pattern } => return !pattern.is_match(&source.of(draft.labels())),
            Self::KeepEqual { source, target } => return equals(draft, source, target),
            Self::DropEqual { source, target } => return !equals(draft, source, target),
            Self::Replace { source, pattern, target, replacement } => {
                replace(draft, source, pattern, (target, replacement));
            }
            Self::HashMod { source, modulus, target } => {
                let remainder = hash(&source.of(draft.labels())) % modulus.get();
                draft.set(target, &remainder.to_string());
            }
            Self::Lowercase { source, target } => {
                let value = case::lower(&source.of(draft.labels()));
                draft.set(target, &value);
            }
            Self::Uppercase { source, target } => {
                let value = case::upper(&source.of(draft.labels()));
                draft.set(target, &value);
            }
            Self::LabelMap { pattern, replacement } => map(draft, pattern, replacement),
            Self::LabelDrop { pattern } => draft.retain(|name| !pattern.is_match(name)),
            Self::LabelKeep { pattern } => draft.retain(|name| pattern.is_match(name)),
        }
        true
    }

    /// Whether the value of a label can make a difference.
    pub(super) fn reads(&self, name: &str) -> bool {
        match self.pattern_of_names() {
            Some(pattern) => pattern.is_match(name),
            None => self.names().any(|read| read == name),
        }
    }

    /// Whether the value of a label whose name begins so can make a difference. True when in doubt.
    pub(super) fn reads_prefix(&self, prefix: &str) -> bool {
        match self.pattern_of_names() {
            Some(pattern) => pattern.may_match_prefix(prefix),
            None => self.names().any(|read| read.starts_with(prefix)),
        }
    }

    /// Which labels are copied, by name.
    fn pattern_of_names(&self) -> Option<&Pattern> {
        if let Self::LabelMap { pattern, .. } = self { Some(pattern) } else { None }
    }

    /// The labels that are read by name.
    fn names(&self) -> impl Iterator<Item = &String> {
        let (source, compared) = match self {
            Self::Replace { source, .. }
            | Self::Keep { source, .. }
            | Self::Drop { source, .. }
            | Self::HashMod { source, .. }
            | Self::Lowercase { source, .. }
            | Self::Uppercase { source, .. } => (Some(source), None),
            Self::KeepEqual { source, target } | Self::DropEqual { source, target } => {
                (Some(source), Some(target))
            }
            Self::LabelMap { .. } | Self::LabelDrop { .. } | Self::LabelKeep { .. } => (None, None),
        };
        source.map(Source::names).unwrap_or_default().iter().chain(compared)
    }
}

fn equals(draft: &Draft<'_>, source: &Source, target: &str) -> bool {
    draft.labels().get(target).unwrap_or_default() == source.of(draft.labels())
}

fn replace(
    draft: &mut Draft<'_>,
    source: &Source,
    pattern: &Pattern,
    (target, replacement): (&Template, &Template),
) {
    let value = source.of(draft.labels());
    let Some(captures) = pattern.captures(&value) else { return };
    let Some(name) = target.expand(&captures, MAX_WRITTEN) else { return };
    let Some(text) = replacement.expand(&captures, draft.room()) else { return };
    drop(captures);
    drop(value);
    if is_label_name(&name) {
        draft.set(&name, &text);
    }
}

/// Copies in the order of names: of two that go to one name, the later one wins. In Prometheus it is
/// whichever.
fn map(draft: &mut Draft<'_>, pattern: &Pattern, replacement: &Template) {
    let mut copies = Vec::new();
    let mut room = draft.room();
    for (name, value) in draft.labels().iter() {
        let Some(captures) = pattern.captures(name) else { continue };
        let Some(target) = replacement.expand(&captures, room) else { continue };
        let Some(left) = room.checked_sub(target.len() + value.len()) else { continue };
        if is_label_name(&target) {
            room = left;
            copies.push((target, value.to_owned()));
        }
    }
    for (target, value) in copies {
        draft.set(&target, &value);
    }
}

/// The last 8 bytes of the MD5 sum, big endian: so that it is the same on every host and in every release.
fn hash(text: &str) -> u64 {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    digest[8..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
