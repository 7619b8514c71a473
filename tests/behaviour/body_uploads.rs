//! Files sent along in a prediction's body.

use serde_json::json;

use crate::harness::predictions::{assert_refused, fields, forwarded, with_chatflow};
use crate::harness::upstream::Upstream;

#[test]
fn uploads_by_url_are_refused() {
    let text = "Uploads by URL are not allowed.";
    assert_refused(
        "",
        "upload_by_url",
        &[
            (r#"{"question":"hi","uploads":[{"type":"url","name":"a","data":"http://10.0.0.1/"}]}"#, text),
            (r#"{"question":"hi","uploads":[{"type":"file","name":"a","data":"http://10.0.0.1/"}]}"#, text),
            (r#"{"question":"hi","uploads":[{"type":"audio","name":"a","data":"file:///etc/passwd"}]}"#, text),
            (r#"{"question":"hi","uploads":[{"type":"file:rag","name":"a","data":" //10.0.0.1/a.png"}]}"#, text),
            (r#"{"question":"hi","uploads":[{"type":"file","name":"a","data":"ftp:10.0.0.1"}]}"#, text),
            (r#"{"question":"hi","uploads":[{"type":"url"}]}"#, text),
        ],
    );
}

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[test]
fn files_that_are_what_they_claim_pass_as_they_are() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    for upload in [
        json!({"type": "file", "name": "dot.png", "data": format!("data:image/png;base64,{PNG}"), "mime": "image/png"}),
        json!({"type": "file:rag", "name": "a.txt", "data": "data:text/plain;base64,aGVsbG8=", "mime": "text/plain"}),
        json!({"type": "audio", "name": "audio_1.webm", "data": "data:audio/webm;codecs=opus;base64,GkXfow==",
               "mime": "audio/webm"}),
        json!({"type": "file:full", "name": "note.txt", "data": "attached words", "mime": "text/plain"}),
        json!({"type": "file:full", "name": "odd.kind", "data": "attached words", "mime": ""}),
    ] {
        let body = json!({"question": "hi", "uploads": [upload]});
        assert_eq!(forwarded(&gateway, &upstream, &body.to_string()).json()["uploads"], body["uploads"]);
    }
}

#[test]
fn what_is_said_into_a_microphone_needs_no_question() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let audio = json!({"type": "audio", "name": "audio.webm", "data": "data:audio/webm;codecs=opus;base64,GkXfow==",
                       "mime": "audio/webm"});
    let body = json!({"uploads": [audio]});
    assert_eq!(fields(&gateway, &upstream, &body.to_string()), body);
    let file = r#"{"uploads":[{"type":"file:full","name":"a.txt","data":"words"}]}"#;
    assert_refused(
        "",
        "question_required",
        &[(file, "question (a string)"), (r#"{"uploads":[]}"#, "question (a string)")],
    );
}

#[test]
fn files_that_are_something_else_are_refused() {
    let upload = |kind: &str, name: &str, mime: &str, data: &str| {
        json!({"question": "hi", "uploads": [{"type": kind, "name": name, "mime": mime, "data": data}]}).to_string()
    };
    let png = format!("data:image/png;base64,{PNG}");
    let cases = [
        upload("file", "dot.jpg", "image/png", &png),
        upload("file", "dot.png", "image/jpeg", &png),
        upload("file", "dot.png", "image/png", &format!("data:image/jpeg;base64,{PNG}")),
        upload("file", "dot.png", "image/png", "data:image/png;base64,aGVsbG8="),
        upload("file", "a.txt", "text/plain", &format!("data:text/plain;base64,{PNG}")),
        upload("file", "a.html", "text/html", "data:text/html;base64,aGVsbG8="),
        upload("file", "a.svg", "image/svg+xml", "data:image/svg+xml;base64,aGVsbG8="),
        upload("file", "a.js", "text/plain", "data:text/plain;base64,aGVsbG8="),
        upload("file", "../a.txt", "text/plain", "data:text/plain;base64,aGVsbG8="),
        upload("file", "..%2fa.txt", "text/plain", "data:text/plain;base64,aGVsbG8="),
        upload("file", "a/b.txt", "text/plain", "data:text/plain;base64,aGVsbG8="),
        upload("file:full", "a\\b.txt", "text/plain", "text"),
        upload("file:full", "a\u{0}.txt", "text/plain", "text"),
        upload("file:full", "a.txt", "application/pdf", "text"),
        upload("file:full", "a'><doc name='b.txt", "text/plain", "text"),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|body| (body.as_str(), "")).collect();
    assert_refused("", "upload_kind", &cases);
    let cases = [
        upload("audio", "dot.png", "image/png", &png),
        upload("file", "dot.png", "image/png", "nonsense"),
        upload("file", "dot.png", "image/png", "data:image/png,plain"),
        upload("file", "dot.png", "image/png", "data:image/png;base64"),
        upload("file", "dot.png", "image/png", "data:image/png;base64,???"),
        upload("file", "dot.png", "image/png", &format!("data:image/png;base64,AAAA,{PNG}")),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|body| (body.as_str(), "uploads.")).collect();
    assert_refused("", "field_type", &cases);
}
