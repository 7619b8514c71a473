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
mod tests;
