//! What the head of a request says of its body, before a byte of it is asked for: a client that expects
//! `100 Continue` is refused before it uploads anything.

use http::Response;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;

use super::check::Check;
use super::context::Context;
use super::routes::Takes;
use crate::wire::body::Body;
use crate::wire::refusal::{BodyLimit, Refusal};

#[derive(Clone, Copy)]
pub(crate) struct Guard;

impl Check for Guard {
    fn check(self, head: &mut Parts, context: &Context) -> Result<Option<Response<Body>>, Refusal> {
        // A proxy that asks keeps the body to itself.
        if context.original.is_some() {
            return Ok(None);
        }
        let Some(takes) = context.route.get().map(|route| route.body) else { return Ok(None) };
        let passes_unread = match takes {
            Takes::Nothing => return Ok(None),
            Takes::Unread => true,
            Takes::Question => context.passes_unread(),
            Takes::Json(_) | Takes::Files => false,
        };
        // A body that is small packed and huge unpacked would pass every bound.
        if head.headers.get_all(CONTENT_ENCODING).iter().any(|value| value != "identity") {
            return Err(Refusal::UnsupportedMediaType("The body must not be compressed: leave Content-Encoding out."));
        }
        let kind = media_type(head);
        let is_understood = match kind {
            Some(MediaType::Json) => takes != Takes::Files,
            Some(MediaType::Multipart) => passes_unread || takes == Takes::Files,
            None => false,
        };
        if !is_understood {
            return Err(Refusal::UnsupportedMediaType(match (takes, passes_unread) {
                (Takes::Files, _) => "This call takes Content-Type: multipart/form-data.",
                (_, true) => "This call takes Content-Type: application/json (UTF-8) or multipart/form-data.",
                (_, false) => "This call takes Content-Type: application/json (UTF-8).",
            }));
        }
        let server = &context.snapshot.config.server;
        let max_body = BodyLimit { bytes: server.max_body, setting: Some("server.max_body") };
        let limit = match (kind, takes) {
            (Some(MediaType::Multipart), _) => {
                BodyLimit { bytes: server.max_upload, setting: Some("server.max_upload") }
            }
            (_, Takes::Json(bytes)) if bytes < max_body.bytes => BodyLimit { bytes, setting: None },
            _ => max_body,
        };
        context.body_limit.set(limit);
        let declared = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|bytes| bytes > limit.bytes) {
            return Err(limit.exceeded());
        }
        Ok(None)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MediaType {
    Json,
    Multipart,
}

fn media_type(head: &Parts) -> Option<MediaType> {
    let mut values = head.headers.get_all(CONTENT_TYPE).iter();
    // Whoever says nothing means the only thing that is read here.
    let Some(value) = values.next() else { return Some(MediaType::Json) };
    if values.next().is_some() {
        return None;
    }
    // What nearly every client sends.
    if value == "application/json" {
        return Some(MediaType::Json);
    }
    let value = value.to_str().ok()?;
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let essence = essence.trim();
    if essence.eq_ignore_ascii_case("multipart/form-data") {
        return Some(MediaType::Multipart);
    }
    let charset = parameters
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"')));
    let is_utf8 = charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"));
    (essence.eq_ignore_ascii_case("application/json") && is_utf8).then_some(MediaType::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read_as_clients_write_them() {
        let kind = |value: &str| {
            let request = http::Request::builder().header(CONTENT_TYPE, value).body(()).unwrap();
            media_type(&request.into_parts().0)
        };
        assert_eq!(kind("application/json"), Some(MediaType::Json));
        assert_eq!(kind("Application/JSON; charset=UTF-8"), Some(MediaType::Json));
        assert_eq!(kind("application/json; charset=\"utf-8\""), Some(MediaType::Json));
        assert_eq!(kind("application/json; charset=foo"), None);
        assert_eq!(kind("multipart/form-data; boundary=x"), Some(MediaType::Multipart));
        assert_eq!(kind("text/plain"), None);
    }
}
