//! Where the agent serves its pages: `HOST:PORT` or `:PORT`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAddress {
    host: Host,
    port: u16,
}

/// What stands before the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// Every interface, IPv6 and IPv4.
    Any,
    /// One address of this host.
    Address(IpAddr),
    /// A name that the resolver knows.
    Name(String),
}

impl HttpAddress {
    /// Port 7071 on every interface.
    pub const DEFAULT: Self = Self { host: Host::Any, port: 7071 };

    /// What stands before the port, and the port.
    pub(super) fn into_parts(self) -> (Host, u16) {
        (self.host, self.port)
    }

    /// Socket addresses, best first: listen on the first that can be bound.
    ///
    /// For every interface that is the IPv6 wildcard, whose socket also takes IPv4 connections, and the
    /// IPv4 one for a host without IPv6. Only a name is looked up, which may block.
    pub fn socket_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(match &self.host {
            Host::Any => vec![
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.port)),
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port)),
            ],
            Host::Address(address) => vec![SocketAddr::from((*address, self.port))],
            Host::Name(name) => (name.as_str(), self.port).to_socket_addrs()?.collect(),
        })
    }
}

/// Not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpAddressError {
    /// No port at the end.
    #[error("{given:?} has no port: write HOST:PORT, or :PORT for every interface")]
    NoPort {
        /// What was written.
        given: String,
    },
    /// The port is no number of 16 bits.
    #[error("{given:?} has a bad port: it is a number from 0 to 65535")]
    Port {
        /// What was written.
        given: String,
    },
    /// An IPv6 address whose end cannot be told from a port.
    #[error("{given:?} needs brackets: write an IPv6 address as [::1]:7071")]
    Brackets {
        /// What was written.
        given: String,
    },
    /// Neither an IP address nor a host name.
    #[error("{given:?} has a bad host: it is an IP address or a host name")]
    Host {
        /// What was written.
        given: String,
    },
}

impl FromStr for HttpAddress {
    type Err = HttpAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || text.to_owned();
        let (host, port) =
            text.rsplit_once(':').ok_or_else(|| HttpAddressError::NoPort { given: given() })?;
        if text.parse::<Ipv6Addr>().is_ok() || (host.contains(':') && !host.starts_with('[')) {
            return Err(HttpAddressError::Brackets { given: given() });
        }
        if text.ends_with(']') || port.is_empty() {
            return Err(HttpAddressError::NoPort { given: given() });
        }
        // The standard parser takes a sign.
        let number = if port.starts_with('+') { None } else { port.parse().ok() };
        let port = number.ok_or_else(|| HttpAddressError::Port { given: given() })?;
        let host = parse_host(host).ok_or_else(|| HttpAddressError::Host { given: given() })?;
        Ok(Self { host, port })
    }
}

fn parse_host(text: &str) -> Option<Host> {
    if text.is_empty() {
        return Some(Host::Any);
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        return bracketed.strip_suffix(']')?.parse().ok().map(|address| Host::Address(IpAddr::V6(address)));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(Host::Address(IpAddr::V4(address)));
    }
    // RFC 1123, section 2.1. A last label of digits is an IPv4 address that went wrong.
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next()?;
    let is_name =
        text.len() <= 253 && text.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit());
    is_name.then(|| Host::Name(text.into()))
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Any => write!(formatter, ":{port}"),
            Host::Address(address) => SocketAddr::from((*address, port)).fmt(formatter),
            Host::Name(name) => write!(formatter, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HttpAddress;

    fn sockets(text: &str) -> Vec<String> {
        let address: HttpAddress = text.parse().unwrap();
        address.socket_addresses().unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses() {
        assert_eq!(sockets(":7071"), ["[::]:7071", "0.0.0.0:7071"]);
        assert_eq!(sockets("127.0.0.1:80"), ["127.0.0.1:80"]);
        assert_eq!(sockets("[::1]:0"), ["[::1]:0"]);
        assert!(sockets("localhost:7071").iter().any(|address| address == "127.0.0.1:7071"));
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in [":7071", "0.0.0.0:1", "[::1]:65535", "localhost:7071", "node-1.example.org:80"] {
            assert_eq!(text.parse::<HttpAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn no_addresses() {
        let no_port = "has no port: write HOST:PORT, or :PORT for every interface";
        let bad_port = "has a bad port: it is a number from 0 to 65535";
        let brackets = "needs brackets: write an IPv6 address as [::1]:7071";
        let bad_host = "has a bad host: it is an IP address or a host name";
        for (text, reason) in [
            ("", no_port),
            ("7071", no_port),
            ("localhost", no_port),
            ("localhost:", no_port),
            ("[::1]", no_port),
            (":65536", bad_port),
            (":http", bad_port),
            (":+80", bad_port),
            (":-1", bad_port),
            ("::1", brackets),
            ("::1:7071", brackets),
            ("fe80::1:2:7071", brackets),
            ("http://localhost:7071", brackets),
            ("256.0.0.1:80", bad_host),
            ("[127.0.0.1]:80", bad_host),
            ("a b:80", bad_host),
            ("-a:80", bad_host),
            ("a..b:80", bad_host),
            ("a\n:80", bad_host),
        ] {
            let error = text.parse::<HttpAddress>().unwrap_err().to_string();
            assert_eq!(error, format!("{text:?} {reason}"));
        }
    }
}
