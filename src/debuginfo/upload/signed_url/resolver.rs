//! From the host of a signed URL to addresses that the agent may connect to. There is no other way to one, so that a
//! name cannot lead elsewhere between the check and the connection.

use super::address::{is_of_store, is_public};
use super::url::{PORT, bare};
use http::Uri;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Most addresses of a host; what ureq has room for.
const MOST: usize = 16;

/// An address that no signed URL may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forbidden(pub(super) SocketAddr);

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is not for signed URLs", self.0.ip())
    }
}

impl std::error::Error for Forbidden {}

/// To whom a name may lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// A host of the Internet.
    Public,
    /// The store's own host; `is_here`: the agent's, too.
    Store {
        /// It was configured as loopback.
        is_here: bool,
    },
    /// This proxy, which looks at the rest itself: ureq asks for nobody else.
    Proxy(String),
}

/// Looks names up, and lets them lead to whom they may.
#[derive(Debug)]
pub(super) struct CheckingResolver(pub(super) Allowed);

impl Allowed {
    /// A host is refused for any of its addresses: one that has both kinds means no good.
    pub(super) fn check(&self, host: &str, addresses: &[SocketAddr]) -> Result<(), Forbidden> {
        let may = |address: &&SocketAddr| match self {
            Self::Public => is_public(address.ip()),
            Self::Store { is_here } => is_of_store(address.ip(), *is_here),
            Self::Proxy(proxy) => host == proxy,
        };
        let forbidden = addresses.iter().find(|address| !may(address));
        forbidden.map_or(Ok(()), |address| Err(Forbidden(*address)))
    }
}

impl Resolver for CheckingResolver {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = bare(uri);
        // The system's resolver has time limits of its own, and this thread has nothing else to do.
        let found = (host, uri.port_u16().unwrap_or(PORT)).to_socket_addrs();
        let found: Vec<_> = found.map_err(|_| ureq::Error::HostNotFound)?.collect();
        self.0.check(host, &found).map_err(|forbidden| ureq::Error::Other(Box::new(forbidden)))?;
        let mut addresses = self.empty();
        for address in found.into_iter().take(MOST) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowed, CheckingResolver, Forbidden};
    use std::net::SocketAddr;
    use ureq::unversioned::resolver::Resolver;
    use ureq::unversioned::transport::NextTimeout;

    #[test]
    fn one_address_that_is_not_allowed_is_enough() {
        let [public, own, here, metadata] =
            [[1, 1, 1, 1], [10, 0, 0, 1], [127, 0, 0, 1], [169, 254, 169, 254]]
                .map(|address| SocketAddr::from((address, 443)));
        let proxy = || Allowed::Proxy("proxy".to_owned());
        for (allowed, host, addresses, expected) in [
            (Allowed::Public, "bucket.example", vec![public], Ok(())),
            (Allowed::Public, "bucket.example", vec![public, own], Err(Forbidden(own))),
            (Allowed::Store { is_here: false }, "store", vec![own, public], Ok(())),
            (Allowed::Store { is_here: false }, "store", vec![own, here], Err(Forbidden(here))),
            (Allowed::Store { is_here: true }, "localhost", vec![here], Ok(())),
            (Allowed::Store { is_here: true }, "localhost", vec![here, metadata], Err(Forbidden(metadata))),
            (proxy(), "proxy", vec![own, here], Ok(())),
            (proxy(), "bucket.example", vec![public], Err(Forbidden(public))),
        ] {
            assert_eq!(allowed.check(host, &addresses), expected, "{allowed:?} {host} {addresses:?}");
        }
    }

    #[test]
    fn an_address_in_any_spelling_is_looked_at_as_what_it_is() {
        // What the system's resolver takes for addresses of this host, or for no name at all.
        for host in [
            "localhost",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0",
        ] {
            let uri = format!("https://{host}/").parse().unwrap();
            let config = ureq::Agent::config_builder().build();
            let error =
                CheckingResolver(Allowed::Public).resolve(&uri, &config, NextTimeout::default()).unwrap_err();
            match error {
                ureq::Error::Other(inside) => assert!(inside.is::<Forbidden>(), "{host}: {inside}"),
                error => assert!(matches!(error, ureq::Error::HostNotFound), "{host}: {error}"),
            }
        }
    }
}
