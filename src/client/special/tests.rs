use super::*;

/// Neighbours of blocks that are the open internet; every other block ends at another block or at what is reserved.
const OPEN_BESIDE: [&str; 26] = [
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.1.255",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
];
const OPEN_BESIDE_V6: [&str; 8] = [
    "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:200::",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2003::",
    "3ffd:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff:1000::",
];

fn beside<T: Copy>(first: Option<T>, last: Option<T>) -> impl Iterator<Item = T> {
    first.into_iter().chain(last)
}

#[test]
fn every_block_is_closed_from_its_first_address_to_its_last_and_no_further() {
    let mut found = Vec::new();
    for (block, bits, why) in BLOCKS_V4 {
        let first = u32::from(block);
        let last = first | u32::MAX.checked_shr(bits.into()).unwrap_or_default();
        assert!(has_v4(block, bits, block), "{block}/{bits} begins where it says");
        for address in [first, last, first + (last - first) / 2].map(Ipv4Addr::from) {
            assert!(!is_open(address.into()), "{address} of {why}");
        }
        let outside = beside(first.checked_sub(1), last.checked_add(1)).map(Ipv4Addr::from);
        found.extend(outside.filter(|address| is_open((*address).into())).map(|address| address.to_string()));
    }
    assert_eq!(found, OPEN_BESIDE);
    found.clear();
    for (block, bits, why) in BLOCKS_V6 {
        let first = u128::from(block);
        let last = first | u128::MAX.checked_shr(bits.into()).unwrap_or_default();
        assert!(has_v6(block, bits, block), "{block}/{bits} begins where it says");
        for address in [first, last, first + (last - first) / 2].map(Ipv6Addr::from) {
            assert!(!is_open(address.into()), "{address} of {why}");
        }
        let outside = beside(first.checked_sub(1), last.checked_add(1)).map(Ipv6Addr::from);
        found.extend(outside.filter(|address| is_open((*address).into())).map(|address| address.to_string()));
    }
    assert_eq!(found, OPEN_BESIDE_V6);
}

#[test]
fn what_nobody_has_been_given_is_closed() {
    for address in ["200::1", "1000::1", "4000::1", "8000::1", "c000::1", "64:ff9b:0:1::1", "64:ff9a::1"] {
        assert!(!is_open(address.parse().unwrap()), "{address}");
    }
    for address in ["2606:4700::1111", "2a00:1450:4001:80b::200e", "3fff:1000::", "64:ff9b::1"] {
        assert!(is_open(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn addresses_of_the_older_kind_are_found_in_those_of_the_newer() {
    let v4 = |address: &str| address.parse::<Ipv4Addr>().unwrap();
    for (address, stands_for) in [
        ("::169.254.169.254", "169.254.169.254"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::ffff:0:10.1.2.3", "10.1.2.3"),
        ("64:ff9b::10.1.2.3", "10.1.2.3"),
        ("2002:a01:203::1", "10.1.2.3"),
        ("2a00::200:5efe:10.1.2.3", "10.1.2.3"),
    ] {
        assert_eq!(embedded(address.parse().unwrap()), EmbeddedIpv4::One(v4(stands_for)), "{address}");
    }
    for (address, one, other) in [
        ("64:ff9b:1::10.1.2.3", "0.0.0.0", "10.1.2.3"),
        ("64:ff9b:1:a9fe:a9:fe00::", "169.254.169.254", "0.0.0.0"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "65.54.227.120", "192.0.2.45"),
    ] {
        assert_eq!(embedded(address.parse().unwrap()), EmbeddedIpv4::Perhaps([one, other].map(v4)), "{address}");
    }
    for address in ["::", "::1", "2606:4700::1111"] {
        assert_eq!(embedded(address.parse().unwrap()), EmbeddedIpv4::Nothing, "{address}");
    }
}
