//! Labels: the names by which a profile is found.

use std::collections::BTreeMap;
use std::fmt;

/// A sorted set of label names and values, as Prometheus writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet(BTreeMap<String, String>);

impl LabelSet {
    /// Sets one label; an empty value removes it, as Prometheus does.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            self.0.remove(&name);
        } else {
            self.0.insert(name, value);
        }
    }

    /// The value of a label; `None` where it is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Every label, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for LabelSet {
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
