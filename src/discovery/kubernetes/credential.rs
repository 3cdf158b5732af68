//! How the agent proves to the API server who it is, beside a certificate.

use super::small_file::{self, FileError};
use http::HeaderValue;
use k8s_openapi::ByteString;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// Longest token that is taken. Those of service accounts have about 1 KiB.
const MAX_TOKEN: u64 = 64 << 10;

/// What goes into the header `Authorization`. Debug output shows no secret.
#[derive(Debug)]
pub enum Credential {
    /// Nothing: a certificate may do.
    None,
    /// A token that never changes.
    Token(SecretString),
    /// A token in a file that others renew, for service accounts about every hour.
    TokenFile(PathBuf),
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: SecretString,
    },
}

/// Why there is nothing to prove it by.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file of the token.
    #[error("the bearer token file {0}")]
    File(#[from] FileError),
    /// A line feed or the like within. It is not shown.
    #[error("the {0} holds characters that no HTTP header may hold")]
    Characters(&'static str),
}

impl Credential {
    /// The header's value now. The file of a token is read for every request: requests are rare.
    pub fn authorization(&self) -> Result<Option<HeaderValue>, CredentialError> {
        let (what, text) = match self {
            Self::None => return Ok(None),
            Self::Token(token) => ("bearer token", format!("Bearer {}", token.expose_secret())),
            Self::TokenFile(path) => {
                ("bearer token", format!("Bearer {}", small_file::read_trimmed(path, MAX_TOKEN)?))
            }
            Self::Password { user, password } => {
                ("password", format!("Basic {}", base64(&format!("{user}:{}", password.expose_secret()))))
            }
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| CredentialError::Characters(what))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Whether whoever hears it can use it.
    pub fn is_secret(&self) -> bool {
        !matches!(self, Self::None)
    }
}

fn base64(text: &str) -> String {
    // Base64 is what Kubernetes writes bytes as; writing it cannot fail.
    let bytes = ByteString(text.as_bytes().to_vec());
    serde_json::to_value(bytes).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Credential;
    use std::fs;

    #[test]
    fn headers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "from.file\r\n").unwrap();
        let cases = [
            (Credential::None, None),
            (Credential::Token("abc".into()), Some("Bearer abc")),
            (Credential::TokenFile(file), Some("Bearer from.file")),
            // RFC 7617, section 2.
            (
                Credential::Password { user: "Aladdin".into(), password: "open sesame".into() },
                Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ),
        ];
        for (credential, expected) in cases {
            let value = credential.authorization().unwrap();
            assert_eq!(value.as_ref().map(|value| value.to_str().unwrap()), expected);
            assert!(value.is_none_or(|value| value.is_sensitive()));
        }
    }

    #[test]
    fn no_error_and_no_debug_output_shows_a_secret() {
        let credential = Credential::Token("se\ncret".into());
        let error = credential.authorization().unwrap_err().to_string();
        assert_eq!(error, "the bearer token holds characters that no HTTP header may hold");
        assert!(!format!("{credential:?}").contains("cret\""), "{credential:?}");
    }
}
