//! A label set while rules change it.

use crate::label::LabelSet;

/// Most bytes of names and values that the rules write to one label set: a rule that doubles a value, given
/// forty times, must not take all memory. What would be more is not written. All annotations of a pod fit.
pub const MAX_WRITTEN: usize = 256 << 10;

/// A label set, and how much may still be written to it.
pub(super) struct Draft<'a> {
    labels: &'a mut LabelSet,
    room: usize,
}

impl<'a> Draft<'a> {
    pub(super) fn new(labels: &'a mut LabelSet) -> Self {
        Self { labels, room: MAX_WRITTEN }
    }

    pub(super) fn labels(&self) -> &LabelSet {
        self.labels
    }

    /// Bytes that may still be written.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Sets a label; an empty value removes it, for which there is always room.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.labels.set(name, value);
        } else if let Some(room) = self.room.checked_sub(name.len() + value.len()) {
            self.room = room;
            self.labels.set(name, value);
        }
    }

    /// Removes every label whose name is not good.
    pub(super) fn retain(&mut self, is_good: impl Fn(&str) -> bool) {
        let bad: Vec<String> = self
            .labels
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !is_good(name))
            .map(str::to_owned)
            .collect();
        for name in bad {
            self.labels.set(name, "");
        }
    }
}
