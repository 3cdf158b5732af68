//! `no_proxy`: who is reached directly. Pure.
//!
//! A list with commas or spaces between its entries, read as curl reads it, and with ports, as Go does:
//!
//! | entry | who is meant |
//! |---|---|
//! | `*` | everybody |
//! | `example.com`, `.example.com` | that host, and every name that ends with `.example.com` |
//! | `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` | that address |
//! | `192.0.2.0/24`, `2001:db8::/32` | the addresses of that network |
//! | any but a network, and `:PORT` behind it | the same, at that port only |
//!
//! Names are not looked up: an entry with an address does not mean a host that is given by its name. What is none of
//! these means nobody, as the list is one for all programs of a host.

use std::net::IpAddr;

/// The list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exempt(Vec<Entry>);

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    who: Who,
    /// `None` for every port.
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Who {
    Everybody,
    /// In lower case, without dots around it.
    Domain(String),
    Network {
        address: IpAddr,
        /// Bits that count.
        bits: u32,
    },
}

impl Exempt {
    pub(super) fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        Self(entries.filter_map(Entry::parse).collect())
    }

    /// Whether a peer is among them. An address has no brackets.
    pub(super) fn holds(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let address = host.parse().ok().map(|address: IpAddr| address.to_canonical());
        self.0.iter().any(|entry| {
            entry.port.is_none_or(|only| only == port)
                && match &entry.who {
                    Who::Everybody => true,
                    Who::Domain(domain) => address.is_none() && is_within(&host, domain),
                    Who::Network { address: network, bits } => {
                        address.is_some_and(|address| begins_alike(address, *network, *bits))
                    }
                }
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if let Some(who) = Who::parse(text) {
            return Some(Self { who, port: None });
        }
        let (who, port) = text.rsplit_once(':')?;
        Some(Self { who: Who::parse(who)?, port: Some(port.parse().ok()?) })
    }
}

impl Who {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everybody);
        }
        if let Some((network, bits)) = text.split_once('/') {
            let (address, bits): (IpAddr, u32) = (network.parse().ok()?, bits.parse().ok()?);
            return (bits <= width(address)).then_some(Self::Network { address, bits });
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            let address = address.to_canonical();
            return Some(Self::Network { address, bits: width(address) });
        }
        // A name as in "*.example.com" is read as curl does: nobody is called so.
        let domain = text.strip_prefix('.').unwrap_or(text);
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        let is_name = !domain.is_empty() && !domain.contains([':', '[', ']']);
        is_name.then(|| Self::Domain(domain.to_ascii_lowercase()))
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn begins_alike(left: IpAddr, right: IpAddr, bits: u32) -> bool {
    // Nothing is left of a number that is shifted by its width.
    match (left, right) {
        (IpAddr::V4(left), IpAddr::V4(right)) => {
            (left.to_bits() ^ right.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(left), IpAddr::V6(right)) => {
            (left.to_bits() ^ right.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Exempt;

    #[test]
    fn who_is_meant() {
        for (list, host, expected) in [
            ("*", "store.example", true),
            ("a.example,*", "2001:db8::1", true),
            ("store.example", "store.example", true),
            ("STORE.example.", "Store.Example", true),
            ("store.example", "store.example.", true),
            ("example", "store.example", true),
            (".example", "store.example", true),
            (".store.example", "store.example", true),
            ("store.example", "my-store.example", false),
            ("ore.example", "store.example", false),
            ("store.example", "example", false),
            ("a.example, store.example", "store.example", true),
            ("a.example store.example", "store.example", true),
            (",, ,", "store.example", false),
            ("", "store.example", false),
            (".", "store.example", false),
            ("*.example", "store.example", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.10", false),
            ("0.2.1", "192.0.2.1", false),
            ("2.1", "192.0.2.1", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.77/24", "192.0.2.1", true),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("192.0.2.1/32", "192.0.2.0", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("0.0.0.0/0", "store.example", false),
            ("192.0.2.0/33", "192.0.2.0", false),
            ("192.0.2.0/", "192.0.2.0", false),
            ("192.0.2.0/-1", "192.0.2.0", false),
            ("2001:db8::1", "2001:db8:0::1", true),
            ("[2001:DB8::1]", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::/129", "2001:db8::", false),
            ("::/0", "2001:db8::1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
        ] {
            assert_eq!(Exempt::parse(list).holds(host, 443), expected, "{list:?} and {host}");
        }
    }

    #[test]
    fn only_at_a_port() {
        for (list, host, expected) in [
            ("store.example:443", "store.example", true),
            ("store.example:444", "store.example", false),
            (".example:443", "store.example", true),
            ("192.0.2.1:443", "192.0.2.1", true),
            ("192.0.2.1:444", "192.0.2.1", false),
            ("[2001:db8::1]:443", "2001:db8::1", true),
            ("[2001:db8::1]:444", "2001:db8::1", false),
            // This is an address.
            ("2001:db8::1:443", "2001:db8::1", false),
            ("*:443", "store.example", true),
            ("*:444", "store.example", false),
            ("store.example:", "store.example", false),
            ("store.example:https", "store.example", false),
            ("store.example:443:443", "store.example", false),
        ] {
            assert_eq!(Exempt::parse(list).holds(host, 443), expected, "{list:?} and {host}");
        }
    }
}
