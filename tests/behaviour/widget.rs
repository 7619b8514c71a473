//! The official widget's other calls: each checked field by field, bound to its chatflow, and its ids named anew.

mod speech;

use serde_json::{Value, json};

use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::upstream::{Reply, Seen, Upstream};
use crate::harness::{FLOW, KEY, sha256};

const MESSAGE: &str = "813dcf2c-cef3-4a52-a559-18542176aa3a";
const ROW: &str = "dff925d5-e82d-4e3e-b85e-f49c8415023b";
const PAGE: (&str, &str) = ("origin", "https://app.example.com");
const PUBLIC: &str = ", access: public, isolate_sessions: true, allowed_origins: [\"https://app.example.com\"]";

const PLENTY: &str = "plans: { anonymous: { requests: 6000/min, burst: 1000, concurrent: 100 } }";

/// Answers as Flowise does, in the shapes of the recorded transcripts.
fn flowise() -> Upstream {
    Upstream::start(|seen: &Seen, reply: &mut Reply| {
        let path = seen.path.trim_start_matches("/api/v1/");
        let stored = |more: Value| {
            let mut row = seen.json();
            row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            row.to_string()
        };
        match path.split(['/', '?']).next().unwrap_or_default() {
            "leads" | "feedback" if seen.method == "POST" => {
                reply.json("200 OK", &stored(json!({"id": ROW, "createdDate": "2026-11-22T23:50:57.000Z", "inside": "x"})));
            }
            "public-chatbotConfig" => reply.json(
                "200 OK",
                &json!({"flowData": "{\"nodes\":[{\"data\":{\"name\":\"chatOpenAI\",\"inputs\":{\"prompt\":\"secret\"}}}]}",
                    "isTTSEnabled": false, "apiConfig": {"secret": 1}, "leads": {"status": true, "secret": 1}})
                .to_string(),
            ),
            "chatflows-uploads" => reply.json("200 OK", "{\"isImageUploadAllowed\":true,\"secret\":1}"),
            "attachments" => reply.json(
                "200 OK",
                "[{\"name\":\"note.txt\",\"mimeType\":\"text/plain\",\"size\":5,\"content\":\"hello\",\"secret\":1}]",
            ),
            "get-upload-file" | "openai-assistants-file" => reply.raw(
                "HTTP/1.1 200 OK\r\nContent-Disposition: inline\r\nContent-Type: text/html5\r\nContent-Length: 4\r\n\r\nfile",
            ),
            _ => reply.json("200 OK", "{\"status\":\"OK\",\"message\":\"done\",\"secret\":1}"),
        }
    })
}

fn gateway(upstream: &Upstream, chatflow: &str) -> Gateway {
    Gateway::start(&config(upstream.address, "", "", chatflow, PLENTY))
}

fn visit(gateway: &Gateway, method: &str, path: &str, body: &str) -> Response {
    client::send(gateway.http, method, &format!("/api/v1/{path}"), &[PAGE, ("content-type", "application/json")], body)
}

/// Refused with that status, and the upstream saw nothing of it.
fn assert_unseen(upstream: &Upstream, response: &Response, status: u16, what: &str) {
    assert_eq!(response.status, status, "{what}: {}", response.text());
    assert_eq!(upstream.seen().len(), 0, "{what}");
}

#[test]
fn a_lead_goes_on_with_known_fields_and_comes_back_with_the_clients_ids() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let lead =
        json!({"chatflowid": "support", "chatId": "mine", "name": "Ann", "email": "ann@example.com", "phone": ""});
    for path in ["leads/", "leads"] {
        let answer = visit(&gateway, "POST", path, &lead.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let shown = json!({"chatflowid": "support", "chatId": "mine", "name": "Ann", "email": "ann@example.com",
            "phone": "", "createdDate": "2026-11-22T23:50:57.000Z"});
        assert_eq!(answer.json(), shown);
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE.1));
    }
    let seen = &upstream.seen()[0];
    assert_eq!((seen.path.as_str(), &seen.json()["chatflowid"]), ("/api/v1/leads", &json!(FLOW)));
    let chat = seen.json()["chatId"].as_str().unwrap().to_owned();
    assert!(chat != "mine" && chat.len() == 36, "{chat}");
}

#[test]
fn a_lead_chooses_neither_id_nor_date_nor_a_foreign_chatflow() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    for (more, status) in [
        (json!({"id": ROW}), 400),
        (json!({"createdDate": "2001-01-01"}), 400),
        (json!({"chatflowid": FLOW}), 404),
        (json!({"chatflowid": {"a": 1}}), 400),
        (json!({"chatflowid": null}), 400),
        (json!({"chatId": {"$ne": 1}}), 400),
        (json!({"name": "x".repeat(1000)}), 400),
        (json!({"name": "x".repeat(70_000)}), 413),
    ] {
        let mut lead = json!({"chatflowid": "support", "chatId": "mine", "name": "Ann"});
        lead.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        // On a public page a 413 would be told as a stream only to who wants nothing else.
        let answer = visit(&gateway, "POST", "leads/", &lead.to_string());
        assert_unseen(&upstream, &answer, status, &more.to_string().chars().take(80).collect::<String>());
    }
    visit(&gateway, "GET", "leads", "").assert_refused(405, "method_not_allowed");
    visit(&gateway, "GET", "leads/support", "").assert_refused(404, "not_found");
}

#[test]
fn calls_that_name_their_chatflow_late_are_held_to_its_access() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let lead = json!({"chatflowid": "support", "chatId": "mine"}).to_string();
    for headers in [vec![], vec![("origin", "null")], vec![("origin", "https://evil.example")]] {
        let answer = client::post(gateway.http, "/api/v1/leads/", &headers, &lead);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        answer.assert_refused(403, "origin_not_allowed");
    }
    let keyed = flowise();
    let gateway = Gateway::start(&config(keyed.address, "", "", "", ""));
    client::post(gateway.http, "/api/v1/leads/", &[], &lead).assert_refused(401, "missing_api_key");
    assert_eq!(client::post(gateway.http, "/api/v1/leads/", &[("x-api-key", KEY)], &lead).status, 200);
    assert_eq!((upstream.seen().len(), keyed.seen().len()), (0, 1));
}

#[test]
fn a_preflight_of_a_call_without_a_chatflow_in_its_path_is_answered() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let ask = [PAGE, ("access-control-request-method", "POST"), ("access-control-request-headers", "content-type")];
    for (path, methods) in [
        ("/api/v1/leads/", "POST, OPTIONS"),
        ("/api/v1/feedback/support", "POST, OPTIONS"),
        ("/api/v1/chatmessage/abort/support/mine", "PUT, OPTIONS"),
        ("/api/v1/text-to-speech/generate", "POST, OPTIONS"),
    ] {
        let answer = client::send(gateway.http, "OPTIONS", path, &ask, "");
        assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, Some(methods)), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE.1));
    }
}

#[test]
fn a_rating_is_changed_by_whoever_gave_it() {
    let upstream = flowise();
    let chatflow = ", isolate_sessions: true";
    let other = "another-key-of-the-tests-0123";
    let keys = keys("") + &format!("  - {{ id: bob, sha256: {} }}\n", sha256(other));
    let gateway = Gateway::start_with(&config(upstream.address, "", "", chatflow, ""), &keys, |_| {});
    let call = |key: &str, method: &str, path: &str, body: &Value| {
        let headers = [("x-api-key", key), ("content-type", "application/json")];
        client::send(gateway.http, method, &format!("/api/v1/feedback/{path}"), &headers, &body.to_string())
    };
    let rating =
        json!({"chatflowid": "support", "chatId": "mine", "messageId": MESSAGE, "rating": "THUMBS_UP", "content": ""});
    let stored = call(KEY, "POST", "support", &rating);
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert!(!stored.text().contains(FLOW) && stored.json().get("inside").is_none(), "{}", stored.text());
    let handle = stored.json()["id"].as_str().unwrap().to_owned();
    let more = json!({"content": "very nice"});
    let changed = call(KEY, "PUT", &handle, &more);
    assert_eq!((changed.status, changed.json()), (200, json!({"status": "OK", "message": "done"})));
    assert_eq!(upstream.seen()[1].path, format!("/api/v1/feedback/{ROW}"));
    for (key, path) in [(other, &*handle), (KEY, ROW), (KEY, &format!("support~{ROW}~{ROW}")), (KEY, "support")] {
        let status = call(key, "PUT", path, &more).status;
        assert!(matches!(status, 404 | 405), "{path}: {status}");
    }
    for wrong in
        [json!({"id": ROW}), json!({"chatflowid": FLOW}), json!({"messageId": {"$ne": 1}}), json!({"rating": "BEST"})]
    {
        let mut body = rating.clone();
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let status = call(KEY, "POST", "support", &body).status;
        assert!(matches!(status, 400 | 404), "{wrong}: {status}");
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn the_configuration_carries_nothing_of_the_flow() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let config = visit(&gateway, "GET", "public-chatbotConfig/support", "");
    assert_eq!(config.json(), json!({"isTTSEnabled": false, "leads": {"status": true}}));
    let uploads = visit(&gateway, "GET", "chatflows-uploads/support", "");
    assert_eq!(uploads.json(), json!({"isImageUploadAllowed": true}));
    assert_eq!(upstream.seen()[0].path, format!("/api/v1/public-chatbotConfig/{FLOW}"));
    visit(&gateway, "GET", "public-chatflows/support", "").assert_refused(404, "not_found");
}

#[test]
fn an_abort_stops_the_callers_own_chat() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let answer = visit(&gateway, "PUT", "chatmessage/abort/support/mine", "");
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "OK", "message": "done"})));
    let path = upstream.seen()[0].path.clone();
    let chat = path.strip_prefix(&format!("/api/v1/chatmessage/abort/{FLOW}/")).unwrap();
    assert!(chat.len() == 36 && chat != "mine", "{path}");
    for chat in ["..%2f..%2fx", "%2e%2e", "..", "..%5cx", "..%252fx", "a%00b", "a%2fb", "%zz"] {
        visit(&gateway, "PUT", &format!("chatmessage/abort/support/{chat}"), "").assert_refused(400, "invalid_request");
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn stored_files_are_handed_out_for_saving_and_from_the_callers_chat_alone() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    // As an image's address: a page says no origin then.
    let path = "/api/v1/get-upload-file?chatflowId=support&chatId=mine&fileName=pic%20ture.png";
    let file = client::get(gateway.http, path, &[]);
    assert_eq!((file.status, &*file.text()), (200, "file"));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-disposition", "attachment; filename=\"pic ture.png\""),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
    ] {
        assert_eq!(file.header(name), Some(value));
    }
    let asked = upstream.seen()[0].path.clone();
    assert!(asked.starts_with(&format!("/api/v1/get-upload-file?chatflowId={FLOW}&chatId=")), "{asked}");
    assert!(asked.ends_with("&fileName=pic%20ture.png") && !asked.contains("mine"), "{asked}");
    let body = json!({"chatflowId": "support", "chatId": "mine", "fileName": "note.txt"});
    let file = visit(&gateway, "POST", "openai-assistants-file/download", &body.to_string());
    assert_eq!((file.status, file.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(upstream.seen()[1].json()["chatId"] != "mine");
    for query in [
        "chatflowId=support&chatId=../../&fileName=database.sqlite",
        "chatflowId=support&chatId=a&fileName=..%2f..%2fx",
        "chatflowId=support&chatId=a",
        "chatflowId=support&chatId=a&chatId=b&fileName=x",
        "chatflowId=support&chatId=a&fileName=x&orgId=y",
        "chatId=a&fileName=x",
    ] {
        let answer = client::get(gateway.http, &format!("/api/v1/get-upload-file?{query}"), &[PAGE]);
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    for more in [json!({"chatflowId": FLOW}), json!({"chatId": "../x"}), json!({"fileName": "a/b"}), json!({"more": 1})]
    {
        let mut asked = body.clone();
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let status = visit(&gateway, "POST", "openai-assistants-file/download", &asked.to_string()).status;
        assert!(matches!(status, 400 | 404), "{more}: {status}");
    }
    assert_eq!(upstream.seen().len(), 2);
}

fn attach(gateway: &Gateway, chat: &str, name: &str, media_type: &str, content: &str) -> Response {
    let body = format!(
        "--theirs\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
         Content-Type: {media_type}\r\n\r\n{content}\r\n--theirs\r\n\
         Content-Disposition: form-data; name=\"chatId\"\r\n\r\nmine\r\n--theirs--\r\n"
    );
    let headers = [PAGE, ("content-type", "multipart/form-data; boundary=theirs")];
    client::send(gateway.http, "POST", &format!("/api/v1/attachments/support/{chat}"), &headers, &body)
}

#[test]
fn an_attachment_is_checked_and_written_anew() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let answer = attach(&gateway, "mine", "note.txt", "text/plain", "hello");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!([{"name": "note.txt", "mimeType": "text/plain", "size": 5, "content": "hello"}]));
    let seen = upstream.seen().remove(0);
    let sent = String::from_utf8(seen.body.clone()).unwrap();
    assert!(sent.contains("filename=\"note.txt\"") && sent.contains("\r\n\r\nhello\r\n"), "{sent}");
    assert!(!sent.contains("theirs") && !seen.path.contains("mine"), "{} {sent}", seen.path);
    for (chat, name, media_type, content) in [
        ("mine", "page.html", "text/html", "<script>"),
        ("mine", "page.txt", "text/html", "<script>"),
        ("mine", "a.pdf", "application/pdf", "MZ not a document"),
        ("mine", "a.png", "image/png", "<svg onload=alert(1)>"),
        ("mine", "../../evil.txt", "text/plain", "x"),
        // The path says another chat than the body.
        ("other", "a.txt", "text/plain", "x"),
        ("..%2f..%2fx", "a.txt", "text/plain", "x"),
    ] {
        attach(&gateway, chat, name, media_type, content).assert_refused(400, "invalid_request");
    }
    visit(&gateway, "POST", "attachments/support/mine", "{}").assert_refused(415, "unsupported_media_type");
    assert_eq!(upstream.seen().len(), 1, "nothing of a refused file is sent");
    gateway.wait_metric("flowgate_rejected_total{rule=\"upload_kind\"}", 5.0);
}

#[test]
fn an_attachment_may_be_asked_for_as_bytes() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let ask = |word: &str| {
        let body = format!(
            "--theirs\r\nContent-Disposition: form-data; name=\"files\"; filename=\"note.txt\"\r\n\
             Content-Type: text/plain\r\n\r\nhello\r\n--theirs\r\n\
             Content-Disposition: form-data; name=\"base64\"\r\n\r\n{word}\r\n--theirs--\r\n"
        );
        let headers = [PAGE, ("content-type", "multipart/form-data; boundary=theirs")];
        client::send(gateway.http, "POST", "/api/v1/attachments/support/mine", &headers, &body)
    };
    assert_eq!(ask("true").status, 200);
    let sent = String::from_utf8(upstream.seen().remove(0).body).unwrap();
    assert!(sent.contains("name=\"base64\"\r\n\r\ntrue\r\n") && sent.contains("hello"), "{sent}");
    ask("maybe").assert_refused(400, "invalid_request");
}

#[test]
fn the_words_of_an_attachment_are_bounded_as_a_questions_are() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    for content in ["x".repeat(8000), "=".repeat(8000), "\n".repeat(8000), "😀".repeat(2000)] {
        let refused = attach(&gateway, "mine", "note.md", "text/markdown", &content);
        assert!(refused.assert_refused(400, "invalid_request").text().contains("max_word_chars"));
    }
    assert_eq!(attach(&gateway, "mine", "note.md", "text/markdown", &"漢".repeat(1500)).status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_large_attachment_passes_whole() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let content = "0123456789abcdef".repeat(200_000);
    assert_eq!(attach(&gateway, "mine", "note.txt", "text/plain", &content).status, 200);
    let sent = upstream.seen().remove(0).body;
    assert!(holds(&sent, content.as_bytes()), "{} bytes arrived", sent.len());
}

fn holds(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[test]
fn no_path_can_forge_a_field_of_the_log() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let path = r#"chatmessage/abort/support/x","key":"somebody","y":"\"#;
    visit(&gateway, "PUT", path, "").assert_refused(400, "invalid_request");

    let line = gateway.log_line(|line| line["method"] == "PUT");
    assert_eq!((&line["path"], &line["key"]), (&json!(format!("/api/v1/{path}")), &json!("-")));
}
