//! Who the client is: the peer, or whom a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    pub(crate) address: IpAddr,
    /// A trusted proxy does not say it where it should, so it is the proxy's own.
    pub(crate) is_unsaid: bool,
}

/// The client's address, from a header that holds one, or else from the list of all hops.
pub(crate) fn client_address(
    peer: SocketAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
    header: Option<&HeaderName>,
) -> ClientAddress {
    let peer = peer.ip().to_canonical();
    match header.filter(|_| is_trusted(peer, trusted)) {
        None => ClientAddress { address: from_hops(peer, headers, trusted), is_unsaid: false },
        Some(name) => {
            let mut values = headers.get_all(name).iter();
            let only = values.next().filter(|_| values.next().is_none());
            let address = only.and_then(|value| parse_node(value.to_str().ok()?));
            ClientAddress { address: address.unwrap_or(peer), is_unsaid: address.is_none() }
        }
    }
}

/// `X-Forwarded-For` (or, without it, `Forwarded`, RFC 7239) counts only if the peer is a
/// trusted proxy, and is read from the right: the first address that is not itself a trusted proxy.
fn from_hops(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    if trusted.is_empty() || !is_trusted(peer, trusted) {
        return peer;
    }
    let mut client = peer;
    for hop in hops_from_the_right(headers) {
        // An entry nobody can read ends the chain: what stands left of it is not vouched for.
        let Some(address) = hop else { break };
        client = address;
        if !is_trusted(address, trusted) {
            break;
        }
    }
    client
}

/// Whether the client spoke TLS: to us, or to the trusted proxy in front.
pub(crate) fn client_used_tls(peer: SocketAddr, tls: bool, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    if trusted.is_empty() || !is_trusted(peer.ip().to_canonical(), trusted) {
        return tls;
    }
    match headers.get("x-forwarded-proto").map(http::HeaderValue::as_bytes) {
        Some(b"https") => true,
        Some(b"http") => false,
        _ => tls,
    }
}

/// Whether one of the networks holds that address, which is canonical.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

fn hops_from_the_right(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let listed =
        |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>();
    let x_forwarded_for = listed("x-forwarded-for");
    if !x_forwarded_for.is_empty() {
        return x_forwarded_for.iter().flat_map(|line| line.split(',')).rev().map(parse_node).collect();
    }
    listed(FORWARDED.as_str())
        .iter()
        .flat_map(|line| line.split(','))
        .rev()
        .map(|element| {
            element
                .split(';')
                .filter_map(|pair| pair.trim().split_once('='))
                .find(|(name, _)| name.eq_ignore_ascii_case("for"))
                .and_then(|(_, value)| parse_node(value))
        })
        .collect()
}

/// `1.2.3.4`, `1.2.3.4:5`, `2001:db8::1`, `[2001:db8::1]:5`, each quoted or not.
fn parse_node(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    text.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse())
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, fields: &[(&'static str, &str)]) -> String {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &trusted, None).address.to_string()
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        assert_eq!(client("192.0.2.1:9", &[("x-forwarded-for", "198.51.100.7")]), "192.0.2.1");
        assert_eq!(client("10.0.0.1:9", &[("x-forwarded-for", "198.51.100.7")]), "198.51.100.7");
        assert_eq!(client("[::ffff:10.0.0.1]:9", &[("x-forwarded-for", "198.51.100.7")]), "198.51.100.7");
    }

    #[test]
    fn the_list_is_read_from_the_right() {
        let chain = [("x-forwarded-for", "6.6.6.6, 198.51.100.7"), ("x-forwarded-for", "10.1.1.1")];
        assert_eq!(client("10.0.0.1:9", &chain), "198.51.100.7");
        assert_eq!(client("10.0.0.1:9", &[("x-forwarded-for", "6.6.6.6, nonsense, 10.1.1.1")]), "10.1.1.1");
    }

    #[test]
    fn forwarded_counts_without_x_forwarded_for() {
        let value = "for=6.6.6.6;proto=http, For=\"[2001:db8::7]:4711\";by=x";
        assert_eq!(client("[fd00::1]:9", &[("forwarded", value)]), "2001:db8::7");
    }

    #[test]
    fn one_header_is_believed_where_it_is_said_to_hold_the_address() {
        let read = |peer: &str, values: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", "198.51.100.9".parse().unwrap());
            for value in values {
                headers.append("cf-connecting-ip", value.parse().unwrap());
            }
            let name = HeaderName::from_static("cf-connecting-ip");
            let read = client_address(peer.parse().unwrap(), &headers, &["10.0.0.0/8".parse().unwrap()], Some(&name));
            (read.address.to_string(), read.is_unsaid)
        };
        assert_eq!(read("10.0.0.1:9", &["203.0.113.7"]), ("203.0.113.7".into(), false));
        assert_eq!(read("10.0.0.1:9", &["2001:db8::7"]), ("2001:db8::7".into(), false));
        assert_eq!(read("192.0.2.1:9", &["203.0.113.7"]), ("192.0.2.1".into(), false), "of nobody trusted");
        for unsaid in [&[][..], &[""], &["nonsense"], &["203.0.113.7, 203.0.113.8"], &["203.0.113.7", "203.0.113.7"]] {
            assert_eq!(read("10.0.0.1:9", unsaid), ("10.0.0.1".into(), true), "{unsaid:?}");
        }
    }
}
