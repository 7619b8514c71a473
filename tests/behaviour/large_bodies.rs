//! Bodies of megabytes: looked at as small ones are, and not by the threads that serve connections.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::client::Response;
use crate::harness::gateway::{Gateway, config};
use crate::harness::predictions::PLENTY;
use crate::harness::upstream::{Seen, Upstream};

const MIB: usize = 1024 * 1024;

/// Bytes of each body so far that was worked on beside the workers.
fn bodies(gateway: &Gateway) -> Vec<u64> {
    let bytes = |line: &String| {
        let line: Value = serde_json::from_str(line).ok()?;
        let is_told = line["message"] == "a large body is worked on beside the workers";
        is_told.then(|| line["bytes"].as_u64().expect("a number"))
    };
    gateway.log().iter().filter_map(bytes).collect()
}

/// Asserts that an exchange's body of megabytes is handed over, whole and once. That what is handed over is not done by
/// the thread that does so is for `wire::offload` to show.
#[track_caller]
fn elsewhere(gateway: &Gateway, exchange: impl FnOnce() -> Response) -> Response {
    let before = bodies(gateway).len();
    let response = exchange();
    // Whatever is told of it comes before this.
    gateway.access_line(response.header("x-request-id").expect("an id"));
    let handed_over = bodies(gateway).split_off(before);
    assert!(matches!(*handed_over, [bytes] if bytes > 3 * MIB as u64), "{handed_over:?}");
    response
}

/// Megabytes of found passages, and what a message tells of them.
fn documents() -> (Value, Value) {
    let document = |index: usize| {
        let source = format!("https://example.com/{}", index % 3);
        json!({"pageContent": "words ".repeat(20), "metadata": {"source": source, "loc": {"lines": [1, 2, 3]}}})
    };
    let told = |index: usize| {
        let source = format!("https://example.com/{index}");
        json!({"title": source, "url": source})
    };
    ((0..25_000).map(document).collect(), (0..3).map(told).collect())
}

fn start(upstream: &Upstream, chatflow: &str) -> Gateway {
    let more = format!("{PLENTY}\nlog: {{ level: debug }}");
    Gateway::start(&config(upstream.address, ", max_body: 16MiB", "", chatflow, &more))
}

#[test]
fn a_large_answer_is_shaped_elsewhere() {
    let (documents, told) = documents();
    let answer = json!({"text": "hello", "chatMessageId": "m1", "sourceDocuments": documents, "usedTools": ["x"]});
    let text = answer.to_string();
    assert!(text.len() > 3 * MIB);
    let upstream = Upstream::start(move |_: &Seen, reply| reply.json("200 OK", &text));
    let gateway = start(&upstream, ", response: message");
    let shown = elsewhere(&gateway, || gateway.predict(r#"{"question":"hi"}"#)).json();
    assert_eq!(shown, json!({"id": "m1", "role": "assistant", "content": "hello", "sources": told}));
    let gateway = start(&upstream, ", events: widget");
    let shown = elsewhere(&gateway, || gateway.predict(r#"{"question":"hi"}"#)).json();
    assert!(shown == answer, "the fields that the widget shows");
}

#[test]
fn a_long_record_of_a_stream_is_looked_at_once_and_elsewhere() {
    let (documents, told) = documents();
    let record = format!("message:\ndata:{{\"event\":\"sourceDocuments\",\"data\":{documents}}}\n\n");
    let upstream = Upstream::start(move |_: &Seen, reply| {
        reply.stream_head();
        reply.event("token", "hello");
        for piece in record.as_bytes().chunks(2000) {
            reply.chunk(piece);
        }
        reply.chunk("message:\ndata:{\"event\":\"metadata\",\"data\":{\"chatMessageId\":\"m1\"}}\n\n");
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = start(&upstream, ", response: message");
    let shown = elsewhere(&gateway, || gateway.predict(r#"{"question":"hi","streaming":true}"#)).text();
    let message = json!({"id": "m1", "role": "assistant", "content": "hello", "sources": told});
    let last: Value = serde_json::from_str(shown.rsplit("data: ").next().expect("a message").trim()).expect("JSON");
    assert_eq!(last, message);
}

#[test]
fn a_large_request_is_checked_elsewhere() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream, "");
    let text = STANDARD.encode("a few words in a line\n".repeat(200_000));
    let ask = |data: &str| {
        let upload = json!({"type": "file", "name": "a.txt", "mime": "text/plain", "data": data});
        json!({"question": "hi", "chatId": "c", "uploads": [upload]})
    };
    let asked = ask(&format!("data:text/plain;base64,{text}"));
    assert_eq!(elsewhere(&gateway, || gateway.predict(&asked.to_string())).status, 200);
    assert!(upstream.seen().remove(0).json() == asked, "the upload goes on as it came");
    let refused =
        elsewhere(&gateway, || gateway.predict(&ask(&format!("data:text/plain;base64,{text}AAAA")).to_string()));
    refused.assert_refused(400, "invalid_request");
    assert_eq!(upstream.seen().len(), 1);
}
