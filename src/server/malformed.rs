//! Gives the gateway's shape to what hyper answers by itself.
//!
//! A head that is no HTTP, or too long, never becomes a request: hyper writes a bare status line and closes. Here
//! that line is seen on its way to the socket and replaced by the same refusal in the one shape of all errors.

use bytes::Bytes;
use http::HeaderValue;

use crate::predict::chat_id;
use crate::telemetry::metrics::Metrics;
use crate::wire::body::Body;
use crate::wire::refusal::{Refusal, Rule};

/// Longer than any head that hyper writes by itself.
const LONGEST: usize = 256;

/// What to write instead of `piece`, if it is hyper's own refusal: a whole head without body and without the
/// `X-Request-Id` that every answer of the stack has.
pub(super) fn replacement(piece: &[u8]) -> Option<Vec<u8>> {
    let code = piece.strip_prefix(b"HTTP/1.1 4")?.get(..2)?;
    if piece.len() > LONGEST || !piece.ends_with(b"\r\n\r\n") || memchr::memmem::find(piece, b"x-request-id").is_some()
    {
        return None;
    }
    let refusal = match code {
        b"31" | b"14" => Refusal::HeadersTooLarge(
            "The request's headers are too large (server.max_header_bytes), or too many (at most 100).".into(),
        ),
        _ => Rule::Malformed.refuse("The request is not valid HTTP."),
    };
    Some(write_out(&refusal))
}

/// Counts a head that never became a request.
pub(super) fn count(error: &hyper::Error, metrics: &Metrics) {
    let rule = if error.is_parse_too_large() { Rule::HeadSize } else { Rule::Malformed };
    metrics.rejected.with_label_values(&[rule.name()]).inc();
    metrics.requests.with_label_values(&["other", "-", "-", rule.code().status().as_str()]).inc();
}

fn write_out(refusal: &Refusal) -> Vec<u8> {
    let id = chat_id::random().unwrap_or_default().replace('-', "");
    let id = HeaderValue::from_maybe_shared(Bytes::from(id)).unwrap_or(HeaderValue::from_static("unknown"));
    let response = refusal.response(&id, false);
    let status = response.status();
    let mut text =
        format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default()).into_bytes();
    for (name, value) in response.headers() {
        text.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend_from_slice(&[b"x-request-id: ", id.as_bytes(), b"\r\n"].concat());
    let Body::Full(body) = response.into_body() else { return text };
    let length = body.len();
    text.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
    text.extend_from_slice(&body);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hypers_own_refusals_are_replaced() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let text = String::from_utf8(replacement(bare).unwrap()).unwrap();
        assert!(text.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{text}");
        assert!(text.contains("\"code\":\"headers_too_large\"") && text.contains("x-request-id: "), "{text}");
        let ours = b"HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n";
        assert!(replacement(ours).is_none());
        assert!(replacement(b"HTTP/1.1 200 OK\r\n\r\n").is_none());
        assert!(replacement(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}").is_none());
    }
}
