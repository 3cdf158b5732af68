//! Where the store is: `HOST:PORT`.

use super::address::{Host, HttpAddress, HttpAddressError};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A store of profiles, or none: an empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreAddress(Option<Peer>);

/// Whom to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// A name that is looked up at each connection, or an IP address.
    pub host: String,
    /// Of TCP.
    pub port: u16,
}

impl StoreAddress {
    /// Whom to connect to, if there is a store.
    pub fn get(&self) -> Option<&Peer> {
        self.0.as_ref()
    }
}

impl Peer {
    /// Whether it is this machine: what goes there is seen by no one else.
    pub fn is_loopback(&self) -> bool {
        self.host.parse::<IpAddr>().map_or(self.host.eq_ignore_ascii_case("localhost"), |address| {
            address.to_canonical().is_loopback()
        })
    }
}

/// Not the address of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreAddressError {
    /// Not HOST:PORT.
    #[error(transparent)]
    Address(#[from] HttpAddressError),
    /// A port alone.
    #[error("{given:?} has no host: write HOST:PORT")]
    NoHost {
        /// What was written.
        given: String,
    },
    /// Nothing listens there.
    #[error("{given:?} has a bad port: it is a number from 1 to 65535")]
    NoPort {
        /// What was written.
        given: String,
    },
    /// What begins like an URL.
    #[error("{given:?} is an URL: write HOST:PORT; --insecure says whether there is TLS")]
    Url {
        /// What was written.
        given: String,
    },
}

impl FromStr for StoreAddress {
    type Err = StoreAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || text.to_owned();
        if text.is_empty() {
            return Ok(Self(None));
        }
        if text.contains("://") {
            return Err(StoreAddressError::Url { given: given() });
        }
        let (host, port) = text.parse::<HttpAddress>()?.into_parts();
        let host = match host {
            Host::Any => return Err(StoreAddressError::NoHost { given: given() }),
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name,
        };
        if port == 0 {
            return Err(StoreAddressError::NoPort { given: given() });
        }
        Ok(Self(Some(Peer { host, port })))
    }
}

/// `HOST:PORT`, an IPv6 address in brackets.
impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(formatter, "[{host}]:{port}")
        } else {
            write!(formatter, "{host}:{port}")
        }
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |peer| peer.fmt(formatter))
    }
}

#[cfg(test)]
mod tests {
    use super::StoreAddress;

    #[test]
    fn a_host_and_a_port_or_nothing() {
        for (text, loopback) in [
            ("store.example:443", false),
            ("localhost:7070", true),
            ("127.0.0.9:7070", true),
            ("[::1]:7070", true),
            ("[2001:db8::1]:443", false),
        ] {
            let address: StoreAddress = text.parse().unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.get().unwrap().is_loopback()),
                (text, loopback)
            );
        }
        assert_eq!("".parse::<StoreAddress>().unwrap().get(), None);
        for (text, reason) in [
            (":7070", "has no host: write HOST:PORT"),
            ("store", "has no port: write HOST:PORT, or :PORT for every interface"),
            ("store:0", "has a bad port: it is a number from 1 to 65535"),
            ("https://store:443", "is an URL: write HOST:PORT; --insecure says whether there is TLS"),
        ] {
            assert_eq!(text.parse::<StoreAddress>().unwrap_err().to_string(), format!("{text:?} {reason}"));
        }
    }
}
