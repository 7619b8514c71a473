//! What Flowise says of its inside, or of the gateway's key, does not reach a client.

use crate::harness::gateway::{Gateway, config, keys, simple};
use crate::harness::upstream::{ANSWER, Upstream, record};

const ASK: &str = r#"{"question":"hi"}"#;
const STREAM: &str = r#"{"question":"hi","streaming":true}"#;
/// Flowise's key in [`config`], as it is and as base64 of `user:upstream-key` shows it.
const KEY: &str = "upstream-key";
const IN_BASE64: &str = "dXNlcjp1cHN0cmVhbS1rZXk=";

#[track_caller]
fn assert_discreet(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn of_an_error_that_cannot_be_read_nothing_is_told() {
    // JavaScript cuts an emoji in two and writes that as JSON.
    let body = r#"{"statusCode":500,"success":false,"message":"half an \ud83d at 10.1.2.3","stack":"Error: half\n    at f (/srv/flowise/dist/index.js:1:2)"}"#;
    let torn = r#"{"message":"torn","stack":"Error: torn at /srv/flowise"#;
    let event = "message:\ndata:{\"event\":\"error\",\"data\":\"half an \\ud83d of postgres://u:p@db/x\\n    at f (/srv/x.js:1:2)\"}\n\n";
    for body in [body, torn] {
        let upstream = Upstream::start(move |_, reply| reply.json("500 Internal Server Error", body));
        let response = Gateway::start(&simple(upstream.address)).predict(ASK);
        response.assert_refused(500, "upstream_error");
        assert_discreet(&response.text(), &["/srv", "10.1.2.3", "stack"]);
    }
    let upstream = Upstream::start(move |_, reply| {
        reply.stream_head();
        reply.chunk(event);
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let text = Gateway::start(&simple(upstream.address)).predict(STREAM).text();
    assert!(
        text.starts_with("message:\ndata:{\"event\":\"error\",") && text.ends_with(&record("end", "[DONE]")),
        "{text}"
    );
    assert_discreet(&text, &["/srv", "postgres", "u:p"]);
}

#[test]
fn an_error_names_no_key_address_file_or_id() {
    let words = format!(
        "Wrong {KEY} (Basic {IN_BASE64}), ask db.internal or 10.1.2.3:5432 with password=hunter2, see /srv/flowise/.env\n    at f (/srv/x.js:1:2)"
    );
    let clean = "Wrong [key] (Basic [key]), ask [address] or [address] with password=[key], see [path]";
    let body = serde_json::json!({ "message": words }).to_string();
    let plain = words.clone();
    let told = words.clone();
    let upstream = Upstream::start(move |seen, reply| {
        if seen.json()["streaming"] == true {
            reply.stream_head();
            reply.event("token", "a");
            reply.event("error", &told);
            reply.event("end", "[DONE]");
            return reply.finish();
        }
        if seen.json()["question"] == "plain" {
            return reply.raw(format!(
                "HTTP/1.1 500 Oh\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{plain}",
                plain.len()
            ));
        }
        reply.json("500 Internal Server Error", &body);
    });
    let gateway = Gateway::start(&simple(upstream.address));
    for question in [ASK, r#"{"question":"plain"}"#] {
        let response = gateway.predict(question);
        response.assert_refused(500, "upstream_error");
        assert_eq!(response.json()["message"], clean);
    }
    let text = gateway.predict(STREAM).text();
    assert_eq!(text, record("token", "a") + &record("error", clean) + &record("end", "[DONE]"));
    assert_discreet(&gateway.log().join("\n"), &[KEY, "hunter2"]);
}

#[test]
fn what_is_put_into_a_flow_as_a_secret_is_one() {
    let upstream = Upstream::start(|seen, reply| {
        let body = seen.json();
        let message = format!("cannot use {}", body["overrideConfig"]["vars"]);
        reply.json("500 Internal Server Error", &serde_json::json!({ "message": message }).to_string());
    });
    let config = config(upstream.address, "", "", ", vars: { crmToken: tea kettle, place: Bern }", "");
    let gateway = Gateway::start_with(&config, &keys(", vars: { erpToken: blue teapot }"), |_| {});
    let response = gateway.predict(ASK);
    response.assert_refused(500, "upstream_error");
    let told = response.text();
    assert!(told.contains("Bern"), "{told}");
    assert_discreet(&told, &["tea kettle", "blue teapot"]);
}

#[test]
fn a_field_of_an_answers_head_that_repeats_the_key_does_not_come_back() {
    let upstream = Upstream::start(|seen, reply| {
        let head = if seen.json()["streaming"] == true { "text/event-stream" } else { "application/json" };
        let body = if head == "application/json" { ANSWER.to_owned() } else { record("end", "[DONE]") };
        reply.raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {head}\r\nX-Kept: up\r\nX-Echo: Bearer {KEY}\r\nX-Echo: more\r\n\
             X-Basic: Basic {IN_BASE64}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    });
    for chatflow in ["", ", body: passthrough"] {
        let gateway = Gateway::start(&config(upstream.address, "", "", chatflow, ""));
        for question in [ASK, STREAM] {
            let response = gateway.predict(question);
            assert_eq!((response.status, response.header("x-kept")), (200, Some("up")));
            assert_eq!((response.header("x-echo"), response.header("x-basic")), (None, None));
        }
    }
}

/// A tool and a step that failed within an answer that is a success, as Flowise tells them.
fn failed_inside(words: &str) -> serde_json::Value {
    let tools = serde_json::json!([
        { "tool": "orders", "toolInput": { "id": 66 }, "toolOutput": "", "error": words },
        { "tool": "mail", "toolInput": {}, "toolOutput": format!("Error listing messages: {words}") },
        { "tool": "search", "toolInput": {}, "toolOutput": "see http://10.1.2.3:5432/ or /srv/flowise/.env" },
    ]);
    let steps = serde_json::json!([
        { "nodeId": "agent_0", "data": { "name": "agentAgentflow", "output": { "usedTools": tools } }, "status": "FINISHED" },
        { "nodeId": "http_0", "data": { "name": "httpAgentflow", "error": words }, "status": "ERROR" },
    ]);
    let reasoning = serde_json::json!([{ "agentName": "A", "messages": [], "usedTools": tools }]);
    serde_json::json!({
        "text": "It did not work.", "usedTools": tools, "agentFlowExecutedData": steps, "agentReasoning": reasoning,
    })
}

#[test]
fn what_tools_and_steps_failed_of_is_told_as_errors_are() {
    let words = format!("Wrong {KEY} of db.internal, see /srv/flowise/.env\n    at f (/srv/x.js:1:2)");
    let (told, clean) = (failed_inside(&words), failed_inside("Wrong [key] of [address], see [path]"));
    let whole = told.to_string();
    let upstream = Upstream::start(move |seen, reply| {
        if seen.json()["streaming"] != true {
            if seen.json()["question"] != "in pieces" {
                return reply.json("200 OK", &whole);
            }
            let length = whole.len();
            reply.raw(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"));
            return whole.as_bytes().chunks(40).for_each(|piece| reply.raw(piece));
        }
        reply.stream_head();
        for name in ["usedTools", "agentFlowExecutedData", "agentReasoning"] {
            let text = format!("message:\ndata:{}\n\n", serde_json::json!({ "event": name, "data": told[name] }));
            text.as_bytes().chunks(60).for_each(|piece| reply.chunk(std::str::from_utf8(piece).expect("ASCII")));
        }
        reply.event("token", "http://10.1.2.3:5432/ is up");
        reply.event("end", "[DONE]");
        reply.finish();
    });
    for settings in ["", ", isolate_sessions: true", ", events: [usedTools, agentFlowExecutedData, agentReasoning]"] {
        let gateway = Gateway::start(&config(upstream.address, "", "", settings, ""));
        for question in [ASK, r#"{"question":"in pieces"}"#] {
            let answer = gateway.predict(question);
            let mut shown = clean.clone();
            if settings.contains("events") {
                shown.as_object_mut().expect("an object").retain(|name, _| settings.contains(name) || name == "text");
            }
            assert_eq!(answer.json(), shown, "{settings}");
        }
        let text = gateway.predict(STREAM).text();
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data:")?).ok();
        let events: Vec<_> = text.lines().filter_map(read).collect();
        for name in ["usedTools", "agentFlowExecutedData", "agentReasoning"] {
            let event = events.iter().find(|event| event["event"] == name).expect(name);
            assert_eq!(event["data"], clean[name], "{settings}");
        }
        assert_discreet(&text, &[KEY, "db.internal"]);
    }
}
