//! The PROXY protocol: a proxy that passes TCP on says first of all for whom (`proxy-protocol.txt` of `HAProxy`, versions 1
//! and 2). Both begin with as many bytes as tell which it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes that both versions have.
pub(crate) const BEGINNING: usize = 12;
/// Bytes of the head of version 2, which says how many follow.
pub(crate) const BINARY_HEAD: usize = 16;
/// Bytes of a line of version 1, its end included.
pub(crate) const LONGEST_LINE: usize = 107;
/// Bytes behind the head of version 2: addresses, of which those of Unix sockets take 216, and what else a proxy tells.
const LONGEST_REST: usize = 4096;

const SIGNATURE: [u8; BEGINNING] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The two versions, by how a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderKind {
    Line,
    Binary,
}

/// For whom a connection was made. `None`: for the proxy itself, as when it checks whether we are there, or for whom no
/// address can be told.
pub(crate) type ProxiedFor = Option<SocketAddr>;

/// What cannot be read, or may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotProxied;

/// Which version it is, if any.
pub(crate) fn kind(beginning: [u8; BEGINNING]) -> Result<HeaderKind, NotProxied> {
    match beginning {
        SIGNATURE => Ok(HeaderKind::Binary),
        [b'P', b'R', b'O', b'X', b'Y', b' ', ..] => Ok(HeaderKind::Line),
        _ => Err(NotProxied),
    }
}

/// Reads a line of version 1, with its end.
pub(crate) fn line(line: &[u8]) -> Result<ProxiedFor, NotProxied> {
    let text = line.strip_suffix(b"\r\n").filter(|_| line.len() <= LONGEST_LINE).ok_or(NotProxied)?;
    let mut words = std::str::from_utf8(text).map_err(|_| NotProxied)?.split(' ');
    let mut next = || words.next().ok_or(NotProxied);
    if next()? != "PROXY" {
        return Err(NotProxied);
    }
    let family = next()?;
    if family == "UNKNOWN" {
        // Whatever follows is not looked at.
        return Ok(None);
    }
    let (from, to, port, other_port) = (next()?, next()?, next()?, next()?);
    if words.next().is_some() {
        return Err(NotProxied);
    }
    let address = |text: &str| -> Result<IpAddr, NotProxied> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| NotProxied),
            "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| NotProxied),
            _ => Err(NotProxied),
        }
    };
    address(to)?;
    self::port(other_port)?;
    Ok(Some(SocketAddr::new(address(from)?, self::port(port)?)))
}

/// A decimal number as it is usually written, without signs or zeros before it.
fn port(text: &str) -> Result<u16, NotProxied> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(NotProxied)
}

/// How many bytes follow the head of version 2.
pub(crate) fn rest_length(head: [u8; BINARY_HEAD]) -> Result<usize, NotProxied> {
    let [.., high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length <= LONGEST_REST { Ok(length) } else { Err(NotProxied) }
}

/// Reads a header of version 2. What stands behind its addresses is passed over.
pub(crate) fn binary(head: [u8; BINARY_HEAD], rest: &[u8]) -> Result<ProxiedFor, NotProxied> {
    let [_, _, _, _, _, _, _, _, _, _, _, _, command, family, ..] = head;
    if !head.starts_with(&SIGNATURE) || family & 0x0f > 2 {
        return Err(NotProxied);
    }
    match (command, family >> 4) {
        // The proxy speaks for itself, or does not say for whom.
        (0x20, _) | (0x21, 0) => Ok(None),
        (0x21, 1) => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *first(rest)?;
            Ok(Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))))
        }
        (0x21, 2) => {
            let from: [u8; 16] = *first(rest)?;
            let [.., high, low, _, _] = *first::<36>(rest)?;
            Ok(Some(SocketAddr::new(Ipv6Addr::from(from).into(), u16::from_be_bytes([high, low]))))
        }
        // Two paths of Unix sockets, which are no addresses.
        (0x21, 3) => first::<216>(rest).map(|_| None),
        _ => Err(NotProxied),
    }
}

fn first<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], NotProxied> {
    bytes.first_chunk().ok_or(NotProxied)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
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
}
