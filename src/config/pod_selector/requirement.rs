//! One condition of a selector, and what keys and values of labels may be.

use std::collections::BTreeSet;
use std::fmt;

/// Longest name of a key, and longest value, bytes.
const MAX_NAME: usize = 63;
/// Longest prefix of a key, bytes: that of a DNS name.
const MAX_PREFIX: usize = 253;

/// What a label must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Requirement {
    pub(super) key: String,
    pub(super) condition: Condition,
}

/// What its value must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    NotThere,
    There,
    NotEqual(String),
    Equal(String),
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Less(i64),
    Greater(i64),
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, condition } = self;
        let joined =
            |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        match condition {
            Condition::NotThere => write!(formatter, "!{key}"),
            Condition::There => write!(formatter, "{key}"),
            Condition::NotEqual(value) => write!(formatter, "{key}!={value}"),
            Condition::Equal(value) => write!(formatter, "{key}={value}"),
            Condition::In(values) => write!(formatter, "{key} in ({})", joined(values)),
            Condition::NotIn(values) => write!(formatter, "{key} notin ({})", joined(values)),
            Condition::Less(number) => write!(formatter, "{key}<{number}"),
            Condition::Greater(number) => write!(formatter, "{key}>{number}"),
        }
    }
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The name.
    #[error("a name has at most {MAX_NAME} letters, digits and - _ . between letters or digits")]
    Name,
    /// The prefix.
    #[error("the part before / is a DNS name of at most {MAX_PREFIX} small letters, digits and - .")]
    Prefix,
}

/// Why a text is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {MAX_NAME} letters, digits and - _ . between letters or digits")]
pub struct ValueFault;

/// `name` or `prefix/name`.
pub(super) fn check_key(key: &str) -> Result<(), KeyFault> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| !is_dns_name(prefix)) {
        return Err(KeyFault::Prefix);
    }
    if is_name(name) { Ok(()) } else { Err(KeyFault::Name) }
}

/// A name, or nothing.
pub(super) fn check_value(value: &str) -> Result<(), ValueFault> {
    if value.is_empty() || is_name(value) { Ok(()) } else { Err(ValueFault) }
}

fn is_name(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    (1..=MAX_NAME).contains(&bytes.len())
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// RFC 1123, in small letters; Kubernetes does not bound the parts between dots here.
fn is_dns_name(text: &str) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(is_letter)
            && bytes.last().is_some_and(is_letter)
            && bytes.iter().all(|byte| is_letter(byte) || *byte == b'-')
    };
    text.len() <= MAX_PREFIX && text.split('.').all(is_part)
}
