//! Files sent along in a prediction's body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
fn a_files_name_goes_on_as_flowise_would_store_it() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let upload = |name: &str| json!({"type": "file:full", "name": name, "data": "words", "mime": "text/plain"});
    let body = json!({"question": "hi", "uploads": [upload("What?.txt"), upload("a..\"b\".txt")]});
    let sent = forwarded(&gateway, &upstream, &body.to_string()).json();
    assert_eq!(sent["uploads"], json!([upload("What.txt"), upload("a.b.txt")]));
    let asked = json!({"question": "hi", "uploads": [upload("../a.txt")]}).to_string();
    assert_refused("", "upload_kind", &[(&asked, "The file's name holds a /: please rename the file.")]);
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
fn recordings_are_taken_as_recorders_name_them() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    let (webm, ogg) = (encoded(b"\x1a\x45\xdf\xa3...."), encoded(b"OggS...."));
    let (mp4, wav) = (encoded(b"\0\0\0\x1cftypiso5...."), encoded(b"RIFF....WAVEfmt "));
    let audio = |name: &str, mime: &str, of_data: &str, content: &str| json!({"uploads": [{"type": "audio", "name": name, "mime": mime, "data": format!("data:{of_data};base64,{content}")}]});
    // Flowise's recorders say `.wav`, whatever the browser has recorded.
    for (name, mime, of_data, content) in [
        ("audio_1.wav", "audio/webm", "audio/webm;codecs=opus", &webm),
        ("audio_1.wav", "audio/mp4", "audio/mp4", &mp4),
        ("audio_1.wav", "audio/mp4", "audio/mp4;codecs=mp4a.40.2", &mp4),
        ("audio_1.wav", "audio/ogg", "audio/ogg;codecs=opus", &ogg),
        ("audio_1.mp4", "audio/mp4", "audio/mp4", &mp4),
        ("voice.opus", "audio/ogg", "audio/ogg", &ogg),
        ("a.wav", "audio/wav", "audio/wav", &wav),
    ] {
        let body = audio(name, mime, of_data, content);
        assert_eq!(fields(&gateway, &upstream, &body.to_string()), body, "{name} {mime}");
    }
    // Flowise transcribes by its own names of what was recorded.
    for (name, mime, of_data, content, told) in [
        ("v.ogg", "audio/ogg; codecs=opus", "audio/ogg; codecs=opus", &ogg, "audio/ogg"),
        ("v.ogg", "application/ogg", "audio/ogg", &ogg, "audio/ogg"),
        ("v.m4a", "audio/m4a", "audio/mp4", &mp4, "audio/mp4"),
        ("v.wav", "audio/vnd.wave", "audio/wav", &wav, "audio/wav"),
        ("v.webm", "", "audio/webm", &webm, "audio/webm"),
    ] {
        let seen = fields(&gateway, &upstream, &audio(name, mime, of_data, content).to_string());
        assert_eq!(seen, audio(name, told, of_data, content), "{name} {mime}");
    }
    let seen = fields(&gateway, &upstream, &audio("v.m4a", "audio/m4a", "audio/m4a;x=y", &mp4).to_string());
    assert_eq!(seen, audio("v.m4a", "audio/mp4", "audio/mp4;x=y", &mp4));
    let cases = [
        audio("audio_1.html", "audio/webm", "audio/webm", &webm),
        audio("audio_1", "audio/webm", "audio/webm", &webm),
        audio("../audio_1.wav", "audio/webm", "audio/webm", &webm),
        audio("audio_1.wav", "audio/webm", "audio/webm", &ogg),
        audio("audio_1.wav", "audio/mp4", "audio/webm", &webm),
        audio("audio_1.wav", "audio/webm", "audio/webm", &STANDARD.encode("<script>")),
    ];
    let cases: Vec<String> = cases.iter().map(ToString::to_string).collect();
    let cases: Vec<(&str, &str)> = cases.iter().map(|body| (body.as_str(), "")).collect();
    assert_refused("", "upload_kind", &cases);
    let page = audio("audio_1.wav", "text/html", "text/html", &webm).to_string();
    assert_refused("", "field_type", &[(&page, "uploads.mime")]);
}

#[test]
fn files_whose_type_nobody_knows_are_told_by_name_and_content() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let file = |name: &str, mime: &str, of_data: &str, content: &str| {
        json!({"question": "hi", "uploads": [
            {"type": "file", "name": name, "mime": mime, "data": format!("data:{of_data};base64,{content}")}
        ]})
    };
    let text = STANDARD.encode("a,b\r\n");
    for (name, mime, of_data, content, told) in [
        ("a.csv", "application/vnd.ms-excel", "application/vnd.ms-excel", text.as_str(), "text/csv"),
        ("a.md", "", "application/octet-stream", &text, "text/markdown"),
        ("a.md", "", "", &text, "text/markdown"),
        ("a.md", "text/plain", "text/plain", &text, "text/markdown"),
        ("dot.png", "", "application/octet-stream", PNG, "image/png"),
    ] {
        let seen = fields(&gateway, &upstream, &file(name, mime, of_data, content).to_string());
        assert_eq!(seen, file(name, told, told, content), "{name} {mime}");
    }
    let cases = [
        file("a.html", "", "", &text),
        file("a", "", "application/octet-stream", &text),
        file("a.xls", "application/vnd.ms-excel", "application/vnd.ms-excel", &text),
        file("a.csv", "", "application/octet-stream", PNG),
        file("a.csv", "text/html", "application/vnd.ms-excel", &text),
        file("dot.png", "text/plain", "image/png", PNG),
    ];
    let cases: Vec<String> = cases.iter().map(ToString::to_string).collect();
    let cases: Vec<(&str, &str)> = cases.iter().map(|body| (body.as_str(), "")).collect();
    assert_refused("", "upload_kind", &cases);
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
