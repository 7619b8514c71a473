//! Which endpoint a request means; everything that is none of them is 404 and never reaches an upstream.
//!
//! A path is compared once, exactly as sent: no decoding, no case folding, no dot segments. Whatever another program
//! might read as one of these paths (`%2e`, `//`, `;x`, other case, absolute-form) is simply not one. What is
//! forwarded is built by the gateway, never copied.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};

use super::check::Check;
use super::context::{Context, Endpoint};
use crate::wire::body::Body;
use crate::wire::refusal::Refusal;

#[derive(Clone, Copy)]
pub(crate) struct Route;

impl Check for Route {
    fn check(self, head: &mut Parts, context: &Context) -> Result<Option<Response<Body>>, Refusal> {
        if head_size(head) > context.snapshot.config.server.max_header_bytes {
            return Err(Refusal::HeadersTooLarge);
        }
        check_framing(head)?;
        // HTTP/2 always has an authority; in HTTP/1.1 it means absolute-form.
        if head.version < Version::HTTP_2 && head.uri.authority().is_some() {
            return Err(Refusal::NotFound);
        }
        let (endpoint, chatflow) = find(head.uri.path()).ok_or(Refusal::NotFound)?;
        if let Some(name) = chatflow {
            // Set once: this layer sees a request once.
            let _ = context.chatflow.set(context.snapshot.chatflow(name).ok_or(Refusal::NotFound)?);
        }
        context.is_prediction_path.set(endpoint == Endpoint::Prediction);
        let allow = methods(endpoint);
        if head.method == Method::OPTIONS {
            context.endpoint.set(Endpoint::Preflight);
            return Ok(Some(preflight(allow)));
        }
        context.endpoint.set(endpoint);
        if !allow.split(", ").any(|method| method == head.method.as_str()) {
            return Err(Refusal::MethodNotAllowed(allow));
        }
        Ok(match endpoint {
            Endpoint::Health => Some(answer("application/json", "{\"status\":\"ok\"}")),
            Endpoint::Ping => Some(answer("text/plain; charset=utf-8", "pong")),
            _ => None,
        })
    }
}

/// The endpoint of a path, and the chatflow's name in it.
fn find(path: &str) -> Option<(Endpoint, Option<&str>)> {
    let rest = path.strip_prefix("/api/v1/")?;
    let (endpoint, name) = match rest.split_once('/') {
        None => match rest {
            "health" => return Some((Endpoint::Health, None)),
            "ping" => return Some((Endpoint::Ping, None)),
            "tokens" => return Some((Endpoint::Tokens, None)),
            _ => return None,
        },
        Some(("prediction", name)) => (Endpoint::Prediction, name),
        Some(("chatflows-streaming", name)) => (Endpoint::ChatflowsStreaming, name),
        Some(("vector", name)) => (Endpoint::Upsert, name.strip_prefix("upsert/")?),
        Some(_) => return None,
    };
    (!name.is_empty() && !name.contains('/')).then_some((endpoint, Some(name)))
}

fn methods(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Prediction | Endpoint::Upsert | Endpoint::Tokens => "POST, OPTIONS",
        _ => "GET, HEAD, OPTIONS",
    }
}

/// Bytes of the head as HTTP/1.1 writes it, about; hyper's own limit is one of its buffer and not exact.
fn head_size(head: &Parts) -> usize {
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    head.uri.path_and_query().map_or(0, |path| path.as_str().len()) + fields.sum::<usize>()
}

/// Refuses what two programs could read as two different requests (RFC 9112, sections 3.2 and 6.3).
fn check_framing(head: &Parts) -> Result<(), Refusal> {
    let headers = &head.headers;
    let refuse = |rule, message: &'static str| Err(Refusal::Invalid(rule, message.into()));
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), head.uri.authority()) {
        (None, None) if head.version == Version::HTTP_11 => return refuse("host", "The Host header is missing."),
        (Some(host), Some(authority))
            if head.version >= Version::HTTP_2 && host.as_bytes() != authority.as_str().as_bytes() =>
        {
            return refuse("host", "The Host header and the :authority disagree.");
        }
        _ => {}
    }
    if hosts.next().is_some() {
        return refuse("host", "The Host header was sent more than once.");
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if headers.contains_key(CONTENT_LENGTH) {
            return refuse("framing", "Content-Length and Transfer-Encoding exclude each other.");
        }
        // Another coding below it would stay in the body, where nobody is told of it.
        if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
            return refuse("framing", "The only Transfer-Encoding that is understood is chunked, once.");
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_exact_spelling_is_a_route() {
        assert_eq!(find("/api/v1/prediction/support"), Some((Endpoint::Prediction, Some("support"))));
        assert_eq!(find("/api/v1/vector/upsert/support"), Some((Endpoint::Upsert, Some("support"))));
        assert_eq!(find("/api/v1/ping"), Some((Endpoint::Ping, None)));
        for path in [
            "/api/v1/Prediction/support",
            "/API/v1/prediction/support",
            "/api/v1/%70rediction/support",
            "/api/v1/prediction//support",
            "/api/v1//prediction/support",
            "//api/v1/prediction/support",
            "/api/v1/prediction/support/",
            "/api/v1/prediction/",
            "/api/v1/prediction",
            "/api/v1/x/../prediction/support",
            "/api/v1/prediction;x/support",
            "/api/v1/chatflows",
            "/api/v1/credentials/1",
            "/api/v1/vector/upsert",
            "/api/v1/health/",
            "/",
            "*",
        ] {
            assert_eq!(find(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_route_is_always_one_known_prefix_and_one_segment(path in "[/a-z0-9.%;]{0,40}|/api/v1/[a-z/.%;]{0,40}") {
            if let Some((_, Some(name))) = find(&path) {
                prop_assert!(!name.contains('/'));
                let known = ["/api/v1/prediction/", "/api/v1/chatflows-streaming/", "/api/v1/vector/upsert/"];
                let is_built_so = known.iter().any(|prefix| path.strip_prefix(prefix) == Some(name));
                prop_assert!(is_built_so);
            }
        }
    }
}
