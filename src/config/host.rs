//! Whether processes that nothing else claims are profiled.

use crate::choice::{self, NotAmong};
use serde::de::{self, Deserializer, Visitor};
use std::fmt;
use std::str::FromStr;

/// Whether the host itself is a source of targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostDiscovery {
    /// If no other source says what is wanted.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// The first word for each is how it is written.
const WORDS: [(&str, HostDiscovery); 5] = [
    ("auto", HostDiscovery::Auto),
    ("on", HostDiscovery::On),
    ("off", HostDiscovery::Off),
    ("true", HostDiscovery::On),
    ("false", HostDiscovery::Off),
];

impl HostDiscovery {
    /// Whether the host is a source. `others` says whether Kubernetes or a list of units is in force.
    pub fn is_on(self, others: bool) -> bool {
        match self {
            Self::Auto => !others,
            Self::On => true,
            Self::Off => false,
        }
    }

    /// Reads it from a file, where it is true, false or a word.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        deserializer.deserialize_any(WordOrBool).map(Some)
    }
}

impl FromStr for HostDiscovery {
    type Err = NotAmong;

    fn from_str(text: &str) -> Result<Self, NotAmong> {
        choice::choose(text, &WORDS)
    }
}

impl fmt::Display for HostDiscovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(choice::word(*self, &WORDS))
    }
}

struct WordOrBool;

impl Visitor<'_> for WordOrBool {
    type Value = HostDiscovery;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true, false or \"auto\"")
    }

    fn visit_bool<E: de::Error>(self, is_on: bool) -> Result<HostDiscovery, E> {
        Ok(if is_on { HostDiscovery::On } else { HostDiscovery::Off })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HostDiscovery, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::HostDiscovery;

    #[test]
    fn words_for_it() {
        for (text, shown) in
            [("auto", "auto"), ("on", "on"), ("true", "on"), ("off", "off"), ("false", "off")]
        {
            assert_eq!(text.parse::<HostDiscovery>().unwrap().to_string(), shown);
        }
        let error = "yes".parse::<HostDiscovery>().unwrap_err().to_string();
        assert_eq!(error, r#""yes" is none of auto, on, off, true, false"#);
    }

    #[test]
    fn by_itself_it_gives_way_to_other_sources() {
        for (host, alone, beside_others) in [
            (HostDiscovery::Auto, true, false),
            (HostDiscovery::On, true, true),
            (HostDiscovery::Off, false, false),
        ] {
            assert_eq!((host.is_on(false), host.is_on(true)), (alone, beside_others), "{host}");
        }
    }
}
