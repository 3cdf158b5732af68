//! What a rule looks at.

use crate::label::LabelSet;
use std::borrow::Cow;

/// Labels whose values are joined.
#[derive(Clone, Debug)]
pub(super) struct Source {
    names: Vec<String>,
    separator: String,
}

impl Source {
    pub(super) fn new(names: Vec<String>, separator: String) -> Self {
        Self { names, separator }
    }

    /// The joined values. A label that is not set has the empty value; without labels, all is empty.
    pub(super) fn of<'a>(&self, labels: &'a LabelSet) -> Cow<'a, str> {
        let value = |name: &String| labels.get(name).unwrap_or_default();
        match self.names.as_slice() {
            [name] => Cow::Borrowed(value(name)),
            names => Cow::Owned(names.iter().map(value).collect::<Vec<_>>().join(&self.separator)),
        }
    }

    /// The names of the labels.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}
