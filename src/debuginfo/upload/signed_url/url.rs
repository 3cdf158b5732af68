//! A URL that is a permission.

use http::Uri;
use http::uri::Scheme;
use std::fmt;

/// Longest URL. Those of the large clouds have 2 KiB at the most, most of it a signature.
const MAX_BYTES: usize = 16 << 10;

/// Of HTTPS.
pub(super) const PORT: u16 = 443;

/// Where a file may be put by whoever has the URL: so it is not shown but for its scheme and host.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl(Uri);

/// Why a URL is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL with a host.
    #[error("the signed URL is none")]
    Malformed,
    /// Longer than any.
    #[error("the signed URL has {0} bytes")]
    TooLong(usize),
    /// Another scheme than `https`.
    #[error("the signed URL is not for https")]
    Scheme,
    /// A name or password before the host, which could be taken for it.
    #[error("the signed URL has a user before its host")]
    User,
}

impl SignedUrl {
    /// Takes what leads to a host by HTTPS.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_BYTES {
            return Err(UrlError::TooLong(text.len()));
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let scheme = uri.scheme().ok_or(UrlError::Malformed)?;
        if *scheme != Scheme::HTTPS {
            return Err(UrlError::Scheme);
        }
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::User);
        }
        // What follows the host and is no number is no port.
        let is_bare = authority.as_str() == authority.host();
        let has_port = authority.port_u16().is_some_and(|port| port != 0);
        if authority.host().is_empty() || !(is_bare || has_port) {
            return Err(UrlError::Malformed);
        }
        Ok(Self(uri))
    }

    /// The whole of it.
    pub(super) fn secret(&self) -> &Uri {
        &self.0
    }

    /// Of TCP.
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(PORT)
    }

    /// A name, or an address without brackets.
    pub fn host(&self) -> &str {
        bare(&self.0)
    }
}

/// The host of a URL, without the brackets that an address of IPv6 has in it.
pub(super) fn bare(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

impl fmt::Display for SignedUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "https://{}", self.0.host().unwrap_or_default())
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SignedUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, SignedUrl, UrlError};

    #[test]
    fn only_https_to_a_host_is_a_signed_url() {
        let long = format!("https://a/{}", "x".repeat(MAX_BYTES));
        for (text, expected) in [
            ("https://bucket.example/key?signature=s", Ok("bucket.example")),
            ("HTTPS://Bucket.Example:8443/key", Ok("Bucket.Example")),
            ("https://[2001:db8::1]:443/key", Ok("2001:db8::1")),
            ("https://169.254.169.254/latest", Ok("169.254.169.254")),
            ("http://bucket.example/key", Err(UrlError::Scheme)),
            ("http://169.254.169.254/latest/meta-data", Err(UrlError::Scheme)),
            ("ftp://bucket.example/key", Err(UrlError::Scheme)),
            ("file:///etc/shadow", Err(UrlError::Malformed)),
            ("file://host/etc/shadow", Err(UrlError::Scheme)),
            ("https://store@evil/key", Err(UrlError::User)),
            ("https://store:443@evil/key", Err(UrlError::User)),
            ("https://:password@evil/key", Err(UrlError::User)),
            ("https://a b/key", Err(UrlError::Malformed)),
            ("https://a\r\nHost: b/key", Err(UrlError::Malformed)),
            ("https:///key", Err(UrlError::Malformed)),
            ("https://:443/key", Err(UrlError::Malformed)),
            ("https://a:/key", Err(UrlError::Malformed)),
            ("https://a:0/key", Err(UrlError::Malformed)),
            ("https://a:99999/key", Err(UrlError::Malformed)),
            ("https://", Err(UrlError::Malformed)),
            ("/key", Err(UrlError::Malformed)),
            ("bucket.example", Err(UrlError::Malformed)),
            ("", Err(UrlError::Malformed)),
            (&long, Err(UrlError::TooLong(long.len()))),
        ] {
            let parsed = SignedUrl::parse(text);
            assert_eq!(parsed.as_ref().map(SignedUrl::host).map_err(|error| *error), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let url = SignedUrl::parse("https://bucket.example:8443/key?signature=s").unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://bucket.example SignedUrl(https://bucket.example)");
    }
}
