//! Labels: the names by which a profile is found.

use std::cmp::Ordering;
use std::fmt;

/// A sorted set of label names and values, as Prometheus writes them. Sets are kept by the thousand, so all the
/// text of one is a single string: a tree of strings takes three times the memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSet {
    /// Every name followed by its value, in the order of names, with nothing between them.
    text: String,
    places: Vec<Place>,
}

/// Where a label is in the text: its name, then its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    start: usize,
    name_end: usize,
    end: usize,
}

impl LabelSet {
    /// Sets one label; an empty value removes it, as Prometheus does.
    pub fn set(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        let index = match self.find(name) {
            Ok(index) => {
                let old = self.places.remove(index);
                self.text.replace_range(old.start..old.end, "");
                self.shift(index, |position| position - (old.end - old.start));
                index
            }
            Err(index) => index,
        };
        if value.is_empty() {
            return;
        }
        let start = self.places.get(index).map_or(self.text.len(), |next| next.start);
        let place = Place { start, name_end: start + name.len(), end: start + name.len() + value.len() };
        self.text.insert_str(start, value);
        self.text.insert_str(start, name);
        self.shift(index, |position| position + (place.end - place.start));
        self.places.insert(index, place);
    }

    /// The value of a label; `None` where it is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let place = self.places.get(self.find(name).ok()?)?;
        Some(self.label(place).1)
    }

    /// Bytes that it takes once shrunk.
    pub fn bytes(&self) -> usize {
        self.text.len() + size_of_val(self.places.as_slice())
    }

    /// Gives back what it does not need as long as it stays as it is.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.places.shrink_to_fit();
    }

    /// Every label, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.places.iter().map(|place| self.label(place))
    }

    /// Where a label is, or would be.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.places.binary_search_by(|place| self.label(place).0.cmp(name))
    }

    fn label(&self, place: &Place) -> (&str, &str) {
        (&self.text[place.start..place.name_end], &self.text[place.name_end..place.end])
    }

    /// Moves all places from an index on.
    fn shift(&mut self, from: usize, moved: impl Fn(usize) -> usize) {
        for place in &mut self.places[from..] {
            let Place { start, name_end, end } = *place;
            *place = Place { start: moved(start), name_end: moved(name_end), end: moved(end) };
        }
    }
}

/// By the first label that differs: its name, then its value.
impl Ord for LabelSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for LabelSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for LabelSet {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let mut set = Self::default();
        for (name, value) in labels {
            set.set(name, value);
        }
        set
    }
}

/// `{a="b",c="d"}`, with quotes, backslashes and line feeds escaped: what a selector parses back.
impl fmt::Display for LabelSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{name}=\"{}\"", escape_value(value))?;
        }
        formatter.write_str("}")
    }
}

/// Escapes a label value for use between double quotes.
pub fn escape_value(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// A name with `_` for every character that no label name may hold, as Prometheus does: `app.kubernetes.io/name`
/// becomes `app_kubernetes_io_name`. What follows a prefix such as `__meta_` may begin with a digit.
pub fn sanitize_label_name(name: &str) -> String {
    let fits = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
    name.chars().map(|letter| if fits(letter) { letter } else { '_' }).collect()
}

/// Whether a name may be a label name: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::{LabelSet, is_label_name};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_of_strings_would(steps in prop::collection::vec(("[a-cé]{0,2}", "[x-zé]{0,3}"), 0..24)) {
            let (mut set, mut tree) = (LabelSet::default(), BTreeMap::new());
            for (name, value) in steps {
                let before = (set.clone(), tree.clone());
                set.set(&name, &value);
                if value.is_empty() {
                    tree.remove(&name);
                } else {
                    tree.insert(name.clone(), value);
                }
                prop_assert_eq!(set.get(&name), tree.get(&name).map(String::as_str));
                prop_assert_eq!(set.cmp(&before.0), tree.cmp(&before.1));
                prop_assert_eq!(set == before.0, tree == before.1);
            }
            let labels: Vec<_> = tree.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), labels);
        }
    }

    #[test]
    fn display_escapes_what_would_end_the_value() {
        let labels: LabelSet = [("comm", "a\"b\\c\nd"), ("node", "n")].into_iter().collect();
        assert_eq!(labels.to_string(), r#"{comm="a\"b\\c\nd",node="n"}"#);
    }

    #[test]
    fn an_empty_value_is_no_label() {
        let mut labels: LabelSet = [("a", "1")].into_iter().collect();
        labels.set("a", "");
        assert_eq!(labels, LabelSet::default());
    }

    #[test]
    fn label_names() {
        for (name, valid) in
            [("a", true), ("_a9", true), ("", false), ("9a", false), ("a-b", false), ("é", false)]
        {
            assert_eq!(is_label_name(name), valid, "{name}");
        }
    }
}
