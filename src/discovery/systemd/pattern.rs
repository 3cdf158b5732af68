//! The units that were asked for: names, and globs as systemctl(1) takes them. Pure.

use super::unit::UnitName;
use crate::glob::Glob;
use std::collections::BTreeSet;

/// Which units were asked for.
#[derive(Clone, Debug, Default)]
pub struct UnitPatterns {
    names: BTreeSet<Box<str>>,
    globs: Vec<Glob>,
}

impl UnitPatterns {
    /// Takes names with their suffix, and globs of `*`, `?`, `[a-z]` and `[!a]`. A bracket that is never closed
    /// stands for itself.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Self {
        let mut found = Self::default();
        for text in patterns {
            let text = text.as_ref();
            if Glob::is_one(text) {
                found.globs.push(Glob::parse(text));
            } else {
                found.names.insert(text.into());
            }
        }
        found
    }

    /// Whether no unit was asked for.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.globs.is_empty()
    }

    /// Whether a name is among those that were asked for.
    pub fn matches(&self, name: &UnitName) -> bool {
        self.names.contains(name.as_str()) || self.globs.iter().any(|glob| glob.matches(name.as_str()))
    }

    /// Plain names, each once.
    pub fn names(&self) -> Vec<&str> {
        self.names.iter().map(|name| &**name).collect()
    }

    /// Globs, as they were given.
    pub fn globs(&self) -> Vec<&str> {
        self.globs.iter().map(Glob::text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::UnitPatterns;
    use crate::discovery::systemd::unit::UnitName;

    #[test]
    fn a_name_matches_by_itself_or_by_a_glob() {
        let patterns = UnitPatterns::new(["web1.service", "web*.service", "ssh.service", "web1.service"]);
        for (name, expected) in [
            ("ssh.service", true),
            ("web1.service", true),
            ("web2.service", true),
            ("web.scope", false),
            ("ssh.socket", false),
        ] {
            assert_eq!(patterns.matches(&UnitName::new(name).unwrap()), expected, "{name}");
        }
        assert_eq!(
            (patterns.names(), patterns.globs()),
            (vec!["ssh.service", "web1.service"], vec!["web*.service"])
        );
        for (patterns, expected) in [(&[][..], true), (&["a.service"], false), (&["*"], false)] {
            assert_eq!(UnitPatterns::new(patterns).is_empty(), expected, "{patterns:?}");
        }
    }
}
