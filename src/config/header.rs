//! Headers that the operator adds to every request to the store. Their values may be secrets, and nothing shows them.

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use std::fmt;
use std::str::FromStr;

/// Headers that are the agent's own, or the protocol's.
const RESERVED: [&str; 6] = ["authorization", "content-type", "host", "te", "user-agent", "content-length"];
/// What names of the protocol's own headers begin with.
const RESERVED_PREFIX: &str = "grpc-";
/// Bytes of all of them: a server takes some KiB.
const MAX_BYTES: usize = 8 << 10;
/// What is shown in the place of a value.
const HIDDEN: &str = "(hidden)";

/// A header.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: HeaderValue,
}

impl Header {
    /// Its name.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// Its value.
    pub fn value(&self) -> &HeaderValue {
        &self.value
    }
}

/// Not a header. What was written behind the equals sign is not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No equals sign.
    #[error("is no header: write NAME=VALUE")]
    Syntax,
    /// Not the name of a header.
    #[error("{name:?} is no name of a header")]
    Name {
        /// The name.
        name: String,
    },
    /// One that the agent sets.
    #[error("the header {name:?} is the agent's own")]
    Reserved {
        /// The name.
        name: String,
    },
    /// Bytes that no header has.
    #[error("the header {name:?} has no value of visible ASCII")]
    Value {
        /// The name.
        name: String,
    },
    /// What was shown by `config print`.
    #[error("the header {name:?} has the value that hides its own")]
    Hidden {
        /// The name.
        name: String,
    },
    /// Too long.
    #[error("is longer than {MAX_BYTES} bytes")]
    TooLong,
}

impl FromStr for Header {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_BYTES {
            return Err(HeaderError::TooLong);
        }
        let (written, value) = text.split_once('=').ok_or(HeaderError::Syntax)?;
        let (written, value) = (written.trim().to_ascii_lowercase(), value.trim());
        let name = || written.clone();
        if RESERVED.contains(&written.as_str()) || written.starts_with(RESERVED_PREFIX) {
            return Err(HeaderError::Reserved { name: name() });
        }
        if value == HIDDEN {
            return Err(HeaderError::Hidden { name: name() });
        }
        let is_visible = !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        match (HeaderName::from_str(&written), HeaderValue::from_str(value)) {
            // A name of this kind has values that are no text.
            (Ok(name), Ok(mut value)) if is_visible && !written.ends_with("-bin") => {
                value.set_sensitive(true);
                Ok(Self { name, value })
            }
            (Ok(_), _) => Err(HeaderError::Value { name: name() }),
            (Err(_), _) => Err(HeaderError::Name { name: name() }),
        }
    }
}

impl fmt::Display for Header {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={HIDDEN}", self.name)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Reads an array of strings.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Header>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
}

/// Writes an array of strings, without the values.
pub fn serialize<S: Serializer>(headers: &[Header], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(headers.iter().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::Header;

    #[test]
    fn a_header_is_read_and_its_value_never_shown() {
        let header: Header = "X-Scope-OrgID = shop = 1 ".parse().unwrap();
        assert_eq!(
            (header.name().as_str(), header.value().as_bytes()),
            ("x-scope-orgid", b"shop = 1".as_slice())
        );
        assert_eq!(format!("{header} {header:?}"), "x-scope-orgid=(hidden) x-scope-orgid=(hidden)");
        for (text, expected) in [
            ("secret", "is no header: write NAME=VALUE"),
            ("a b=secret", "\"a b\" is no name of a header"),
            ("Authorization=secret", "the header \"authorization\" is the agent's own"),
            ("grpc-timeout=secret", "the header \"grpc-timeout\" is the agent's own"),
            ("x=", "the header \"x\" has no value of visible ASCII"),
            ("x=secr\u{e9}t", "the header \"x\" has no value of visible ASCII"),
            ("x=a\nb", "the header \"x\" has no value of visible ASCII"),
            ("x-bin=secret", "the header \"x-bin\" has no value of visible ASCII"),
            ("x=(hidden)", "the header \"x\" has the value that hides its own"),
        ] {
            assert_eq!(text.parse::<Header>().unwrap_err().to_string(), expected);
        }
    }
}
