//! Which header fields pass the gateway, both ways.
//!
//! Upstream an allow-list: whatever Flowise, its libraries or a program in front of it may believe of a request is not
//! known, so what is not known to be harmless ends here (`x-request-from`, CVE-2026-30820). Downstream, hop-by-hop
//! fields and those that `Connection` nominates end here (RFC 9110, section 7.6.1), and what only the gateway may say.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONNECTION, HeaderName, HeaderValue, USER_AGENT};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Calls `each` with what goes upstream of a client's fields: a few, and `more`. `Content-Type` goes with the body.
pub(crate) fn for_each_passing(
    headers: &HeaderMap,
    more: &[HeaderName],
    mut each: impl FnMut(&HeaderName, &HeaderValue),
) {
    let nominated = nominated(headers);
    for (name, value) in headers {
        if (always_passes(name) || more.contains(name))
            && !nominated.iter().any(|field| name.as_str().eq_ignore_ascii_case(field))
        {
            each(name, value);
        }
    }
}

fn always_passes(name: &HeaderName) -> bool {
    *name == ACCEPT || *name == USER_AGENT || *name == ACCEPT_LANGUAGE || is_trace_field(name)
}

/// Whether it tells what trace a call belongs to (W3C Trace Context).
pub(crate) fn is_trace_field(name: &HeaderName) -> bool {
    *name == TRACEPARENT || *name == TRACESTATE
}

/// Whether a field of a request belongs to the connection that it goes over, or says how its body is framed: whoever sends
/// it writes that, and nobody who only says what is to be sent.
pub(crate) fn is_of_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host" | "content-length" | "transfer-encoding" | "connection" | "keep-alive" | "proxy-connection"
        | "proxy-authorization" | "te" | "trailer" | "upgrade" | "expect"
        // Answers are read as they come.
        | "accept-encoding"
    )
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

    fn passed(fields: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut from = HeaderMap::new();
        for (name, value) in fields {
            from.append(*name, HeaderValue::from_static(value));
        }
        let mut passed = Vec::new();
        let more = [HeaderName::from_static("x-tenant")];
        for_each_passing(&from, &more, |name, value| passed.push(format!("{name}: {}", value.to_str().unwrap())));
        passed
    }

    #[test]
    fn only_what_is_listed_passes() {
        let passed = passed(&[
            ("accept", "*/*"),
            ("accept-language", "de"),
            ("user-agent", "app"),
            ("traceparent", "00-1-2-01"),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("x-tenant", "t"),
            ("x-tenants", "t"),
            ("x-request-from", "internal"),
            ("authorization", "Bearer x"),
            ("x-anything", "1"),
        ]);
        let expected = [
            "accept: */*",
            "accept-language: de",
            "user-agent: app",
            "traceparent: 00-1-2-01",
            "tracestate: a=1",
            "tracestate: b=2",
            "x-tenant: t",
        ];
        assert_eq!(passed, expected);
    }

    #[test]
    fn nominated_fields_of_every_connection_line_are_dropped() {
        let passed = passed(&[
            ("connection", "close, X-Tenant"),
            ("connection", "user-agent"),
            ("x-tenant", "1"),
            ("user-agent", "2"),
            ("accept", "3"),
        ]);
        assert_eq!(passed, ["accept: 3"]);
    }

    #[test]
    fn what_names_the_software_behind_does_not_come_back() {
        for name in ["server", "x-powered-by", "access-control-allow-origin", "set-cookie", "keep-alive"] {
            assert!(!passes_downstream(&HeaderName::from_static(name)), "{name}");
        }
        assert!(passes_downstream(&HeaderName::from_static("content-type")));
    }
}
