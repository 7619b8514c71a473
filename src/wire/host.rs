//! What may stand in `Host` and `:authority` (RFC 9112, section 3.2; RFC 3986, section 3.2).
//!
//! It goes on to Flowise as `X-Forwarded-Host`, and may end up in a link or a list there. So it is read more strictly
//! than the grammar allows: `sub-delims` (the comma is one) and percent-encoding stand in no name that resolves.

use std::net::Ipv6Addr;

/// Bytes of a name; that of DNS has 253.
const LONGEST: usize = 255;

/// Whether it is a name or an address, and perhaps a port.
pub(crate) fn is_host(text: &[u8]) -> bool {
    if let Some(rest) = text.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', rest) else { return false };
        let (address, port) = rest.split_at(end);
        let address = std::str::from_utf8(address).ok().and_then(|address| address.parse::<Ipv6Addr>().ok());
        return address.is_some() && is_port(port.get(1..).unwrap_or_default());
    }
    let end = text.iter().position(|byte| !is_unreserved(*byte)).unwrap_or(text.len());
    let (name, port) = text.split_at(end);
    (1..=LONGEST).contains(&name.len()) && is_port(port)
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Nothing, or a colon and a number, which may be left out (RFC 3986, section 3.2.3).
fn is_port(text: &[u8]) -> bool {
    match text {
        [] | [b':'] => true,
        [b':', digits @ ..] if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) => {
            let port = digits.iter().fold(0, |port, digit| 10 * port + u32::from(digit - b'0'));
            u16::try_from(port).is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_are_names_and_addresses_with_ports() {
        for host in [
            "a",
            "chat.example.com",
            "Chat.Example.COM:8443",
            "localhost:",
            "flowise_1:3000",
            "example.com.",
            "127.0.0.1:80",
            "[::1]",
            "[2001:db8::7]:65535",
            "[::ffff:192.0.2.1]:",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn nothing_else_is_one() {
        let long = "a".repeat(256);
        for host in [
            "",
            ":",
            ":80",
            " ",
            "a b",
            "a\tb",
            "a,b",
            "a, b",
            "a?b",
            "a#b",
            "a\\b",
            "a/b",
            "/",
            "u@a",
            "u:p@a",
            "@",
            "a:b",
            "a:80:80",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:000080",
            "a:8 0",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[a]",
            "[::1]a",
            "[::1]:x",
            "[[::1]]",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "a[::1]",
            "%61",
            "%",
            "a;b",
            "a'b",
            "a\"b",
            "<a>",
            "a(b)",
            "a&b",
            "a=b",
            "\u{e4}.test",
            "a\u{0}",
            &long,
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    proptest! {
        #[test]
        fn what_is_a_host_is_one_item_of_every_list(text in "[ -~]{0,12}") {
            if is_host(text.as_bytes()) {
                prop_assert!(!text.contains([' ', ',', ';', '/', '\\', '?', '#', '@', '"', '\'', '<', '>', '%']));
            }
        }
    }
}
