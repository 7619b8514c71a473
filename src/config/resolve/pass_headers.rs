//! `pass_headers`: which of a client's header fields go on to Flowise beside the few that always do.

use http::HeaderName;

use super::reader::FieldReader;
use crate::config::file::Field;

/// Those that go on without being listed.
const ALWAYS: [&str; 6] = ["accept", "accept-language", "content-type", "traceparent", "tracestate", "user-agent"];
/// What a listed name may not begin with: addresses and hosts are for the gateway to say, `x-flowise-*` changes what
/// Flowise does, and CORS is the gateway's own.
const NEVER_BEGINS: [&str; 4] = ["access-control-", "x-flowise-", "x-forwarded", "x-original-"];
/// What it may not be.
const NEVER: [&str; 57] = [
    // Hop by hop, and framing that is made anew (RFC 9110, section 7.6.1; RFC 9112, section 6).
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Credentials: the client's stop here, the upstream's are set by the gateway.
    "authentication",
    "authorization",
    "cookie",
    "cookie2",
    "proxy-authenticate",
    "proxy-authorization",
    "set-cookie",
    "x-access-token",
    "x-api-key",
    "x-auth-token",
    // Who calls, and from where: for the gateway to say.
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "origin",
    "remote-addr",
    "remote-user",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-real-ip",
    "x-remote-user",
    "x-request-id",
    "x-user",
    // Change what a request means: to Flowise (CVE-2026-30820), or to what reads it behind the gateway.
    "flowise-tool",
    "x-request-from",
    "proxy",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-override-url",
    "x-rewrite-url",
    // Answers are read by the gateway: never compressed, conditional or in parts.
    "accept-encoding",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    // Of a handshake that goes nowhere.
    "sec-websocket-key",
    "sec-websocket-version",
];

/// The names of the list, without those that pass anyway.
pub(super) fn pass_headers(reader: &mut FieldReader<'_>, field: &Field) -> Vec<HeaderName> {
    let mut names = Vec::new();
    for item in reader.list(field).unwrap_or_default() {
        let Some(name) = reader.parsed_node(item, header_name) else { continue };
        if names.contains(&name) {
            reader.refuse(item, "this name stands in the list twice");
        } else if !ALWAYS.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// `null` and the like are no text, and so no name.
fn header_name(text: &str) -> Result<HeaderName, &'static str> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "expected the name of a header field")?;
    // Programs behind gateways read `_` as `-` (CGI, RFC 3875, section 4.1.18).
    let read_as = name.as_str().replace('_', "-");
    let is_forbidden = NEVER.contains(&read_as.as_str()) || NEVER_BEGINS.iter().any(|start| read_as.starts_with(start));
    if is_forbidden || (read_as != name.as_str() && ALWAYS.contains(&read_as.as_str())) {
        return Err("this field is never passed on: the gateway sets it, or it ends here");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_somebody_behind_would_believe_cannot_be_listed() {
        for name in ["x-tenant", "X-Tenant", "baggage", "x_tenant", "x-b3-traceid", "sentry-trace"] {
            assert!(header_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "x tenant",
            "x:y",
            "Connection",
            "Authorization",
            "X-API-KEY",
            "x_api_key",
            "Cookie",
            "X-Forwarded-For",
            "x_forwarded_for",
            "x-forwarded",
            "X-Real-IP",
            "x-request-from",
            "X_Request_From",
            "flowise-tool",
            "flowise_tool",
            "x-flowise-anything",
            "x_flowise_anything",
            "X-Original-URL",
            "Proxy",
            "Content_Type",
            "transfer-encoding",
        ] {
            assert!(header_name(name).is_err(), "{name}");
        }
    }
}
