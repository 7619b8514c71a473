//! Headers of the PROXY protocol: whatever comes is read or refused, and an address that comes out can be written again.

use std::net::IpAddr;

use super::{BINARY_HEAD, HeaderKind, binary, kind, line, rest_length};
use crate::fuzzing::fuzz;

const WORDS: [&str; 10] = [
    "PROXY ",
    "TCP4 ",
    "TCP6 ",
    "UNKNOWN",
    "203.0.113.7 ",
    "2001:db8::7 ",
    "65535 ",
    "\r\n",
    "\r\n\r\n\0\r\nQUIT\n",
    "\x21\x11\0\x0c",
];

#[test]
fn fuzz_proxy_protocol() {
    fuzz("proxy-protocol", &WORDS, |input| {
        let Some(Ok(kind)) = input.first_chunk().map(|beginning| kind(*beginning)) else { return };
        match kind {
            HeaderKind::Line => {
                let end = memchr::memchr(b'\n', input).map_or(input.len(), |at| at + 1);
                let Ok(Some(client)) = line(&input[..end]) else { return };
                let (family, to) = match client.ip() {
                    IpAddr::V4(_) => ("TCP4", "192.0.2.1"),
                    IpAddr::V6(_) => ("TCP6", "::1"),
                };
                let again = format!("PROXY {family} {} {to} {} 1\r\n", client.ip(), client.port());
                assert_eq!(line(again.as_bytes()), Ok(Some(client)));
            }
            HeaderKind::Binary => {
                let (Some(head), Some(rest)) = (input.first_chunk(), input.get(BINARY_HEAD..)) else { return };
                let Some(rest) = rest_length(*head).ok().and_then(|length| rest.get(..length)) else { return };
                let read = binary(*head, rest);
                let more = [rest, b"\x04\0\x01a"].concat();
                // What follows the addresses changes nothing, unless it makes up for what is missing.
                assert!(read.is_err() || read == binary(*head, &more));
            }
        }
    });
}
