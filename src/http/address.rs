//! Listening sockets.

use rustix::io::Errno;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that the kernel holds until they are accepted. The default of 128 is too few for a burst.
const BACKLOG: i32 = 1024;

/// Why no socket listens.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
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

impl AddressError {
    /// The machine has no such address, or none of its family.
    pub(super) fn is_absence(&self) -> bool {
        let Self::Bind { source, .. } = self;
        let absences = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL];
        absences.iter().any(|absence| source.raw_os_error() == Some(absence.raw_os_error()))
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
    use super::bind;

    #[test]
    fn a_port_in_use_is_named() {
        let taken = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(bind(address).unwrap_err().to_string(), format!("failed to listen on {address}"));
    }
}
