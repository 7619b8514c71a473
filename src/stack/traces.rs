//! The span of a request: opened with its head, told at its last byte.
//!
//! Names and attributes are those of OpenTelemetry's conventions for HTTP servers, and a few of the gateway's own. A path
//! is told as its route, since ids of chats and files stand in paths; there is no query, and no header but `Host`.

use std::net::SocketAddr;

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, Version};

use super::context::Context;
use super::environment::Environment;
use super::routes::Endpoint;
use crate::config::Config;
use crate::predict::report::Ending;
use crate::telemetry::traces::{RequestSpan, RootSpan, TraceScope};
use crate::wire::forwarded::is_trusted;

/// How a request ends whose client does not wait for it.
pub(super) const CLIENT_GONE: &str = "client_gone";

/// What is kept for the end.
pub(crate) struct RequestTrace {
    root: RootSpan,
    /// The name that the client knows the gateway by.
    server: Option<Authority>,
}

impl RequestTrace {
    pub(super) fn scope(&self) -> &TraceScope {
        &self.root.scope
    }
}

/// `None`: no collector is configured.
pub(super) fn begin(
    environment: &Environment,
    config: &Config,
    head: &Parts,
    peer: SocketAddr,
) -> Option<Box<RequestTrace>> {
    let otlp = config.otlp.as_ref()?;
    let is_trusted = || {
        let peer = peer.ip().to_canonical();
        is_trusted(peer, &config.server.trusted_proxies) || is_trusted(peer, &otlp.trusted_callers)
    };
    let root = RootSpan::begin(&environment.spans, otlp.sample, &head.headers, is_trusted);
    let server = root.scope.is_sampled().then(|| server(head)).flatten();
    Some(Box::new(RequestTrace { root, server }))
}

/// The request is over. `end`: how its body ended.
pub(super) fn end(context: &Context, status: u16, end: &'static str) {
    let Some(trace) = &context.trace else { return };
    // Programs ask for these all the time.
    if matches!(context.endpoint(), Some(Endpoint::Health | Endpoint::Ping)) {
        return;
    }
    trace.root.end(context.duration(), |span| describe(span, context, status, end));
}

fn describe(span: &mut RequestSpan, context: &Context, status: u16, end: &'static str) {
    let method = known_method(&context.method);
    match context.route.get() {
        Some(route) => {
            let pattern = route.path.pattern;
            span.name(format!("{} {pattern}", method.unwrap_or("HTTP")));
            span.set("http.route", pattern);
            span.set("url.path", pattern);
        }
        None => span.name(method.unwrap_or("HTTP")),
    }
    span.set("http.request.method", method.unwrap_or("_OTHER"));
    span.set("url.scheme", if context.tls { "https" } else { "http" });
    span.set("network.protocol.version", protocol(context.version));
    if let Some(server) = context.trace.as_ref().and_then(|trace| trace.server.as_ref()) {
        span.set("server.address", server.host().to_owned());
        if let Some(port) = server.port_u16() {
            span.set("server.port", port);
        }
    }
    span.set("client.address", text(&context.client_text));
    span.set("flowgate.request_id", text(&context.request_id));
    span.set("flowgate.route", context.route_label().0);
    for (name, label) in [("flowgate.chatflow", context.chatflow_label()), ("flowgate.key", context.key_label())] {
        if label != "-" {
            span.set(name, label.to_owned());
        }
    }
    if let Some(waited) = context.waited.get() {
        span.set("flowgate.waited_ms", u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
    }
    if let Some(refusal) = context.refusal.get() {
        span.set("flowgate.code", refusal.code().name());
        if let Some(rule) = refusal.rule() {
            span.set("flowgate.rule", rule.name());
        }
    }
    let ending = context.stream.get().and_then(|report| report.ending.get());
    outcome(span, context, status, ending.map_or(end, Ending::name));
}

/// A server fails with its own errors only, and with answers that broke off.
fn outcome(span: &mut RequestSpan, context: &Context, status: u16, end: &'static str) {
    // One that left before there was a head was answered with nothing.
    if status != super::access_log::CLIENT_GONE {
        span.set("http.response.status_code", status);
    }
    span.set("flowgate.end", end);
    match context.refusal.get() {
        Some(refusal) if status >= 500 => span.failed(refusal.code().name()),
        _ if status >= 500 => span.failed(status.to_string()),
        _ if !matches!(end, "complete" | "done" | CLIENT_GONE) => span.failed(end),
        _ => {}
    }
}

/// `Host`, or what HTTP/2 has in its place: a copy, if it is a host's name or address, and a port perhaps.
fn server(head: &Parts) -> Option<Authority> {
    let written = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let written = written.or_else(|| head.headers.get(HOST).map(HeaderValue::as_bytes))?;
    Authority::try_from(written).ok().filter(|authority| !authority.as_str().contains('@'))
}

/// Those that are no stranger's invention (RFC 9110, section 9; RFC 5789).
fn known_method(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "PATCH", "DELETE", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_11 => "1.1",
        _ => "1.0",
    }
}

fn text(value: &HeaderValue) -> String {
    value.to_str().unwrap_or_default().to_owned()
}
