//! What clients see of answers: their own ids, the events that their chatflow shows, and one stream for each chat.

use crate::harness::client::{self, Connection, request};
use crate::harness::gateway::{Gateway, config};
use crate::harness::predictions::{PLAN, PREDICT};
use crate::harness::upstream::{Gate, Upstream, record};
use crate::harness::{KEY, sha256};

const QUESTION: &str = r#"{"question":"hi","streaming":true,"chatId":"chat one"}"#;
const END: &str = "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n";

fn gateway(upstream: &Upstream, chatflow: &str) -> Gateway {
    let keys = format!("keys:\n  - {{ id: app, sha256: {} }}\n", sha256(KEY));
    Gateway::start_with(&config(upstream.address, "", "", chatflow, PLAN), &keys, |_| {})
}

/// Answers with a stream whose events carry what a system prompt would be, and the chat's id.
fn telling() -> Upstream {
    Upstream::start(|seen, reply| {
        let chat = seen.json()["chatId"].as_str().expect("an id").to_owned();
        if seen.json()["streaming"] == true {
            reply.stream_head();
            for text in [
                record("agentFlowExecutedData", "system prompt"),
                record("token", "hello"),
                format!(
                    "message:\ndata:{{\"event\":\"metadata\",\"data\":{{\"chatId\":\"{chat}\",\"chatMessageId\":\"m\"}}}}\n\n"
                ),
                END.to_owned(),
            ] {
                reply.chunk(text);
            }
            reply.finish();
        } else {
            reply.json(
                "200 OK",
                &format!(r#"{{"text":"hello","chatId":"{chat}","agentFlowExecutedData":["system prompt"]}}"#),
            );
        }
    })
}

fn ask(gateway: &Gateway, body: &str) -> String {
    let response = client::post(gateway.http, PREDICT, &[("x-api-key", KEY)], body);
    assert_eq!(response.status, 200);
    response.text().to_owned()
}

#[test]
fn clients_get_their_own_ids_back() {
    let upstream = telling();
    let gateway = gateway(&upstream, "");
    for body in [QUESTION, r#"{"question":"hi","chatId":"chat one"}"#] {
        let text = ask(&gateway, body);
        assert!(text.contains(r#""chatId":"chat one""#), "{text}");
        let theirs = upstream.wait_seen(1).pop().expect("a request").json()["chatId"].to_string();
        assert!(theirs.len() == 38 && !text.contains(&theirs), "{text}");
    }
}

#[test]
fn what_is_not_listed_does_not_leave() {
    let upstream = telling();
    let gateway = gateway(&upstream, ", events: [token, metadata]");
    let metadata =
        "message:\ndata:{\"event\":\"metadata\",\"data\":{\"chatId\":\"chat one\",\"chatMessageId\":\"m\"}}\n\n";
    assert_eq!(ask(&gateway, QUESTION), record("token", "hello") + metadata + END);
    let json = ask(&gateway, r#"{"question":"hi","chatId":"chat one"}"#);
    assert_eq!(json, r#"{"text":"hello","chatId":"chat one"}"#);
}

#[test]
fn answers_take_the_shape_of_a_message() {
    let upstream = telling();
    let gateway = gateway(&upstream, ", response: message");
    assert_eq!(
        ask(&gateway, QUESTION),
        "event: delta\ndata: {\"content\":\"hello\"}\n\nevent: message\n\
         data: {\"id\":\"m\",\"role\":\"assistant\",\"content\":\"hello\",\"sources\":[]}\n\n"
    );
    let json = ask(&gateway, r#"{"question":"hi","chatId":"chat one"}"#);
    assert_eq!(json, r#"{"id":"","role":"assistant","content":"hello","sources":[]}"#);
}

#[test]
fn a_chat_has_one_stream_at_a_time() {
    let (open, gate) = Gate::new();
    let upstream = Upstream::start(move |seen, reply| {
        if seen.method != "POST" {
            return reply.json("200 OK", "{}");
        }
        reply.stream_head();
        reply.event("token", "a");
        gate.pass();
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = gateway(&upstream, "");
    let mut first = gateway.begin(QUESTION);
    assert_eq!(first.read_head().expect("a head").status, 200);
    let mut second = Connection::open(gateway.http);
    second.write(request("POST", PREDICT, &[("x-api-key", KEY)], QUESTION));
    let refused = second.read_response().expect("an answer");
    assert_eq!((refused.status, &refused.json()["code"]), (409, &"chat_busy".into()));
    gateway.wait_metric("flowgate_rejected_total{rule=\"chat_busy\"}", 1.0);
    open.send(()).expect("the upstream waits");
    while first.read_chunk().expect("a chunk").is_some() {}
    gateway.wait_metric("flowgate_streams_open", 0.0);
    open.send(()).expect("the upstream lives");
    assert_eq!(ask(&gateway, QUESTION), record("token", "a") + END);
}
