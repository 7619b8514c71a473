//! Which endpoint a request means; everything that is none of them is 404 and never reaches an upstream.
//!
//! A path is compared once, exactly as sent: no decoding, no case folding, no dot segments. Whatever another program
//! might read as one of these paths (`%2e`, `//`, `;x`, other case, absolute-form) is simply not one. What is
//! forwarded is built by the gateway, never copied.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};

use super::auth::unknown_chatflow;
use super::check::Check;
use super::context::Context;
use super::demo_page;
use super::ext_auth;
use super::routes::{Endpoint, MatchedRoute, find};
use crate::wire::body::Body;
use crate::wire::host::is_host;
use crate::wire::refusal::{Refusal, Rule, shown_size};

/// Bytes of a path to which the right one is told.
const LONGEST_PATH: usize = 512;
/// To a proxy that asks about a call which is not to be forwarded.
const ELSEWHERE: &str =
    "The gateway answers or checks this call itself: it goes to the gateway, not to a server that it decides for.";

#[derive(Clone, Copy)]
pub(crate) struct Routing;

impl Check for Routing {
    fn check(self, head: &mut Parts, context: &Context) -> Result<Option<Response<Body>>, Refusal> {
        let decision = decide(head, context);
        context.note_path(head.uri.path());
        decision
    }
}

fn decide(head: &Parts, context: &Context) -> Result<Option<Response<Body>>, Refusal> {
    if let Some(original) = &context.original {
        original.check()?;
    }
    if head_size(head) > context.snapshot.config.server.max_header_bytes {
        let most = context.snapshot.config.server.max_header_bytes;
        let most = shown_size(u64::try_from(most).unwrap_or(u64::MAX));
        let message = format!("The request's headers are larger than {most} (server.max_header_bytes).");
        return Err(Refusal::HeadersTooLarge(message));
    }
    check_framing(head)?;
    // HTTP/2 always has an authority; in HTTP/1.1 it means absolute-form.
    if head.version < Version::HTTP_2 && head.uri.authority().is_some() {
        return Err(Refusal::NotFound);
    }
    let path = head.uri.path();
    let MatchedRoute { route, chatflow } = find(path).ok_or_else(|| near_route(path))?;
    if route.endpoint == Endpoint::DemoPage && !context.snapshot.config.is_demo() {
        return Err(Refusal::NotFound);
    }
    if context.original.is_some() && !ext_auth::may_decide(route) {
        return Err(Rule::ExtAuthRoute.refuse(ELSEWHERE));
    }
    if let Some(name) = chatflow {
        context.name_chatflow(name).map_err(|_| unknown_chatflow(&head.headers, context))?;
    }
    context.route.set(Some(route));
    let allow = route.methods.allow();
    if head.method == Method::OPTIONS {
        return Ok(Some(preflight(allow)));
    }
    if !route.methods.allows(&head.method) {
        return Err(Refusal::MethodNotAllowed(allow));
    }
    Ok(match route.endpoint {
        Endpoint::Health => Some(answer("application/json", "{\"status\":\"ok\"}")),
        Endpoint::Ping => Some(answer("text/plain; charset=utf-8", "pong")),
        Endpoint::DemoPage => Some(demo_page::answer()),
        Endpoint::Tokens | Endpoint::Usage | Endpoint::Flow(_) | Endpoint::Widget(_) => None,
    })
}

/// For a path that is none: names the one that was meant, if it only has a slash too many or `/api/v1` not once, as
/// when a client's base URL ends in a slash or in the API's path. Whether there is such a chatflow it does not say.
fn near_route(path: &str) -> Refusal {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._~-".contains(&byte);
    // What is said holds nothing that could be anything but a path.
    if path.len() > LONGEST_PATH || !path.bytes().all(is_plain) {
        return Refusal::NotFound;
    }
    let rest: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if rest.iter().any(|segment| matches!(*segment, "." | "..")) {
        return Refusal::NotFound;
    }
    let mut rest = rest.as_slice();
    while let ["api", "v1", after @ ..] = rest {
        rest = after;
    }
    let right = format!("/api/v1/{}", rest.join("/"));
    match find(&right) {
        Some(_) => Refusal::NearRoute(format!("There is nothing at this path; the right one is {right}.")),
        None => Refusal::NotFound,
    }
}

/// Bytes of the head as HTTP/1.1 writes it, about; hyper's own limit is one of its buffer and not exact.
fn head_size(head: &Parts) -> usize {
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    head.uri.path_and_query().map_or(0, |path| path.as_str().len()) + fields.sum::<usize>()
}

/// Refuses what two programs could read as two different requests (RFC 9112, sections 3.2 and 6.3), and a host that is
/// none: it is told to Flowise.
fn check_framing(head: &Parts) -> Result<(), Refusal> {
    let headers = &head.headers;
    let refuse = |rule: Rule, message: &'static str| Err(rule.refuse(message));
    let mut hosts = headers.get_all(HOST).iter();
    let (host, authority) = (hosts.next(), head.uri.authority().map(|authority| authority.as_str().as_bytes()));
    match (host, authority) {
        // RFC 9112, section 3.2; RFC 9113, section 8.3.1.
        (None, None) if head.version >= Version::HTTP_11 => return refuse(Rule::Host, "The Host header is missing."),
        (Some(host), Some(authority)) if head.version >= Version::HTTP_2 && host.as_bytes() != authority => {
            return refuse(Rule::Host, "The Host header and the :authority disagree.");
        }
        _ => {}
    }
    if hosts.next().is_some() {
        return refuse(Rule::Host, "The Host header was sent more than once.");
    }
    if !host.is_none_or(|host| is_host(host.as_bytes())) || !authority.is_none_or(is_host) {
        return refuse(Rule::Host, "The Host header or the :authority names no host.");
    }
    // Whoever reads the first and whoever reads the last would let another page call, RFC 6454, section 7.3.
    if headers.get_all(ORIGIN).iter().nth(1).is_some() {
        return refuse(Rule::AmbiguousOrigin, "The Origin header was sent more than once.");
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if headers.contains_key(CONTENT_LENGTH) {
            return refuse(Rule::Framing, "Content-Length and Transfer-Encoding exclude each other.");
        }
        // Another coding below it would stay in the body, where nobody is told of it.
        if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
            return refuse(Rule::Framing, "The only Transfer-Encoding that is understood is chunked, once.");
        }
    }
    Ok(())
}

fn preflight(allow: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

fn answer(content_type: &'static str, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::from_static(body.as_bytes())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_nearly_a_route_is_told_the_right_one() {
        for (path, right) in [
            ("//api/v1/prediction/support", "/api/v1/prediction/support"),
            ("/api/v1/prediction//support", "/api/v1/prediction/support"),
            ("/api/v1/prediction/support/", "/api/v1/prediction/support"),
            ("/api/v1/api/v1/prediction/support", "/api/v1/prediction/support"),
            ("/prediction/support", "/api/v1/prediction/support"),
            ("/api/v1/health/", "/api/v1/health"),
        ] {
            let Refusal::NearRoute(message) = near_route(path) else { panic!("{path}") };
            assert_eq!(message, format!("There is nothing at this path; the right one is {right}."));
        }
        let long = format!("//api/v1/prediction/{}", "x".repeat(LONGEST_PATH));
        for path in [
            "/",
            "//",
            "*",
            "/api/v1/chatflows/",
            "//api/v1/prediction/%22",
            "//api/v1/prediction/a;b",
            "//api/v1/prediction/..",
            &long,
        ] {
            assert_eq!(near_route(path), Refusal::NotFound, "{path}");
        }
    }
}
