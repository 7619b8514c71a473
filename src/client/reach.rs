//! Which addresses an origin may have. What strangers have a part in choosing leads to the open internet, and to what is
//! allowed beside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::special::{EmbeddedIpv4, embedded, is_metadata, is_open};

/// Which addresses may be connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    #[default]
    Any,
    /// Those in the open internet, and these.
    Public(Arc<[IpNet]>),
}

impl Reach {
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let Self::Public(networks) = self else { return true };
        let address = address.to_canonical();
        let listed = |address: IpAddr| networks.iter().any(|network| network.contains(&address));
        // A cloud's metadata is open only to who names the very address.
        let named = |address: IpAddr| networks.contains(&IpNet::from(address));
        let may_be = |address: IpAddr| {
            if is_metadata(address) { named(address) } else { is_open(address) || listed(address) }
        };
        let IpAddr::V6(newer) = address else { return may_be(address) };
        match embedded(newer) {
            EmbeddedIpv4::Nothing => may_be(address),
            // As closed as what it stands for, and where that is listed as open.
            EmbeddedIpv4::One(older) => may_be(older.into()) && (listed(older.into()) || may_be(address)),
            EmbeddedIpv4::Perhaps(older) => {
                let mut older = older.iter().map(|older| IpAddr::from(*older));
                older.all(|older| !is_metadata(older) || named(older)) && may_be(address)
            }
        }
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
            "::7f00:1",
            "::8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b::c000:c0",
            "2001::1",
            "2002:808:808::1",
            "2a00::5efe:10.1.2.3",
            "fec0::1",
            "192.0.0.192",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
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
        for address in [
            "10.2.0.1",
            "64:ff9b::a02:1",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "168.63.129.16",
            "192.0.0.192",
        ] {
            assert!(!own.has(address.parse().unwrap()), "{address}");
        }
        for address in ["169.254.169.254", "::ffff:169.254.169.254"] {
            assert!(reach(&["169.254.169.254/32"]).has(address.parse().unwrap()), "{address}");
        }
        assert!(reach(&["fd20:ce::254/128"]).has("fd20:ce::254".parse().unwrap()));
        let hosts = ["localhost", "LOCALHOST", "127.0.0.1", "::1", "10.0.0.1", "example.com", "8.8.8.8"];
        assert_eq!(hosts.map(|host| own.has_host(host)), [true, true, true, true, false, true, true]);
        assert_eq!(
            hosts.map(|host| Reach::Public(Arc::default()).has_host(host)),
            [false, false, false, false, false, true, true]
        );
    }
}
