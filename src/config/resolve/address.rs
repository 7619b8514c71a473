//! Addresses as they are written: of listeners, networks and upstreams.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use thiserror::Error;

use super::reader::FieldReader;
use crate::config::file::Field;
use crate::config::yaml::{Named, YamlNode};
use crate::config::{HttpUrl, UpstreamUrl};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum AddressError {
    #[error("expected an address and a port such as 127.0.0.1:8080, \"[::1]:8080\" or :8080")]
    Listener,
    #[error("expected an address or a network such as 10.0.0.0/8 or fd00::/8")]
    Network,
    #[error("expected a URL such as http://127.0.0.1:3000 or https://flowise.internal")]
    Url,
    #[error("only http and https are supported")]
    Scheme,
    #[error("a user or password cannot stand in the URL; Flowise's key goes into api_key")]
    UserInfo,
    #[error("expected a URL without path, query or fragment; the gateway adds the path")]
    Path,
    #[error("expected a host name or an address, `[…]` around it if it is IPv6")]
    Host,
    #[error("expected a port from 1 to 65535")]
    Port,
}

/// `IP:port`; `localhost:port` is the IPv4 loopback and `:port` every address of both families.
pub(super) fn listener(text: &str) -> Result<SocketAddr, AddressError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or(AddressError::Listener)?;
    let ip: IpAddr = match host {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        "" => Ipv6Addr::UNSPECIFIED.into(),
        _ => return Err(AddressError::Listener),
    };
    Ok(SocketAddr::new(ip, digits(port).ok_or(AddressError::Listener)?))
}

/// A network in CIDR notation, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, AddressError> {
    match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => Ok(network.trunc()),
        (_, Ok(address)) => Ok(address.into()),
        _ => Err(AddressError::Network),
    }
}

/// A list of [networks](network).
pub(super) fn networks(reader: &mut FieldReader<'_>, field: &Field) -> Vec<IpNet> {
    let listed = reader.list(field).unwrap_or_default();
    listed.iter().filter_map(|node| reader.parsed_node(node, network)).collect()
}

/// Servers, by `scheme://host`, and the URL below which each is asked instead.
pub(super) fn instead(reader: &mut FieldReader<'_>, listed: Named<YamlNode>) -> Vec<(UpstreamUrl, HttpUrl)> {
    const EXPECTED: &str = "expected a server, such as https://api.example.com, without a path";
    let mut found: Vec<(UpstreamUrl, HttpUrl)> = Vec::new();
    for (name, node) in listed.0 {
        let url = reader.parsed_node(&node, |text| match HttpUrl::parse(text) {
            Ok(url) if !url.target.contains('?') => Ok(url),
            Ok(_) => Err("expected a URL without a query"),
            Err(message) => Err(message),
        });
        match upstream_url(&name.value) {
            Ok(server) if found.iter().any(|(known, _)| *known == server) => reader.refuse(&name, "is there already"),
            Ok(server) => found.extend(url.map(|url| (server, url))),
            Err(_) => reader.refuse(&name, EXPECTED),
        }
    }
    found
}

/// `scheme://host` with an optional port; a lone `/` may follow.
pub(super) fn upstream_url(text: &str) -> Result<UpstreamUrl, AddressError> {
    let (scheme, rest) = text.split_once("://").ok_or(AddressError::Url)?;
    let https = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(AddressError::Scheme),
    };
    // Before the rest is looked at: a password may contain anything.
    if rest.contains('@') {
        return Err(AddressError::UserInfo);
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '\\']) {
        return Err(AddressError::Path);
    }
    let (host, port) = split_port(authority)?;
    let port = match port {
        None if https => 443,
        None => 80,
        Some(port) => digits(port).filter(|port| *port > 0).ok_or(AddressError::Port)?,
    };
    Ok(UpstreamUrl { https, host, port })
}

/// The host, lower case and without brackets, and what stands behind its colon.
pub(super) fn split_port(authority: &str) -> Result<(String, Option<&str>), AddressError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(AddressError::Host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| AddressError::Host)?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(AddressError::Host)?) };
        return Ok((address.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if port.is_some_and(|port| port.contains(':')) || !is_host(host) {
        return Err(AddressError::Host);
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// A host name (RFC 1123, and `_`, which container names have) or an IPv4 address.
fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// A number of digits only: `parse` alone takes a sign.
pub(super) fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("localhost:9090", "127.0.0.1:9090"),
            (":8080", "[::]:8080"),
        ] {
            assert_eq!(listener(text), Ok(address.parse().unwrap()), "{text}");
        }
        for text in
            ["", "8080", "127.0.0.1", "::1:8080x", "example.com:80", ":+80", ":65536", ":", "localhost:", "*:80"]
        {
            assert_eq!(listener(text), Err(AddressError::Listener), "{text}");
        }
    }

    #[test]
    fn networks() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.168.0.1", "192.168.0.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(network(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "fd00::/129", "10.0.0.0/-1"] {
            assert_eq!(network(text), Err(AddressError::Network), "{text}");
        }
    }

    #[test]
    fn upstream_urls() {
        for (text, https, host, port) in [
            ("http://127.0.0.1:3000", false, "127.0.0.1", 3000),
            ("http://flowise/", false, "flowise", 80),
            ("HTTPS://Flowise.Internal", true, "flowise.internal", 443),
            ("https://[::1]:8443", true, "::1", 8443),
            ("http://[FD00::1]", false, "fd00::1", 80),
            ("http://my_flowise-1:65535", false, "my_flowise-1", 65535),
        ] {
            let url = UpstreamUrl { https, host: host.to_owned(), port };
            assert_eq!(upstream_url(text), Ok(url), "{text}");
        }
        for (text, error) in [
            ("", AddressError::Url),
            ("127.0.0.1:3000", AddressError::Url),
            ("ftp://host", AddressError::Scheme),
            ("http://user:pass@host", AddressError::UserInfo),
            ("http://user:p/a?s#s@host", AddressError::UserInfo),
            ("http://host/api", AddressError::Path),
            ("http://host//", AddressError::Path),
            ("http://host?x", AddressError::Path),
            ("http://host#x", AddressError::Path),
            ("http://", AddressError::Host),
            ("http://:80", AddressError::Host),
            ("http://a b", AddressError::Host),
            ("http://::1:80", AddressError::Host),
            ("http://[::1", AddressError::Host),
            ("http://[::1]x", AddressError::Host),
            ("http://256.0.0.1", AddressError::Host),
            ("http://-a.example", AddressError::Host),
            ("http://a..b", AddressError::Host),
            ("http://host:0", AddressError::Port),
            ("http://host:65536", AddressError::Port),
            ("http://host:+80", AddressError::Port),
            ("http://host:", AddressError::Port),
        ] {
            assert_eq!(upstream_url(text), Err(error), "{text}");
        }
    }
}
