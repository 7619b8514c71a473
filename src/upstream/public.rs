//! Addresses that flows may choose: the open internet, and what the operator allows beside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

/// Where clouds tell machines who they are, with keys: open only to who names the very address.
const METADATA: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// Which addresses a target may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    #[default]
    Any,
    /// Those in the open internet, and these.
    Public(Arc<[IpNet]>),
}

impl Reach {
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let Self::Public(networks) = self else { return true };
        let address = inner(address);
        if METADATA.contains(&address) {
            return networks.contains(&IpNet::from(address));
        }
        is_public(address) || networks.iter().any(|network| network.contains(&address))
    }

    /// Whether a host that is written out may be called: an address, or this machine's own name. Other names are looked
    /// at when they are resolved.
    pub(crate) fn has_host(&self, host: &str) -> bool {
        if host.eq_ignore_ascii_case("localhost") {
            return self.has(Ipv4Addr::LOCALHOST.into()) || self.has(Ipv6Addr::LOCALHOST.into());
        }
        host.parse().map_or(true, |address| self.has(address))
    }
}

/// The address of the older kind that one of the newer stands for: mapped, by NAT64, by 6to4.
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(newer) = address.to_canonical() else { return address.to_canonical() };
    let [first, second, third, .., high, low] = newer.segments();
    let older = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)).into();
    match (first, second) {
        (0x64, 0xff9b) => older(high, low),
        (0x2002, _) => older(second, third),
        _ => address,
    }
}

/// Of an address that stands for no other.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            !(address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local())
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(!Reach::Public(Arc::default()).has(address.parse().unwrap()), "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(Reach::Public(Arc::default()).has(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn networks_are_allowed_and_metadata_only_by_name() {
        let reach = |networks: &[&str]| {
            Reach::Public(networks.iter().map(|network| network.parse().unwrap()).collect::<Vec<IpNet>>().into())
        };
        let own = reach(&["127.0.0.0/8", "10.1.0.0/16", "169.254.0.0/16", "::/0"]);
        for address in
            ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "10.1.2.3", "169.254.1.1", "fd00::1", "1.1.1.1"]
        {
            assert!(own.has(address.parse().unwrap()), "{address}");
        }
        for address in ["10.2.0.1", "169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "168.63.129.16"] {
            assert!(!own.has(address.parse().unwrap()), "{address}");
        }
        assert!(reach(&["169.254.169.254/32"]).has("169.254.169.254".parse().unwrap()));
        let hosts = ["localhost", "LOCALHOST", "127.0.0.1", "::1", "10.0.0.1", "example.com", "8.8.8.8"];
        assert_eq!(hosts.map(|host| own.has_host(host)), [true, true, true, true, false, true, true]);
        assert_eq!(
            hosts.map(|host| Reach::Public(Arc::default()).has_host(host)),
            [false, false, false, false, false, true, true]
        );
    }
}
