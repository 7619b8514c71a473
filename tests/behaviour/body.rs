//! What a client may send, checked field by field, and what of it goes on.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::client::{Connection, Response, request};
use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::upstream::{Seen, Upstream};
use crate::harness::{FLOW, KEY, client};

const PREDICT: &str = "/api/v1/prediction/support";
const QUESTION: &str = r#"{"question":"hi"}"#;
const PLAN: &str = "plans: { default: { requests: 100000/min, burst: 10000, concurrent: 1000 } }";

fn with_chatflow(upstream: SocketAddr, chatflow: &str) -> Gateway {
    Gateway::start(&config(upstream, "", "", chatflow, PLAN))
}

/// What the upstream saw of that body.
#[track_caller]
fn forwarded(gateway: &Gateway, upstream: &Upstream, body: &str) -> Seen {
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
fn fields(gateway: &Gateway, upstream: &Upstream, body: &str) -> Value {
    let mut json = forwarded(gateway, upstream, body).json();
    assert!(json.as_object_mut().expect("an object").remove("chatId").is_some_and(|id| id.is_string()));
    json
}

/// Asserts that each body is refused with a message that has that part, and that the upstream never sees it.
#[track_caller]
fn assert_refused(chatflow: &str, rule: &str, cases: &[(&str, &str)]) {
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
fn chunked(path: &str, content_type: &str, body: &[u8], size: usize) -> Vec<u8> {
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

fn send_raw(gateway: &Gateway, bytes: impl AsRef<[u8]>) -> Response {
    let mut connection = Connection::open(gateway.http);
    connection.write(bytes);
    connection.read_response().expect("an answer")
}

#[test]
fn what_is_forwarded_is_what_was_checked_written_anew() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let seen =
        forwarded(&gateway, &upstream, " {\n \"question\" :\t\"h\\u0069 \\ud83d\\ude00\" , \"chatId\":\"c-1\" } ");
    assert_eq!(seen.path, format!("/api/v1/prediction/{FLOW}"));
    assert_eq!(seen.json(), json!({"question": "hi \u{1f600}", "chatId": "c-1"}));
    assert!(!seen.body.contains(&b'\t'));
    // A chunked request is forwarded with a length.
    let response = send_raw(&gateway, chunked(PREDICT, "application/json", QUESTION.as_bytes(), 3));
    assert_eq!(response.status, 200);
    let seen = upstream.wait_seen(2).remove(1);
    assert_eq!(seen.json()["question"], "hi");
    assert_eq!(seen.header("content-length"), Some(&*seen.body.len().to_string()));
    assert_eq!(seen.header("transfer-encoding"), None);
}

#[test]
fn every_field_that_flowise_reads_passes() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let body = json!({
        "question": "hi",
        "form": {"name": "a", "age": 7, "ok": true, "none": null},
        "chatId": "c",
        "overrideConfig": {"sessionId": "s"},
        "history": [{"role": "userMessage", "content": "a"}, {"role": "apiMessage", "content": "b"}],
        "uploads": [{"type": "file", "name": "a.png", "mime": "image/png", "data": "data:image/png;base64,AAAA"}],
        "humanInput": {"type": "proceed", "startNodeId": "n_0", "feedback": "ok"},
        "action": {"id": "1"},
        "leadEmail": "a@example.com",
    });
    assert_eq!(forwarded(&gateway, &upstream, &body.to_string()).json(), body);
    // Both official SDKs repeat the path's id; null is nothing.
    let repeated = format!(r#"{{"question":"hi","chatflowId":"{FLOW}","history":null,"uploads":null,"form":null}}"#);
    assert_eq!(fields(&gateway, &upstream, &repeated), json!({"question": "hi"}));
    assert_eq!(fields(&gateway, &upstream, r#"{"form":{"a":"b"}}"#), json!({"form": {"a": "b"}}));
}

#[test]
fn every_chat_has_an_id() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let chat = |body: &str| forwarded(&gateway, &upstream, body).json()["chatId"].as_str().unwrap().to_owned();
    assert_eq!(chat(r#"{"question":"hi","chatId":"mine"}"#), "mine");
    assert_eq!(chat(r#"{"question":"hi","chatId":"mine","overrideConfig":{"sessionId":"s"}}"#), "mine");
    assert_eq!(chat(r#"{"question":"hi","overrideConfig":{"sessionId":"s"}}"#), "s");
    let (one, other) = (chat(QUESTION), chat(r#"{"question":"hi","chatId":null}"#));
    assert_eq!((one.len(), other.len()), (36, 36));
    assert_ne!(one, other);
}

#[test]
fn stream_and_variables_mean_what_flowise_calls_streaming_and_vars() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", override_config: [vars]");
    for body in [
        r#"{"question":"hi","stream":true}"#,
        r#"{"question":"hi","streaming":true}"#,
        r#"{"question":"hi","streaming":true,"stream":true}"#,
        r#"{"question":"hi","stream":"true","streaming":null}"#,
    ] {
        assert_eq!(fields(&gateway, &upstream, body), json!({"question": "hi", "streaming": true}), "{body}");
    }
    for body in [r#"{"question":"hi","stream":false}"#, r#"{"question":"hi","streaming":"false"}"#] {
        assert_eq!(fields(&gateway, &upstream, body), json!({"question": "hi"}), "{body}");
    }
    let expected = json!({"question": "hi", "overrideConfig": {"vars": {"a": 1, "b": "x"}}});
    for body in [
        r#"{"question":"hi","variables":{"a":1,"b":"x"}}"#,
        r#"{"question":"hi","variables":{"a":1},"overrideConfig":{"vars":{"b":"x"}}}"#,
        r#"{"question":"hi","variables":{"a":1},"overrideConfig":{"vars":{"a":1,"b":"x"}}}"#,
        r#"{"question":"hi","overrideConfig":{"vars":{"a":1,"b":"x"}}}"#,
    ] {
        assert_eq!(fields(&gateway, &upstream, body), expected, "{body}");
    }
    assert_refused(
        ", override_config: [vars]",
        "ambiguous_field",
        &[
            (r#"{"question":"hi","stream":true,"streaming":false}"#, "stream and streaming disagree"),
            (
                r#"{"question":"hi","variables":{"a":1},"overrideConfig":{"vars":{"a":2}}}"#,
                "variables.a and overrideConfig.vars.a disagree",
            ),
        ],
    );
}

#[test]
fn unknown_fields_are_refused_by_name() {
    assert_refused(
        "",
        "unknown_field",
        &[
            (r#"{"question":"hi","foo":1}"#, "The field foo is not known"),
            (r#"{"question":"hi","Question":"x"}"#, "The field Question is not known"),
            (r#"{"question":"hi","sessionId":"s"}"#, "Did you mean overrideConfig.sessionId?"),
            (r#"{"question":"hi","chatid":"c"}"#, "chatid"),
            (r#"{"question":"hi","socketIOClientId":"x"}"#, "socketIOClientId"),
            (r#"{"question":"hi","":1}"#, "The field "),
            (r#"{"question":"hi","a\r\nb":1}"#, "a??b"),
            (r#"{"question":"hi","uploads":[{"type":"file","name":"a","path":"/etc/passwd"}]}"#, "uploads.path"),
        ],
    );
}

#[test]
fn a_very_long_field_name_is_not_repeated_whole() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let response = gateway.predict(&format!(r#"{{"question":"hi","{}":1}}"#, "n".repeat(10_000)));
    response.assert_refused(400, "invalid_request");
    assert!(response.body.len() < 1000, "{} bytes", response.body.len());
}

#[test]
fn json_that_parsers_read_differently_is_refused() {
    let deep = format!(r#"{{"question":"hi","action":{}1{}}}"#, r#"{"a":"#.repeat(40), "}".repeat(40));
    let lists = format!(r#"{{"question":"hi","history":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_refused(
        ", override_config: [vars]",
        "body_json",
        &[
            (r#"{"question":"a","question":"b"}"#, "question appears twice"),
            (r#"{"question":"a","qu\u0065stion":"a"}"#, "question appears twice"),
            (r#"{"question":"a","overrideConfig":{"vars":{"a":1,"a":2}}}"#, "a appears twice"),
            (r#"{"question":"a","__proto__":{"admin":true}}"#, "__proto__ is not allowed"),
            (r#"{"question":"a","\u005f_proto__":{}}"#, "__proto__ is not allowed"),
            (r#"{"question":"a","overrideConfig":{"vars":{"__proto__":{}}}}"#, "__proto__ is not allowed"),
            (r#"{"question":"a","action":{"x":[{"constructor":{}}]}}"#, "constructor is not allowed"),
            (r#"{"question":"a","form":{"prototype":1}}"#, "prototype is not allowed"),
            (&deep, "nested deeper than 32 levels"),
            (&lists, "nested deeper than 32 levels"),
            ("[]", "must be a JSON object"),
            ("\"question\"", "must be a JSON object"),
            ("null", "must be a JSON object"),
            ("{\"question\":\"a\"} {}", "not valid JSON"),
            ("{\"question\":\"a\"", "not valid JSON"),
            ("{'question':'a'}", "not valid JSON"),
            ("{\"question\":\"a\",}", "not valid JSON"),
            ("{\"question\":NaN}", "not valid JSON"),
            ("{\"question\":\"a\",\"action\":{\"x\":1e999}}", "not valid JSON"),
            ("{\"question\":\"\\ud800\"}", "not valid JSON"),
            ("{\"question\":\"a\nb\"}", "not valid JSON"),
            ("\u{feff}{\"question\":\"a\"}", "not valid JSON"),
            ("", "not valid JSON"),
            ("question=hi", "not valid JSON"),
        ],
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    for body in [&b"{\"question\":\"\xff\"}"[..], b"{\"question\":\"\xc0\xaf\"}", b"\xff\xfe{\0}\0"] {
        let head = request(
            "POST",
            PREDICT,
            &[("x-api-key", KEY), ("content-type", "application/json"), ("content-length", &body.len().to_string())],
            "",
        );
        send_raw(&gateway, [&head, body].concat()).assert_refused(400, "invalid_request");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_question_or_a_form_is_required() {
    let text = "The field question (a string) or form (an object) is required.";
    assert_refused(
        "",
        "question_required",
        &[("{}", text), (r#"{"chatId":"c"}"#, text), (r#"{"question":null,"form":null}"#, text)],
    );
}

#[test]
fn fields_of_another_type_are_refused_by_name() {
    let long = format!(r#"{{"question":"hi","chatId":"{}"}}"#, "c".repeat(257));
    let many = format!(r#"{{"question":"hi","uploads":[{}1]}}"#, "1,".repeat(100));
    assert_refused(
        "",
        "field_type",
        &[
            (r#"{"question":1}"#, "question must be a string"),
            (r#"{"question":{"$gt":""}}"#, "question must be a string"),
            (r#"{"question":["a"]}"#, "question must be a string"),
            (r#"{"form":[]}"#, "form must be an object"),
            (r#"{"form":{"a":{"b":1}}}"#, "form.a must be"),
            (r#"{"question":"hi","chatId":1}"#, "chatId must be a string"),
            (r#"{"question":"hi","chatId":{"$ne":null}}"#, "chatId must be a string"),
            (r#"{"question":"hi","chatId":["a"]}"#, "chatId must be a string"),
            (r#"{"question":"hi","chatId":""}"#, "chatId must be a string"),
            (r#"{"question":"hi","chatId":"a\u0000b"}"#, "chatId must be a string"),
            (&long, "chatId must be a string of 1 to 256 bytes"),
            (r#"{"question":"hi","chatflowId":["a"]}"#, "chatflowId must be a string"),
            (r#"{"question":"hi","overrideConfig":{"sessionId":{"$ne":1}}}"#, "overrideConfig.sessionId must be"),
            (r#"{"question":"hi","overrideConfig":{"sessionId":1}}"#, "overrideConfig.sessionId must be"),
            (r#"{"question":"hi","overrideConfig":[]}"#, "overrideConfig must be an object"),
            (r#"{"question":"hi","variables":"x"}"#, "variables must be an object"),
            (r#"{"question":"hi","stream":1}"#, "stream must be true or false"),
            (r#"{"question":"hi","streaming":"yes"}"#, "streaming must be true or false"),
            (r#"{"question":"hi","history":{}}"#, "history must be"),
            (r#"{"question":"hi","history":[{"role":"system","content":"x"}]}"#, "history must be"),
            (r#"{"question":"hi","history":[{"role":"userMessage","content":1}]}"#, "history must be"),
            (r#"{"question":"hi","uploads":"x"}"#, "uploads must be"),
            (r#"{"question":"hi","uploads":[{"type":"exec","name":"a"}]}"#, "uploads.type must be"),
            (r#"{"question":"hi","uploads":[{"type":"file","name":1}]}"#, "uploads.name must be"),
            (&many, "uploads must be a list of at most 100"),
            (r#"{"question":"hi","humanInput":"x"}"#, "humanInput must be"),
            (r#"{"question":"hi","humanInput":{"x":"y"}}"#, "humanInput.x"),
            (r#"{"question":"hi","action":"x"}"#, "action must be an object"),
            (r#"{"question":"hi","leadEmail":{}}"#, "leadEmail must be"),
        ],
    );
}

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
        ],
    );
}

#[test]
fn questions_and_words_have_a_length() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", max_question_chars: 20, max_word_chars: 8");
    for question in ["ääääääää öööööööö".to_owned(), "a ".repeat(10), "12345678,12345678".to_owned()] {
        let body = json!({ "question": question }).to_string();
        assert_eq!(fields(&gateway, &upstream, &body)["question"], question);
    }
    assert_refused(
        ", max_question_chars: 20, max_word_chars: 8",
        "question_length",
        &[
            (r#"{"question":"a a a a a a a a a a a"}"#, "question is longer than 20 characters"),
            (r#"{"form":{"name":"a a a a a a a a a a a"}}"#, "form.name is longer than 20 characters"),
        ],
    );
    assert_refused(
        ", max_question_chars: 20, max_word_chars: 8",
        "word_length",
        &[
            (r#"{"question":"aaaaaaaaa"}"#, "question holds a word of more than 8 letters"),
            (r#"{"question":"a äääääääää"}"#, "question holds a word of more than 8 letters"),
            (r#"{"question":"\u0061aaaaaaa1"}"#, "question holds a word of more than 8 letters"),
            (r#"{"form":{"name":"aaaaaaaaa"}}"#, "form.name holds a word of more than 8 letters"),
        ],
    );
}

#[test]
fn the_lengths_have_defaults() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let ask = |question: String| gateway.predict(&json!({ "question": question }).to_string());
    assert_eq!(ask("a ".repeat(4000)).status, 200);
    assert_eq!(ask("a".repeat(1000)).status, 200);
    ask("a ".repeat(4000) + "a").assert_refused(400, "invalid_request");
    ask("a".repeat(1001)).assert_refused(400, "invalid_request");
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn a_client_overrides_what_the_chatflow_allows_path_by_path() {
    let upstream = Upstream::answering();
    let allowed = ", override_config: [sessionId, vars.userId, deep.a.b]";
    let gateway = with_chatflow(upstream.address, allowed);
    let overrides = json!({"sessionId": "s", "vars": {"userId": "7"}, "deep": {"a": {"b": {"c": [1]}}}});
    let body = json!({"question": "hi", "overrideConfig": overrides}).to_string();
    assert_eq!(forwarded(&gateway, &upstream, &body).json()["overrideConfig"], overrides);
    assert_refused(
        allowed,
        "override_config",
        &[
            (
                r#"{"question":"hi","overrideConfig":{"systemMessage":"x"}}"#,
                "overrideConfig.systemMessage may not be set",
            ),
            (r#"{"question":"hi","overrideConfig":{"sessionid":"x"}}"#, "overrideConfig.sessionid"),
            (r#"{"question":"hi","overrideConfig":{"sessionId":"s","x":null}}"#, "overrideConfig.x"),
            (r#"{"question":"hi","overrideConfig":{"vars":{"planType":"pro"}}}"#, "overrideConfig.vars.planType"),
            (r#"{"question":"hi","variables":{"planType":"pro"}}"#, "overrideConfig.vars.planType"),
            (r#"{"question":"hi","overrideConfig":{"vars":"x"}}"#, "overrideConfig.vars"),
            (r#"{"question":"hi","overrideConfig":{"vars.userId":"x"}}"#, "overrideConfig.vars.userId"),
            (r#"{"question":"hi","overrideConfig":{"deep":{"a":{"c":1}}}}"#, "overrideConfig.deep.a.c"),
            (r#"{"question":"hi","overrideConfig":{"deep":{"a":1}}}"#, "overrideConfig.deep.a"),
        ],
    );
    // Written empty, nothing is allowed; unwritten, the session is.
    assert_refused(
        ", override_config: []",
        "override_config",
        &[(r#"{"question":"hi","overrideConfig":{"sessionId":"s"}}"#, "overrideConfig.sessionId")],
    );
    assert_refused(
        "",
        "override_config",
        &[(r#"{"question":"hi","overrideConfig":{"vars":{}}}"#, "overrideConfig.vars")],
    );
}

#[test]
fn what_chatflow_and_key_force_no_client_can_change() {
    let upstream = Upstream::answering();
    let chatflow = ", override_config: [vars, promptValues], vars: { planType: pro, who: flow }, \
                    force_override: { promptValues: { tone: kind } }";
    let keys = keys(", vars: { userId: '12345', who: key }");
    let gateway = Gateway::start_with(&config(upstream.address, "", "", chatflow, PLAN), &keys, |_| {});
    let forced = json!({"planType": "pro", "userId": "12345", "who": "key"});
    for body in [
        QUESTION,
        r#"{"question":"hi","variables":{"planType":"free","userId":"1","who":"me"}}"#,
        r#"{"question":"hi","overrideConfig":{"vars":{"userId":{"$ne":1}},"promptValues":{"tone":"rude","x":1}}}"#,
        r#"{"question":"hi","overrideConfig":{"vars":"all"}}"#,
    ] {
        let expected = json!({"question": "hi", "overrideConfig": {"promptValues": {"tone": "kind"}, "vars": forced}});
        assert_eq!(fields(&gateway, &upstream, body), expected, "{body}");
    }
    let body = r#"{"question":"hi","variables":{"mine":1,"planType":"free"}}"#;
    let vars = json!({"mine": 1, "planType": "pro", "userId": "12345", "who": "key"});
    assert_eq!(fields(&gateway, &upstream, body)["overrideConfig"]["vars"], vars);
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_before_a_byte_of_it_is_asked_for() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, ", max_body: 1KiB", "", "", PLAN));
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut connection = Connection::open(gateway.http);
        connection.write(format!(
            "POST {PREDICT} HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {KEY}\r\nContent-Type: application/json\r\n\
             {expect}Content-Length: 1025\r\n\r\n"
        ));
        // Not a byte of the body was sent, and no 100 comes first.
        let head = connection.read_head().expect("an answer");
        assert_eq!(head.status, 413);
        assert_eq!(head.header("connection"), Some("close"));
    }
    client::post(gateway.http, PREDICT, &[("x-api-key", KEY)], &" ".repeat(1025)).assert_refused(413, "body_too_large");
    let fits = format!("{QUESTION}{}", " ".repeat(1024 - QUESTION.len()));
    assert_eq!(gateway.predict(&fits).status, 200);
    assert_eq!(upstream.seen().len(), 1);
    gateway.wait_metric("flowgate_rejected_total{rule=\"body_size\"}", 3.0);
}

#[test]
fn every_refusal_by_the_head_comes_before_the_body_is_asked_for() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    for (status, method, path, fields) in [
        (401, "POST", PREDICT, "Content-Type: application/json\r\n".to_owned()),
        (404, "POST", "/api/v1/prediction/nobody", format!("X-Api-Key: {KEY}\r\n")),
        (405, "PUT", PREDICT, format!("X-Api-Key: {KEY}\r\n")),
        (415, "POST", PREDICT, format!("X-Api-Key: {KEY}\r\nContent-Type: text/plain\r\n")),
    ] {
        let mut connection = Connection::open(gateway.http);
        connection.write(format!(
            "{method} {path} HTTP/1.1\r\nHost: gateway.test\r\nExpect: 100-continue\r\n{fields}\
             Content-Length: 1000\r\n\r\n"
        ));
        assert_eq!(connection.read_head().expect("an answer").status, status);
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_chunked_body_is_counted() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&config(upstream.address, ", max_body: 1KiB", "", "", PLAN));
    let body = |length: usize| format!("{QUESTION}{}", " ".repeat(length - QUESTION.len()));
    for size in [1025, 100, 7] {
        let response = send_raw(&gateway, chunked(PREDICT, "application/json", body(1025).as_bytes(), size));
        response.assert_refused(413, "body_too_large");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(send_raw(&gateway, chunked(PREDICT, "application/json", body(1024).as_bytes(), 7)).status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn only_json_without_encoding_is_read() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let post = |headers: &[(&str, &str)]| {
        client::post(gateway.http, PREDICT, &[&[("x-api-key", KEY)], headers].concat(), QUESTION)
    };
    for value in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonx",
        "application/json, text/plain",
        "application/vnd.api+json",
        "text/json",
        "",
    ] {
        post(&[("content-type", value)]).assert_refused(415, "unsupported_media_type");
    }
    let two = [("content-type", "application/json"), ("content-type", "text/plain")];
    post(&two).assert_refused(415, "unsupported_media_type");
    for value in ["gzip", "br", "deflate", "zstd", "x-unknown", "identity, gzip", "gzip, identity", ""] {
        post(&[("content-encoding", value)]).assert_refused(415, "unsupported_media_type");
    }
    for two in [["identity", "gzip"], ["gzip", "identity"]] {
        let headers = two.map(|value| ("content-encoding", value));
        post(&headers).assert_refused(415, "unsupported_media_type");
    }
    assert!(upstream.seen().is_empty());
    gateway.wait_metric("flowgate_rejected_total{rule=\"media_type\"}", 20.0);
    for value in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
        assert_eq!(post(&[("content-type", value)]).status, 200, "{value}");
    }
    assert_eq!(post(&[("content-encoding", "identity")]).status, 200);
    for seen in upstream.wait_seen(4) {
        assert_eq!(seen.header("content-type"), Some("application/json"));
    }
}

#[test]
fn a_passthrough_chatflow_gets_the_body_byte_for_byte() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", body: passthrough");
    let odd = " {\"question\":1,\"question\":[],  \"__proto__\":{},\"foo\":\"\\u0041\", broken";
    let response = gateway.predict(odd);
    assert_eq!(response.status, 200, "{}", response.text());
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\n\
                     Content-Type: text/plain\r\n\r\n\u{0}\u{1}binary\r\n--x--\r\n";
    let headers = [("x-api-key", KEY), ("content-type", "multipart/form-data; boundary=x")];
    assert_eq!(client::post(gateway.http, PREDICT, &headers, multipart).status, 200);
    let seen = upstream.wait_seen(2);
    for (seen, (body, kind)) in
        seen.iter().zip([(odd, "application/json"), (multipart, "multipart/form-data; boundary=x")])
    {
        assert_eq!(seen.body, body.as_bytes());
        assert_eq!(seen.header("content-type"), Some(kind));
        assert_eq!(seen.header("content-length"), Some(&*body.len().to_string()));
        assert_eq!(seen.header("transfer-encoding"), None);
        assert_eq!(seen.path, format!("/api/v1/prediction/{FLOW}"));
        assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
    }
    // A chunked body has no length here either.
    assert_eq!(send_raw(&gateway, chunked(PREDICT, headers[1].1, multipart.as_bytes(), 10)).status, 200);
    let seen = upstream.wait_seen(3).remove(2);
    assert_eq!(seen.body, multipart.as_bytes());
    assert_eq!(seen.header("content-length"), None);
    assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
}

#[test]
fn a_passthrough_body_is_bounded_too() {
    let upstream = Upstream::answering();
    let limits = ", max_body: 1KiB, max_upload: 4KiB";
    let gateway = Gateway::start(&config(upstream.address, limits, "", ", body: passthrough", PLAN));
    for (kind, most) in [("application/json", 1024), ("multipart/form-data; boundary=x", 4096)] {
        let headers = [("x-api-key", KEY), ("content-type", kind)];
        let (fits, large) = ("x".repeat(most), "x".repeat(most + 1));
        client::post(gateway.http, PREDICT, &headers, &large).assert_refused(413, "body_too_large");
        send_raw(&gateway, chunked(PREDICT, kind, large.as_bytes(), 1000)).assert_refused(413, "body_too_large");
        assert_eq!(client::post(gateway.http, PREDICT, &headers, &fits).status, 200);
        assert_eq!(send_raw(&gateway, chunked(PREDICT, kind, fits.as_bytes(), 1000)).status, 200);
    }
    // What was too large never became a whole request there.
    assert_eq!(upstream.seen().len(), 4);
    assert!(upstream.seen().iter().all(|seen| seen.body.len() == 1024 || seen.body.len() == 4096));
}

#[test]
fn a_passthrough_body_is_neither_encoded_nor_of_another_type() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", body: passthrough");
    let post = |headers: &[(&str, &str)]| {
        client::post(gateway.http, PREDICT, &[&[("x-api-key", KEY)], headers].concat(), QUESTION)
    };
    for headers in [
        vec![("content-encoding", "gzip")],
        vec![("content-encoding", "identity"), ("content-encoding", "gzip")],
        vec![("content-type", "text/plain")],
        vec![("content-type", "application/json"), ("content-type", "multipart/form-data; boundary=x")],
    ] {
        post(&headers).assert_refused(415, "unsupported_media_type");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let upstream = Upstream::answering();
    let more = "  raw: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000001, body: passthrough }\n";
    let config = config(upstream.address, ", body_timeout: 300ms", "", "", &format!("{more}{PLAN}"));
    let gateway = Gateway::start(&config);
    for path in [PREDICT, "/api/v1/prediction/raw"] {
        for (framing, start) in
            [("Content-Length: 17", "{\"question"), ("Transfer-Encoding: chunked", "5\r\n{\"que\r\n")]
        {
            let mut connection = Connection::open(gateway.http);
            connection.write(format!(
                "POST {path} HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {KEY}\r\n\
                 Content-Type: application/json\r\n{framing}\r\n\r\n{start}"
            ));
            let response = connection.read_response().expect("an answer");
            response.assert_refused(408, "request_timeout");
            assert!(connection.is_closed());
        }
    }
    assert!(upstream.seen().is_empty(), "no whole request came there");
    gateway.wait_metric("flowgate_rejected_total{rule=\"request_timeout\"}", 4.0);
}

#[test]
fn a_body_that_breaks_off_is_no_request() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let mut connection = Connection::open(gateway.http);
    let whole = request("POST", PREDICT, &[("x-api-key", KEY), ("x-request-id", "broken-off")], QUESTION);
    connection.write(&whole[..whole.len() - 3]);
    drop(connection);
    gateway.access_line("broken-off");
    assert!(upstream.seen().is_empty());
}
