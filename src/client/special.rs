//! Addresses that lead somewhere else than to the open internet: IANA's special-purpose address registries (RFC 6890)
//! for IPv4 and IPv6, multicast, and where clouds tell machines who they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Not globally reachable, or not for an honest flow: a block within a listed one is not listed by itself, and the few
/// globally reachable anycast addresses inside of 192.0.0.0/24 and `2001::/23` (RFC 7723, 8155, 7450) are services of a
/// network's own.
const BLOCKS_V4: [(Ipv4Addr, u8, &str); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8, "this network, RFC 791"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private use, RFC 1918"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared address space, RFC 6598"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback, RFC 1122"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link local, RFC 3927"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private use, RFC 1918"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments, RFC 6890"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation, RFC 5737"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relays, RFC 7526"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private use, RFC 1918"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking, RFC 2544"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation, RFC 5737"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation, RFC 5737"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast, RFC 5771"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved, RFC 1112"),
    (Ipv4Addr::BROADCAST, 32, "limited broadcast, RFC 8190"),
];

/// The same of IPv6.
const BLOCKS_V6: [(Ipv6Addr, u8, &str); 17] = [
    (Ipv6Addr::UNSPECIFIED, 96, "unspecified, loopback, IPv4-compatible, RFC 4291"),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0]), 96, "IPv4-mapped, RFC 4291"),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0]), 96, "IPv4-translated, RFC 2765"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0]), 48, "IPv4-IPv6 translation of a network's own, RFC 8215"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0]), 64, "discard only, RFC 6666"),
    (v6([0x100, 0, 0, 1, 0, 0, 0, 0]), 64, "dummy prefix, RFC 9780"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 23, "protocol assignments with Teredo and ORCHID, RFC 2928"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]), 32, "documentation, RFC 3849"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0]), 16, "6to4, RFC 3056"),
    (v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0]), 16, "the former 6bone, RFC 3701"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]), 20, "documentation, RFC 9637"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0]), 16, "segment routing, RFC 9602"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]), 7, "unique local, RFC 4193"),
    (v6([0xfe00, 0, 0, 0, 0, 0, 0, 0]), 9, "reserved, RFC 4291"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 10, "link local, RFC 4291"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0]), 10, "site local, RFC 3879"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0]), 8, "multicast, RFC 4291"),
];

/// All of IPv6 that is given out (RFC 4291, 2.4), and the prefix under which translators show the open IPv4 internet
/// (RFC 6052); the rest is reserved.
const OPEN_V6: [(Ipv6Addr, u8); 2] = [(v6([0x2000, 0, 0, 0, 0, 0, 0, 0]), 3), (NAT64, 96)];

const NAT64: Ipv6Addr = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]);

/// Where clouds tell machines who they are, with keys.
const METADATA: [IpAddr; 13] = [
    // AWS, Azure, Google, OpenStack and most others; AWS's containers and pods.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254])),
    IpAddr::V6(v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23])),
    // Alibaba.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure's host.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Oracle.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Google.
    IpAddr::V6(v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254])),
    // OpenStack.
    IpAddr::V6(v6([0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe])),
    // Tencent.
    IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)),
    // Scaleway.
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),
    IpAddr::V6(v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42])),
];

const fn v6(segments: [u16; 8]) -> Ipv6Addr {
    let [one, two, three, four, five, six, seven, eight] = segments;
    Ipv6Addr::new(one, two, three, four, five, six, seven, eight)
}

/// Whether a cloud's metadata is there.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    METADATA.contains(&address)
}

/// Whether an address, taken as it is written, belongs to the open internet.
pub(super) fn is_open(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !BLOCKS_V4.iter().any(|(block, bits, _)| has_v4(*block, *bits, address)),
        IpAddr::V6(address) => {
            OPEN_V6.iter().any(|(block, bits)| has_v6(*block, *bits, address))
                && !BLOCKS_V6.iter().any(|(block, bits, _)| has_v6(*block, *bits, address))
        }
    }
}

/// What an IPv6 address holds of the older kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EmbeddedIpv4 {
    Nothing,
    /// It stands for this address.
    One(Ipv4Addr),
    /// These are in places where one may be.
    Perhaps([Ipv4Addr; 2]),
}

pub(super) fn embedded(address: Ipv6Addr) -> EmbeddedIpv4 {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // The unspecified address, and loopback.
        [0, 0, 0, 0, 0, 0, 0, _] => EmbeddedIpv4::Nothing,
        // Compatible, mapped, translated, by NAT64, by ISATAP (RFC 5214), by 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low]
        | [0x2002, high, low, ..] => EmbeddedIpv4::One(v4(high, low)),
        // Behind a prefix of 48 bits (RFC 6052, 2.2), or of 96.
        [0x64, 0xff9b, 1, first, second, third, high, low] => {
            EmbeddedIpv4::Perhaps([v4(first, ((second & 0xff) << 8) | (third >> 8)), v4(high, low)])
        }
        // Teredo (RFC 4380): its server, and the client with all bits turned round.
        [0x2001, 0, one, two, _, _, high, low] => EmbeddedIpv4::Perhaps([v4(one, two), v4(!high, !low)]),
        _ => EmbeddedIpv4::Nothing,
    }
}

fn has_v4(block: Ipv4Addr, bits: u8, address: Ipv4Addr) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or_default();
    u32::from(address) & mask == u32::from(block)
}

fn has_v6(block: Ipv6Addr, bits: u8, address: Ipv6Addr) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or_default();
    u128::from(address) & mask == u128::from(block)
}

#[cfg(test)]
mod tests;
