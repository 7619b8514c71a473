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
mod tests;
