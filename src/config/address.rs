//! Which addresses are public: the one definition of the program, for files that a caller names and
//! for every address that a descriptor gives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// Names of this machine that no resolver need know (RFC 6761), and what systems call it besides.
const THIS_MACHINE: &[&str] = &[
    "ip6-localhost",
    "ip6-loopback",
    "localhost",
    "localhost.localdomain",
    "localhost6",
    "localhost6.localdomain6",
];

/// Endings of names that no public server has: RFC 6761, 6762 and 8375, and what ICANN keeps for
/// private use.
const PRIVATE_ENDINGS: &[&str] = &[".localhost", ".local", ".home.arpa", ".internal"];

/// Returns whether `host` alone says that it is not on the public internet: a number, or a name
/// that is no public server's. Any other name has to be resolved to know.
pub(crate) fn is_private_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            THIS_MACHINE.contains(&name.as_str())
                || PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(ending))
        }
        Host::Ipv4(address) => !is_public(IpAddr::V4(*address)),
        Host::Ipv6(address) => !is_public(IpAddr::V6(*address)),
    }
}

/// Returns whether both hosts are this machine, or both numbers of private networks. Who is there
/// already can reach the other one without us. What only links have, such as the metadata of
/// clouds, is in no network.
pub(crate) fn share_network(one: &Host<&str>, other: &Host<&str>) -> bool {
    private_network(one).is_some_and(|network| private_network(other) == Some(network))
}

/// A network that is not the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PrivateNetwork {
    Machine,
    Site,
}

fn private_network(host: &Host<&str>) -> Option<PrivateNetwork> {
    let is_site = match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            let is_here = THIS_MACHINE.contains(&name.as_str()) || name.ends_with(".localhost");
            // What other names lead to has to be found out.
            return is_here.then_some(PrivateNetwork::Machine);
        }
        Host::Ipv4(address) if address.is_loopback() => return Some(PrivateNetwork::Machine),
        Host::Ipv6(address) if address.is_loopback() => return Some(PrivateNetwork::Machine),
        Host::Ipv4(address) => address.is_private(),
        Host::Ipv6(address) => address.segments().first().is_some_and(|it| it & 0xfe00 == 0xfc00),
    };
    is_site.then_some(PrivateNetwork::Site)
}

/// Returns whether `address` is on the public internet (IANA special-purpose registries). An
/// IPv6 address that stands for an IPv4 one is judged by that.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        // This network, private networks, loopback.
        (0 | 10 | 127, _, _)
            // Shared by carriers and overlays (RFC 6598).
            | (100, 64..=127, _)
            // Link-local, where clouds keep their metadata.
            | (169, 254, _)
            | (172, 16..=31, _)
            // Protocol assignments, documentation, relays of 6to4.
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            // Benchmarks, documentation.
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            // Multicast, reserved, broadcast.
            | (224..=255, _, _)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Mapped (RFC 4291) and translated (RFC 6052) IPv4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => embedded(high, low),
        // Protocol assignments, Teredo among them; documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast; everything else is loopback, local, multicast or not assigned.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn other_addresses_are_public() {
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "2001:200::1",
            "2606:4700::1111",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    fn is_private(url: &str) -> bool {
        is_private_host(&Url::parse(url).unwrap().host().unwrap())
    }

    #[test]
    fn some_names_are_private_without_being_resolved() {
        for name in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "ip6-loopback",
            "xo.local",
            "metadata.google.internal",
            "nas.home.arpa.",
        ] {
            assert!(is_private(&format!("http://{name}/")), "{name}");
        }
        for name in ["example.com", "localhost.example", "local", "internal.example", "xlocalhost"]
        {
            assert!(!is_private(&format!("http://{name}/")), "{name}");
        }
    }

    #[test]
    fn a_network_is_shared_by_those_who_are_in_it() {
        let share = |one: &str, other: &str| {
            let (one, other) = (Url::parse(one).unwrap(), Url::parse(other).unwrap());
            share_network(&one.host().unwrap(), &other.host().unwrap())
        };
        for (one, other) in [
            ("http://localhost:1", "http://127.0.0.1:2"),
            ("http://[::1]", "http://a.localhost"),
            ("http://10.0.0.1", "https://192.168.1.1"),
            ("https://[fd00::1]", "https://10.0.0.1"),
        ] {
            assert!(share(one, other) && share(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("https://a.example", "http://127.0.0.1"),
            ("http://10.0.0.1", "http://127.0.0.1"),
            ("http://10.0.0.1", "http://169.254.169.254"),
            ("http://169.254.1.1", "http://169.254.169.254"),
            ("http://a.internal", "http://metadata.google.internal"),
            ("https://a.example", "https://a.example"),
            ("http://localhost", "http://0.0.0.0"),
        ] {
            assert!(!share(one, other) && !share(other, one), "{one} {other}");
        }
    }

    fn config() -> ProptestConfig {
        ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
    }

    /// Everything that stands for an IPv4 address.
    fn spellings(address: Ipv4Addr) -> Vec<String> {
        let number = u32::from(address);
        let [a, b, c, d] = address.octets();
        let [high, low] = [number >> 16, number & 0xffff];
        vec![
            address.to_string(),
            format!("{address}."),
            number.to_string(),
            format!("{number:#x}"),
            format!("0{number:o}"),
            format!("{a}.{}", number & 0x00ff_ffff),
            format!("{a:#x}.{b:#o}.{low}").replace("0o", "0"),
            format!("{a}%2e{b}.{c}.{d}"),
            format!("[::ffff:{address}]"),
            format!("[::ffff:{high:x}:{low:x}]"),
            format!("[64:ff9b::{address}]"),
            format!("[2002:{high:x}:{low:x}::1]"),
        ]
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn an_address_is_judged_alike_in_every_spelling(number in any::<u32>(), kind in 0..6_u8) {
            let address = match kind {
                0 => Ipv4Addr::from(number),
                1 => Ipv4Addr::from(0x0a00_0000 | (number >> 8)),
                2 => Ipv4Addr::from(0x7f00_0000 | (number >> 8)),
                3 => Ipv4Addr::from(0xa9fe_0000 | (number >> 16)),
                4 => Ipv4Addr::from(0xc0a8_0000 | (number >> 16)),
                _ => Ipv4Addr::from(0xac10_0000 | (number >> 12)),
            };
            prop_assert!(kind == 0 || !is_public_v4(address));
            for spelling in spellings(address) {
                let url = Url::parse(&format!("http://{spelling}/")).unwrap();
                let host = url.host().unwrap();
                prop_assert!(!matches!(host, Host::Domain(_)), "{spelling}");
                // Of 2002::/16 and the like, what is embedded counts.
                prop_assert_eq!(is_private_host(&host), !is_public_v4(address), "{}", spelling);
            }
        }

        #[test]
        fn what_is_public_is_global_unicast(bits in any::<u128>(), high in 0..0x4000_u128) {
            for bits in [bits, (bits >> 16) | (high << 112)] {
                let address = Ipv6Addr::from(bits);
                if is_public_v6(address) {
                    let translated = address.segments()[0] == 0x64 || bits >> 32 == 0xffff;
                    prop_assert!(translated || address.segments()[0] & 0xe000 == 0x2000);
                    prop_assert!(!address.is_loopback() && !address.is_unspecified());
                    prop_assert!(!address.is_unique_local() && !address.is_multicast());
                    prop_assert!(!address.is_unicast_link_local());
                }
            }
        }
    }
}
