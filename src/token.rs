//! A token that the store demands. Nothing shows it.

use std::fmt;
use std::str::FromStr;

/// Longest token, bytes.
const MAX_LENGTH: usize = 16 << 10;
/// What is shown in its place: no token, so that what was shown is not taken for one.
const HIDDEN: &str = "(hidden)";

/// A token, or none: an empty text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BearerToken(Option<String>);

impl BearerToken {
    /// The token itself, if there is one.
    pub fn secret(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// Not a token. What was written is not told: it may be one, all but a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerTokenError {
    /// Not the letters of a token (RFC 6750, section 2.1).
    #[error("is no token: letters, digits and -._~+/ only, = at the end")]
    Syntax,
    /// Too long.
    #[error("is longer than {MAX_LENGTH} bytes")]
    TooLong,
}

impl FromStr for BearerToken {
    type Err = BearerTokenError;

    /// White space around it is left out: a file ends with a line feed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_ascii();
        let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        if text.is_empty() {
            Ok(Self(None))
        } else if text.len() > MAX_LENGTH {
            Err(BearerTokenError::TooLong)
        } else if text.trim_end_matches('=').bytes().all(is_of_token) && !text.starts_with('=') {
            Ok(Self(Some(text.to_owned())))
        } else {
            Err(BearerTokenError::Syntax)
        }
    }
}

impl fmt::Display for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_empty() { "" } else { HIDDEN })
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::BearerToken;

    #[test]
    fn a_token_is_read_and_never_shown() {
        let token: BearerToken = " aB9-._~+/==\r\n".parse().unwrap();
        assert_eq!(token.secret(), Some("aB9-._~+/=="));
        assert_eq!(format!("{token} {token:?}"), "(hidden) (hidden)");
        assert!(token.to_string().parse::<BearerToken>().is_err(), "what is shown is none");
        assert!("".parse::<BearerToken>().unwrap().is_empty());
        for text in ["a b", "a\nb", "=", "ä", "a=b", "Bearer x", &"x".repeat(17 << 10)] {
            let error = text.parse::<BearerToken>().unwrap_err().to_string();
            assert!(!error.contains(text) || text == "=", "{error}");
        }
    }
}
