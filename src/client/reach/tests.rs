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
    for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
        assert!(Reach::Public(Arc::default()).has(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn networks_are_allowed_and_metadata_only_by_name() {
    let reach = |networks: &[&str]| {
        Reach::Public(networks.iter().map(|network| network.parse().unwrap()).collect::<Vec<IpNet>>().into())
    };
    let own = reach(&["127.0.0.0/8", "10.1.0.0/16", "169.254.0.0/16", "::/0"]);
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "10.1.2.3", "169.254.1.1", "fd00::1", "1.1.1.1"]
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
