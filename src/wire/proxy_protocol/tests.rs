use proptest::prelude::*;

use super::*;

fn shown(read: Result<ProxiedFor, NotProxied>) -> String {
    match read {
        Ok(Some(address)) => address.to_string(),
        Ok(None) => "itself".into(),
        Err(NotProxied) => "none".into(),
    }
}

fn read_binary(command: u8, family: u8, rest: &[u8]) -> String {
    let mut head = [0; BINARY_HEAD];
    head[..BEGINNING].copy_from_slice(&SIGNATURE);
    (head[12], head[13]) = (command, family);
    head[14..].copy_from_slice(&u16::try_from(rest.len()).unwrap().to_be_bytes());
    match rest_length(head) {
        Ok(length) => shown(binary(head, &rest[..length])),
        Err(NotProxied) => "too long".into(),
    }
}

#[test]
fn lines_are_read_as_they_are_specified() {
    for (text, expected) in [
        ("PROXY TCP4 203.0.113.7 192.0.2.1 51234 443\r\n", "203.0.113.7:51234"),
        ("PROXY TCP6 2001:db8::7 ::1 0 65535\r\n", "[2001:db8::7]:0"),
        ("PROXY UNKNOWN\r\n", "itself"),
        ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "itself"),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 51234 443\n", "none"),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 51234\r\n", "none"),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 51234 443 1\r\n", "none"),
        ("PROXY TCP4  203.0.113.7 192.0.2.1 51234 443\r\n", "none"),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n", "none"),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 +1 443\r\n", "none"),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 01 443\r\n", "none"),
        ("PROXY TCP4 203.0.113.07 192.0.2.1 1 443\r\n", "none"),
        ("PROXY TCP4 2001:db8::7 192.0.2.1 1 443\r\n", "none"),
        ("PROXY TCP6 203.0.113.7 ::1 1 443\r\n", "none"),
        ("PROXY TCP5 203.0.113.7 192.0.2.1 1 443\r\n", "none"),
        ("PROXY\r\n", "none"),
        ("proxy TCP4 203.0.113.7 192.0.2.1 1 443\r\n", "none"),
        ("GET / HTTP/1.1\r\n", "none"),
    ] {
        assert_eq!(shown(line(text.as_bytes())), expected, "{text:?}");
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE));
    assert_eq!(shown(line(long.as_bytes())), "none");
    assert_eq!(kind(*b"PROXY TCP4 2"), Ok(HeaderKind::Line));
    assert_eq!(kind(SIGNATURE), Ok(HeaderKind::Binary));
    assert_eq!(kind(*b"GET / HTTP/1"), Err(NotProxied));
}

#[test]
fn binary_headers_are_read_as_they_are_specified() {
    let v4 = [203, 0, 113, 7, 192, 0, 2, 1, 0xc8, 0x22, 1, 0xbb];
    let mut v6 = [0; 36];
    v6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
    v6[32..34].copy_from_slice(&[0xc8, 0x22]);
    let with_more = [&v4[..], b"\x04\0\x03abc"].concat();
    for (command, family, rest, expected) in [
        (0x21, 0x11, &v4[..], "203.0.113.7:51234"),
        (0x21, 0x12, &v4, "203.0.113.7:51234"),
        (0x21, 0x11, &with_more, "203.0.113.7:51234"),
        (0x21, 0x21, &v6, "[2001:db8::7]:51234"),
        (0x21, 0x31, &[b'/'; 216], "itself"),
        (0x21, 0x00, &[], "itself"),
        (0x21, 0x00, &with_more, "itself"),
        (0x20, 0x00, &[], "itself"),
        (0x20, 0x11, &v4, "itself"),
        (0x21, 0x11, &v4[..11], "none"),
        (0x21, 0x21, &v6[..35], "none"),
        (0x21, 0x31, &[b'/'; 215], "none"),
        (0x21, 0x13, &v4, "none"),
        (0x21, 0x41, &v4, "none"),
        (0x22, 0x11, &v4, "none"),
        (0x11, 0x11, &v4, "none"),
        (0x21, 0x11, &[0; LONGEST_REST + 1], "too long"),
    ] {
        assert_eq!(read_binary(command, family, rest), expected, "{command:#x} {family:#x} {}", rest.len());
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256), text in "PROXY (TCP4|TCP6|UNKNOWN|)[ -~]{0,100}\r\n") {
        let _ = (line(&bytes), line(text.as_bytes()));
        if let (Some(head), Some(rest)) = (bytes.first_chunk(), bytes.get(BINARY_HEAD..)) {
            let _ = (kind(*head.first_chunk().unwrap()), rest_length(*head), binary(*head, rest));
        }
        if let [command, family, rest @ ..] = &*bytes {
            read_binary(*command, *family, rest);
        }
    }

    #[test]
    fn an_address_comes_out_as_it_went_in(a: [u8; 4], b: [u8; 16], port: u16) {
        let v4 = SocketAddr::new(IpAddr::from(a), port);
        prop_assert_eq!(line(format!("PROXY TCP4 {} 192.0.2.1 {port} 1\r\n", v4.ip()).as_bytes()), Ok(Some(v4)));
        let v6 = SocketAddr::new(IpAddr::from(b), port);
        prop_assert_eq!(line(format!("PROXY TCP6 {} ::1 {port} 1\r\n", v6.ip()).as_bytes()), Ok(Some(v6)));
        let ports = [port.to_be_bytes(), [0, 1]].concat();
        prop_assert_eq!(read_binary(0x21, 0x11, &[&a[..], &[9; 4], &ports].concat()), v4.to_string());
        prop_assert_eq!(read_binary(0x21, 0x21, &[&b[..], &[9; 16], &ports].concat()), v6.to_string());
    }
}
