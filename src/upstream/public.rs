//! Addresses that strangers may choose: none of this machine, of its network, or of nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

/// Which addresses a target may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    #[default]
    Any,
    /// Those in the open internet, and these.
    Public(Arc<[IpNet]>),
}

impl Reach {
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let Self::Public(networks) = self else { return true };
        is_public(address) || networks.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

/// Whether an address lies in the open internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && second & 0xc0 == 64;
    !(first == 0
        || first >= 240
        || is_shared
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [first, second, .., high, low] = address.segments();
    // NAT64 and 6to4 hold an address of the older kind.
    let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if first == 0x64 && second == 0xff9b {
        return is_public_v4(embedded(high, low));
    }
    if first == 0x2002 {
        return is_public_v4(embedded(second, address.segments()[2]));
    }
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_are_named_are_reached() {
        let reach = Reach::Public(["127.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into());
        let allows = |address: &str| reach.allows(address.parse().unwrap());
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "fd00::1", "93.184.215.14"] {
            assert!(allows(address), "{address}");
        }
        for address in ["10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1"] {
            assert!(!allows(address), "{address}");
        }
        assert!(Reach::Any.allows("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn addresses_of_this_network_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "100.64.0.1",
            "::",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
