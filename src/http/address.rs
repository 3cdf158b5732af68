//! Addresses to listen on, as an operator writes them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

/// Connections that the kernel holds until they are accepted. The default of 128 is too few for a burst.
const BACKLOG: i32 = 1024;

/// Why no socket listens.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not `HOST:PORT` or `:PORT`, or a name that does not resolve.
    #[error("bad listening address {address:?}")]
    Bad {
        /// As it was written.
        address: String,
        /// What the resolver says.
        #[source]
        source: io::Error,
    },
    /// Most often the port is taken.
    #[error("failed to listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

/// The addresses of `HOST:PORT`; `:PORT` is every address of the machine.
pub fn resolve(text: &str) -> Result<Vec<SocketAddr>, AddressError> {
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        // One IPv6 socket serves IPv4 too; a kernel without IPv6 has no such socket.
        let has_ipv6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
        return Ok(vec![if has_ipv6 {
            (Ipv6Addr::UNSPECIFIED, port).into()
        } else {
            (Ipv4Addr::UNSPECIFIED, port).into()
        }]);
    }
    match text.to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(source) => Err(AddressError::Bad { address: text.to_owned(), source }),
    }
}

/// A listening socket.
pub fn bind(address: SocketAddr) -> Result<TcpListener, AddressError> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        rustix::net::listen(&listener, BACKLOG)?;
        Ok(listener)
    };
    listen().map_err(|source| AddressError::Bind { address, source })
}

#[cfg(test)]
mod tests {
    use super::{bind, resolve};

    #[test]
    fn addresses_resolve_or_are_named_in_the_error() {
        assert_eq!(resolve("127.0.0.1:7071").unwrap(), ["127.0.0.1:7071".parse().unwrap()]);
        let [every] = resolve(":7071").unwrap()[..] else { panic!("one address") };
        assert!(every.ip().is_unspecified() && every.port() == 7071);
        for bad in ["", "7071", "127.0.0.1", ":99999", "127.0.0.1:x"] {
            assert_eq!(resolve(bad).unwrap_err().to_string(), format!("bad listening address {bad:?}"));
        }
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(bind(address).unwrap_err().to_string(), format!("failed to listen on {address}"));
    }
}
