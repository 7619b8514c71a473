//! Predictions whose body is looked at: what a client sends, what the upstream sees of it.

use std::net::SocketAddr;

use serde_json::Value;

use super::KEY;
use super::client::{Connection, Response};
use super::gateway::{Gateway, config};
use super::upstream::{Seen, Upstream};

pub(crate) const PREDICT: &str = "/api/v1/prediction/support";
pub(crate) const QUESTION: &str = r#"{"question":"hi"}"#;
pub(crate) const PLAN: &str = "plans: { default: { requests: 100000/min, burst: 10000, concurrent: 1000 } }";
/// The same for callers without a key and users of tokens.
pub(crate) const PLENTY: &str = "plans: { default: { requests: 100000/min, burst: 10000, concurrent: 1000 }, \
    anonymous: { requests: 100000/min, burst: 10000, concurrent: 1000 } }";

pub(crate) fn with_chatflow(upstream: SocketAddr, chatflow: &str) -> Gateway {
    Gateway::start(&config(upstream, "", "", chatflow, PLAN))
}

/// What the upstream saw of that body.
#[track_caller]
pub(crate) fn forwarded(gateway: &Gateway, upstream: &Upstream, body: &str) -> Seen {
    let before = upstream.seen().len();
    let response = gateway.predict(body);
    assert_eq!(response.status, 200, "{body} {}", response.text());
    let seen = upstream.wait_seen(before + 1).remove(before);
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("content-length"), Some(&*seen.body.len().to_string()));
    assert_eq!(seen.header("transfer-encoding"), None);
    seen
}

/// The forwarded fields without `chatId`, which every one has.
#[track_caller]
pub(crate) fn fields(gateway: &Gateway, upstream: &Upstream, body: &str) -> Value {
    let mut json = forwarded(gateway, upstream, body).json();
    assert!(json.as_object_mut().expect("an object").remove("chatId").is_some_and(|id| id.is_string()));
    json
}

/// Asserts that each body is refused with a message that has that part, and that the upstream never sees it.
#[track_caller]
pub(crate) fn assert_refused(chatflow: &str, rule: &str, cases: &[(&str, &str)]) {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, chatflow);
    for (body, part) in cases {
        let response = gateway.predict(body);
        assert_eq!(response.status, 400, "{body} {}", response.text());
        response.assert_refused(400, "invalid_request");
        let message = response.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(part), "{body}: {message}");
    }
    assert!(upstream.seen().is_empty());
    gateway.wait_metric(
        &format!("flowgate_rejected_total{{rule=\"{rule}\"}}"),
        f64::from(u32::try_from(cases.len()).unwrap()),
    );
    assert_eq!(gateway.predict(QUESTION).status, 200);
}

/// The bytes of a chunked request, in chunks of `size`.
pub(crate) fn chunked(path: &str, content_type: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {KEY}\r\nContent-Type: {content_type}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for piece in body.chunks(size) {
        bytes.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

pub(crate) fn send_raw(gateway: &Gateway, bytes: impl AsRef<[u8]>) -> Response {
    let mut connection = Connection::open(gateway.http);
    connection.write(bytes);
    connection.read_response().expect("an answer")
}
