//! The console itself: one page with everything in it, which works without a network.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

use super::respond::{AdminAnswer, respond};

const PAGE: &str = include_str!("console.html");

/// No script and no style but the page's own, and no other place to talk to.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash_between("<style>", "</style>"),
        hash_between("<script>", "</script>")
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

fn hash_between(start: &str, end: &str) -> String {
    let inside = PAGE.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(inside, _)| inside);
    format!("sha256-{}", BASE64_STANDARD.encode(digest::digest(&digest::SHA256, inside.as_bytes())))
}

pub(super) fn answer() -> AdminAnswer {
    let mut response = respond(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes()));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_whole_and_writes_texts_as_texts() {
        assert!(PAGE.len() <= 64 * 1024, "{}", PAGE.len());
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
        for unsafe_way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style="] {
            assert!(!PAGE.contains(unsafe_way), "{unsafe_way}");
        }
        assert_eq!(PAGE.matches("<script").count() + PAGE.matches("<style").count(), 2);
    }
}
