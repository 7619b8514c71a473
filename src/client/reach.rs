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
mod tests;
