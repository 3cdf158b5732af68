//! How the host of a signed URL is reached: directly or through a proxy, and who vouches for it.
//!
//! | host | reached directly | through a proxy |
//! |---|---|---|
//! | the store's own | addresses of the store's network, too: [`is_of_store`] | the same, where it is an address |
//! | any other | public addresses alone: [`is_public`] | the same, and no name that means the proxy's own host |
//!
//! A proxy looks names up itself, so that the agent cannot know where they lead; it knows who may go where.

use super::PutError;
use super::address::{is_of_store, is_public};
use super::resolver::Allowed;
use super::url::SignedUrl;
use crate::net::proxy::{Proxies, Proxy};
use crate::store::channel::StoreChannel;
use std::net::IpAddr;

/// The way to a host.
#[derive(Debug)]
pub(in super::super) struct Route {
    /// To whom its name may lead.
    pub(super) allowed: Allowed,
    /// What leads to it; `None` if it is reached directly.
    pub(super) proxy: Option<Proxy>,
    /// Who vouches for it, as PEM, beside those whom the host trusts.
    pub(super) authorities: Option<Vec<u8>>,
    /// Whoever answers is the host.
    pub(super) believe_anyone: bool,
}

impl Route {
    /// The store's rules hold for its own host alone.
    pub(in super::super) async fn find(
        url: &SignedUrl,
        store: &StoreChannel,
        proxies: &Proxies,
    ) -> Result<Self, PutError> {
        let host = url.host();
        let is_own = host.eq_ignore_ascii_case(store.host());
        let is_here = is_own && names_loopback(host);
        let proxy = proxies.choose(host, url.port(), true)?;
        let allowed = match &proxy {
            Some(proxy) => {
                check_name(host, is_own)?;
                Allowed::Proxy(proxy.host.clone())
            }
            None if is_own => Allowed::Store { is_here },
            None => Allowed::Public,
        };
        let failed = |source| PutError::Authorities { to: url.to_string(), source: Box::new(source) };
        let authorities = if is_own { store.authorities().await.map_err(failed)? } else { None };
        let believe_anyone = is_own && store.tls().is_some_and(|options| options.believe_anyone);
        Ok(Self { allowed, proxy, authorities, believe_anyone })
    }
}

/// Whether a host is this machine by the name that it was given.
fn names_loopback(host: &str) -> bool {
    host.parse().map_or(host.eq_ignore_ascii_case("localhost"), |address: IpAddr| {
        address.to_canonical().is_loopback()
    })
}

/// What can be said of a host without looking it up.
fn check_name(host: &str, is_own: bool) -> Result<(), PutError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        let may = if is_own { is_of_store(address, false) } else { is_public(address) };
        return if may { Ok(()) } else { Err(PutError::Forbidden { host: host.to_owned(), address }) };
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    // As in "2130706433", "127.1" and "0x7f.1": resolvers of the C library take them for addresses.
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_number || last == "localhost" {
        return Err(PutError::Name { host: host.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_name, names_loopback};

    #[test]
    fn what_a_proxy_is_not_asked_for() {
        for (host, other, own) in [
            ("bucket.example", true, true),
            ("bucket.example.", true, true),
            ("store", true, true),
            ("1.1.1.1", true, true),
            ("2606:4700::1111", true, true),
            ("0x.example", true, true),
            ("7f.example", true, true),
            ("10.0.0.1", false, true),
            ("fd00::1", false, true),
            ("127.0.0.1", false, false),
            ("169.254.169.254", false, false),
            ("168.63.129.16", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("fd00:ec2::254", false, false),
            ("0", false, false),
            ("127.1", false, false),
            ("1.1.1.1.", false, false),
            ("2130706433", false, false),
            ("0x7f000001", false, false),
            ("0xA9.0xFE.0xA9.0xFE", false, false),
            ("0x", false, false),
            ("localhost", false, false),
            ("LocalHost.", false, false),
            ("a.localhost", false, false),
        ] {
            let found = (check_name(host, false).is_ok(), check_name(host, true).is_ok());
            assert_eq!(found, (other, own), "{host}");
        }
    }

    #[test]
    fn a_store_on_this_machine_is_told_by_its_name() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in ["store", "localhost.example", "10.0.0.1", "127.1"] {
            assert!(!names_loopback(host), "{host}");
        }
    }
}
