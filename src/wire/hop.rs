//! Which header fields pass the gateway, both ways.
//!
//! Hop-by-hop fields and those that `Connection` nominates end here (RFC 9110, section 7.6.1). So do fields that
//! Flowise would believe (`x-request-from`, CVE-2026-30820) and fields that only the gateway may set.

use http::HeaderMap;
use http::header::{CONNECTION, HeaderName, HeaderValue};

/// Calls `each` with what may go upstream from a client's request.
pub(crate) fn for_each_passing(headers: &HeaderMap, mut each: impl FnMut(&HeaderName, &HeaderValue)) {
    let nominated = nominated(headers);
    for (name, value) in headers {
        if passes_upstream(name) && !nominated.iter().any(|field| name.as_str().eq_ignore_ascii_case(field)) {
            each(name, value);
        }
    }
}

/// The field names in all `Connection` lines; usually none beyond `keep-alive` and `close`.
fn nominated(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !is_connection_option(token))
        .collect()
}

fn is_connection_option(token: &str) -> bool {
    token.is_empty() || token.eq_ignore_ascii_case("keep-alive") || token.eq_ignore_ascii_case("close")
}

fn passes_upstream(name: &HeaderName) -> bool {
    let name = name.as_str();
    if name.starts_with("x-forwarded-") || name.starts_with("x-flowise-") || name.starts_with("access-control-") {
        return false;
    }
    !matches!(
        name,
        // Hop by hop, and framing that is made anew.
        "connection" | "keep-alive" | "proxy-connection" | "proxy-authenticate" | "proxy-authorization" | "te"
        | "trailer" | "transfer-encoding" | "upgrade" | "content-length" | "expect" | "host" | "http2-settings"
        // Credentials: the client's stop here, the upstream's are set by the gateway.
        | "authorization" | "x-api-key" | "cookie"
        // Where the request comes from is for the gateway to say.
        | "forwarded" | "x-real-ip" | "true-client-ip" | "cf-connecting-ip" | "via" | "origin"
        // Change what Flowise does with a request.
        | "x-request-from" | "flowise-tool"
        // Set anew for the body that is sent.
        | "content-type"
        // Answers are read by the gateway and never compressed.
        | "accept-encoding"
        // Nor are they conditional or in parts: a 304 would be no answer to what the gateway asks.
        | "if-match" | "if-none-match" | "if-modified-since" | "if-unmodified-since" | "if-range" | "range"
        | "x-request-id"
    )
}

/// Whether a field of an upstream's answer may go to the client; `Connection` may forbid more.
pub(crate) fn passes_downstream(name: &HeaderName) -> bool {
    let name = name.as_str();
    if name.starts_with("access-control-") {
        return false;
    }
    !matches!(
        name,
        "connection" | "keep-alive" | "proxy-connection" | "proxy-authenticate" | "proxy-authorization" | "te"
        | "trailer" | "transfer-encoding" | "upgrade" | "content-length"
        // Names the software behind the gateway.
        | "server" | "x-powered-by" | "via"
        // Cookies never pass upstream, so none is given out.
        | "set-cookie"
        | "x-request-id"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut from = HeaderMap::new();
        for (name, value) in fields {
            from.append(*name, HeaderValue::from_static(value));
        }
        let mut passed = Vec::new();
        for_each_passing(&from, |name, value| passed.push(format!("{name}: {}", value.to_str().unwrap())));
        passed
    }

    #[test]
    fn nominated_fields_of_every_connection_line_are_dropped() {
        let passed = request(&[
            ("connection", "close, X-Secret"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "2"),
            ("x-kept", "3"),
        ]);
        assert_eq!(passed, ["x-kept: 3"]);
    }

    #[test]
    fn fields_that_flowise_believes_are_dropped() {
        let passed = request(&[
            ("x-request-from", "internal"),
            ("flowise-tool", "true"),
            ("x-flowise-evaluation", "1"),
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("cookie", "a=b"),
            ("authorization", "Bearer x"),
            ("x-api-key", "x"),
            ("accept", "*/*"),
        ]);
        assert_eq!(passed, ["accept: */*"]);
    }

    #[test]
    fn requests_are_never_conditional() {
        let passed = request(&[("if-none-match", "\"1\""), ("range", "bytes=0-3"), ("accept", "*/*")]);
        assert_eq!(passed, ["accept: */*"]);
    }

    #[test]
    fn what_names_the_software_behind_does_not_come_back() {
        for name in ["server", "x-powered-by", "access-control-allow-origin", "set-cookie", "keep-alive"] {
            assert!(!passes_downstream(&HeaderName::from_static(name)), "{name}");
        }
        assert!(passes_downstream(&HeaderName::from_static("content-type")));
    }
}
