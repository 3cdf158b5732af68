//! Which proxy, if any, leads to a peer: chosen by the variables that curl knows.
//!
//! | variable | is for |
//! |---|---|
//! | `https_proxy`, `HTTPS_PROXY` | peers with TLS |
//! | `http_proxy` | peers without; `HTTP_PROXY` is what a web server makes of a request's header `Proxy` (httpoxy) |
//! | `all_proxy`, `ALL_PROXY` | both, where the one above is not set |
//! | `no_proxy`, `NO_PROXY` | who is reached directly |
//!
//! The first of a line goes before the second, and an empty one is as good as none. This machine is always reached
//! directly.

mod exempt;
pub mod tunnel;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use exempt::Exempt;
use http::HeaderValue;
use http::uri::Authority;
use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

/// The port of a proxy's URL that names none.
const DEFAULT_PORT: u16 = 80;

/// What the environment says of proxies.
#[derive(Debug, Default)]
pub struct Proxies {
    with_tls: Option<Variable>,
    without_tls: Option<Variable>,
    all: Option<Variable>,
    exempt: Exempt,
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// A name, looked up at each connection, or an address.
    pub host: String,
    /// Of TCP.
    pub port: u16,
    /// What it demands.
    authorization: Option<HeaderValue>,
}

/// Why a variable names no proxy. What the variable holds is not shown: there may be a password in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// A proxy of another kind.
    #[error("{variable} names a proxy of {scheme}://, the agent knows proxies of http:// only")]
    Scheme {
        /// Its name.
        variable: &'static str,
        /// What stands before `://`.
        scheme: String,
    },
    /// Something else.
    #[error(
        "{variable} is not the URL of a proxy, which is http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
    )]
    Url {
        /// Its name.
        variable: &'static str,
    },
}

/// A variable that is set.
struct Variable {
    name: &'static str,
    value: OsString,
}

impl Proxies {
    /// Reads the environment. What is wrong in it matters only once it is used.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.is_empty())?;
                Some(Variable { name, value })
            })
        };
        let exempt = first(&["no_proxy", "NO_PROXY"]);
        Self {
            with_tls: first(&["https_proxy", "HTTPS_PROXY"]),
            without_tls: first(&["http_proxy"]),
            all: first(&["all_proxy", "ALL_PROXY"]),
            exempt: exempt.map_or_else(Exempt::default, |list| Exempt::parse(&list.value.to_string_lossy())),
        }
    }

    /// The proxy that leads to a peer; `None` if it is reached directly. `host` is a name, or an address without
    /// brackets.
    pub fn choose(&self, host: &str, port: u16, tls: bool) -> Result<Option<Proxy>, ProxyError> {
        let own = if tls { &self.with_tls } else { &self.without_tls };
        let Some(variable) = own.as_ref().or(self.all.as_ref()) else { return Ok(None) };
        if is_this_machine(host) || self.exempt.holds(host, port) {
            return Ok(None);
        }
        variable.proxy().map(Some)
    }
}

impl Proxy {
    /// Whether it demands a user.
    pub fn has_user(&self) -> bool {
        self.authorization.is_some()
    }

    /// User and password; `None` without, or where one of them is no text.
    pub fn user(&self) -> Option<(String, String)> {
        let together = self.authorization.as_ref()?.as_bytes().strip_prefix(b"Basic ")?;
        let together = String::from_utf8(STANDARD.decode(together).ok()?).ok()?;
        let (user, password) = together.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }
}

fn is_this_machine(host: &str) -> bool {
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.parse().map_or(host.eq_ignore_ascii_case("localhost"), is_loopback)
}

impl Variable {
    fn proxy(&self) -> Result<Proxy, ProxyError> {
        let bad = || ProxyError::Url { variable: self.name };
        let text = self.value.to_str().ok_or_else(bad)?.trim();
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if is_scheme(scheme) => {
                return Err(ProxyError::Scheme { variable: self.name, scheme: scheme.to_ascii_lowercase() });
            }
            Some(_) => return Err(bad()),
            None => text,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (rest, path) = rest.split_at(end);
        // It stands behind a user: one of these is in a password, and what is before it is no place.
        if path.contains('@') {
            return Err(bad());
        }
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let place: Authority = place.parse().map_err(|_| bad())?;
        let host = place.host().trim_start_matches('[').trim_end_matches(']');
        let port = match place.as_str().strip_prefix(place.host()) {
            Some("" | ":") => Some(DEFAULT_PORT),
            _ => place.port_u16().filter(|port| *port != 0),
        };
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Proxy {
            host: host.to_owned(),
            port: port.ok_or_else(bad)?,
            authorization: user.map(|user| basic(user).ok_or_else(bad)).transpose()?,
        })
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_part)
}

/// RFC 7617, section 2. `None` if something is escaped as nothing can be.
fn basic(user: &str) -> Option<HeaderValue> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let together = [&unescape(user)?[..], b":", &unescape(password)?].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(together))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Takes percent-encoding back (RFC 3986, section 2.1).
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut pieces = text.as_bytes().split(|byte| *byte == b'%');
    let mut bytes = pieces.next()?.to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(u8::try_from(digit(digits[0])? << 4 | digit(digits[1])?).ok()?);
        bytes.extend_from_slice(rest);
    }
    Some(bytes)
}

/// Host and port alone.
impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&super::stream::authority(&self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxy({self})")
    }
}

/// Its name alone.
impl fmt::Debug for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Variable({})", self.name)
    }
}

#[cfg(test)]
mod tests;
