//! Which addresses a store may send the agent to: a store that was taken over must not make the agent a way into the
//! host, its cloud's metadata or its network. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one of the public Internet. What is not known to be is not.
pub fn is_public(address: IpAddr) -> bool {
    match inside(address) {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Whether an address may be that of the store's own host, which may well be in the agent's network: it is no network's
/// own address, and nothing that answers to whoever happens to be on the host. `is_here`: the store is known to be on
/// the agent's host.
pub fn is_of_store(address: IpAddr, is_here: bool) -> bool {
    let inside = inside(address);
    match inside {
        _ if inside.is_loopback() => is_here,
        _ if inside.is_unspecified() || inside.is_multicast() || METADATA.contains(&inside) => false,
        IpAddr::V4(address) => !address.is_link_local() && !matches!(address.octets(), [0 | 240.., ..]),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

/// What clouds have at fixed addresses that look like those of any host. The others are link-local: 169.254.169.254.
const METADATA: [IpAddr; 4] = [
    // Azure's, which is not of the kinds of addresses that are not public.
    IpAddr::V4(AZURE),
    // Alibaba's and Oracle's.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Amazon's.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// The address of IPv4 that one of IPv6 leads to, if it does.
fn inside(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        // Translated to IPv4 by the network (RFC 6052) or, as 6to4, by a relay (RFC 3056).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // IPv4-mapped: the kernel speaks IPv4 to it.
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
        _ => address,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match (a, b, c) {
        // "This network", loopback, multicast and what is reserved (RFC 6890).
        (0 | 127 | 224.., ..) => true,
        // Shared by carriers (RFC 6598).
        (100, 64..=127, _) => true,
        // Protocol assignments, relays of 6to4 (RFC 7526).
        (192, 0, 0) | (192, 88, 99) => true,
        // Benchmarks (RFC 2544).
        (198, 18..=19, _) => true,
        _ if address == AZURE => true,
        _ => address.is_private() || address.is_link_local() || address.is_documentation(),
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Protocol assignments, Teredo among them (RFC 2928), and documentation (RFC 3849, RFC 9637).
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast (RFC 4291); not loopback, link-local, unique local, multicast and the rest.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_of_store, is_public};

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        let public = [
            "1.1.1.1",
            "52.95.110.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "192.0.1.1",
            "223.255.255.255",
            "2a00:1450:4001:801::200e",
            "2606:4700::1111",
            "168.63.129.15",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:0101:0101::1",
        ];
        let other = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "169.254.0.0",
            "168.63.129.16",
            "::ffff:168.63.129.16",
            "64:ff9b::168.63.129.16",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1.1.1.1",
            "2002:7f00:0001::1",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
        ];
        for (addresses, expected) in [(&public[..], true), (&other[..], false)] {
            for address in addresses {
                assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[test]
    fn the_stores_own_host_is_no_way_to_the_hosts_or_clouds_insides() {
        let may =
            ["1.1.1.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "fd00::1", "2606:4700::1111"];
        let loopback = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "2002:7f00:0001::1"];
        let never = [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ];
        for (addresses, elsewhere, here) in
            [(&may[..], true, true), (&loopback[..], false, true), (&never[..], false, false)]
        {
            for address in addresses {
                let parsed = address.parse().unwrap();
                let found = (is_of_store(parsed, false), is_of_store(parsed, true));
                assert_eq!(found, (elsewhere, here), "{address}");
            }
        }
    }
}
