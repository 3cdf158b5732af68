//! The oldest version of TLS that the store may speak.

use crate::choice::{self, NotAmong};
use std::fmt;
use std::str::FromStr;

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// Version 1.2.
    V12,
    /// Version 1.3.
    #[default]
    V13,
}

const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::V12), ("1.3", TlsVersion::V13)];

impl FromStr for TlsVersion {
    type Err = NotAmong;

    fn from_str(text: &str) -> Result<Self, NotAmong> {
        choice::choose(text, &VERSIONS)
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(choice::word(*self, &VERSIONS))
    }
}
