//! What clients see of recorded agentflows: real Flowise tells everybody its system prompts, models, addresses and ids
//! of credentials.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config};
use crate::harness::predictions::{PLENTY, PREDICT};
use crate::harness::upstream::{Upstream, record};
use crate::transcripts::{Exchange, exchanges};

const PAGE: &str = "https://app.example.com";
const PUBLIC: &str = ", access: public, isolate_sessions: true, allowed_origins: [\"https://app.example.com\"]";
/// What the client calls its chat: in quotes, so that putting it back is more than copying.
const CHAT: &str = "my \"chat\" ü";

/// What no visitor shall read, of all these recordings: names of fields that hold it, and the values themselves.
const SECRETS: [&str; 17] = [
    "credential",
    "FLOWISE_CREDENTIAL_ID",
    "4e1eafd2-94bd-4f0b-a6ad-5a5a474f1a24",
    "basepath",
    "127.0.0.1:13999",
    "\"system\"",
    "Use tools.",
    "Plan: ",
    "ModelConfig",
    "stub-model",
    "chatHistory",
    "messages",
    "usage",
    "executionId",
    "\"state\"",
    "\"input\":{",
    "\"output\":{",
];
/// What the widget shows.
const SHOWN: [&str; 9] = [
    "start",
    "token",
    "agentFlowEvent",
    "nextAgentFlow",
    "agentFlowExecutedData",
    "usedTools",
    "metadata",
    "error",
    "end",
];
/// Of a JSON answer.
const FIELDS: [&str; 6] = ["text", "question", "form", "chatId", "chatMessageId", "sessionId"];

/// All recorded agentflows that answered.
fn agentflows() -> Vec<Exchange> {
    let mut found = exchanges();
    let says = |exchange: &Exchange| memchr::memmem::find(&exchange.response.body, b"agentFlowExecutedData").is_some();
    found.retain(|exchange| exchange.response.status() == 200 && says(exchange));
    let streams = found.iter().filter(|exchange| exchange.response.is_stream()).count();
    assert!(streams >= 6 && found.len() - streams >= 6, "{streams} of {}", found.len());
    found
}

/// The recorded answer as if to the chat that the gateway names.
fn answer(exchange: &Exchange, chat: &str) -> String {
    let text = String::from_utf8(exchange.response.body.clone()).expect("text");
    let quoted = format!("\"{chat}\"");
    recorded_chats(&text).iter().fold(text, |text, recorded| text.replace(&format!("\"{recorded}\""), &quoted))
}

fn recorded_chats(text: &str) -> Vec<String> {
    let after = |name: &str| {
        let start = format!("\"{name}\":\"");
        text.match_indices(&start)
            .filter_map(|(at, _)| Some(text[at + start.len()..].split_once('"')?.0.to_owned()))
            .collect::<Vec<_>>()
    };
    [after("chatId"), after("sessionId")].concat()
}

/// Answers with the recording that `x-replay` names, record by record.
fn replaying(recorded: &Arc<Vec<Exchange>>) -> Upstream {
    let recorded = Arc::clone(recorded);
    Upstream::start(move |seen, reply| {
        let index: usize = seen.header("x-replay").and_then(|index| index.parse().ok()).expect("an index");
        let asked = seen.json();
        let text = answer(&recorded[index], asked["chatId"].as_str().expect("an id"));
        if !recorded[index].response.is_stream() {
            return reply.json("200 OK", &text);
        }
        reply.stream_head();
        text.split_inclusive("\n\n").for_each(|piece| reply.chunk(piece));
        reply.finish();
    })
}

fn ask(gateway: &Gateway, recorded: &[Exchange], index: usize) -> Response {
    let request = recorded[index].request.json().expect("a JSON request");
    let mut body = json!({"chatId": CHAT, "streaming": recorded[index].response.is_stream()});
    for field in ["question", "form"] {
        if let Some(value) = request.get(field) {
            body[field] = value.clone();
        }
    }
    if body.get("question").or(body.get("form")).is_none() {
        body["question"] = "hi".into();
    }
    let replay = index.to_string();
    let response = client::post(gateway.http, PREDICT, &[("origin", PAGE), ("x-replay", &replay)], &body.to_string());
    assert_eq!(response.status, 200, "{}: {}", recorded[index].name, response.text());
    response
}

/// Events with their data.
fn events(text: &str) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    for record in text.split_terminator("\n\n").map(|record| record.trim_start_matches('\n')) {
        let data = record.strip_prefix("message:\ndata:").unwrap_or_else(|| panic!("no record: {record:?}"));
        let mut event: Value = serde_json::from_str(data).unwrap_or_else(|_| panic!("no event: {data}"));
        events.push((event["event"].as_str().expect("a name").to_owned(), event["data"].take()));
    }
    events
}

fn only(value: &Value, names: &[&str]) -> Value {
    let fields = value.as_object().expect("an object");
    let kept = fields.iter().filter(|(name, _)| names.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

/// Which steps there were.
fn outline(steps: &Value) -> Value {
    let steps = steps.as_array().expect("a list").iter().map(|step| {
        let mut shown = only(step, &["nodeId", "nodeLabel", "previousNodeIds", "status"]);
        shown["data"] = only(&step["data"], &["id", "name", "parentNodeId", "iterationIndex"]);
        shown
    });
    Value::Array(steps.collect())
}

#[track_caller]
fn assert_tells_nothing(what: &str, text: &str, secrets: &[&str]) {
    // What the visitor has asked, and the answer to it, is no secret.
    for secret in secrets {
        assert!(!text.contains(secret), "{what}: {secret} in {text}");
    }
}

/// What the widget sees of these events, by what is said of it and not by the gateway's code.
fn as_the_widget_sees(recorded: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let shown = recorded.into_iter().filter(|(name, _)| SHOWN.contains(&name.as_str()));
    let seen = shown.map(|(name, data)| {
        let data = match &*name {
            "agentFlowExecutedData" => outline(&data),
            "nextAgentFlow" => only(&data, &["nodeId", "nodeLabel", "status"]),
            "metadata" => only(&data, &FIELDS),
            _ => data,
        };
        (name, data)
    });
    seen.collect()
}

#[test]
fn the_widget_sees_the_steps_of_an_agentflow_and_nothing_in_them() {
    // The last is what a public chatflow does if nothing is said.
    for events_field in [", events: widget", ""] {
        let recorded = Arc::new(agentflows());
        let upstream = replaying(&recorded);
        let chatflow = format!("{PUBLIC}{events_field}");
        let gateway = Gateway::start(&config(upstream.address, "", ", pass_headers: [x-replay]", &chatflow, PLENTY));
        for (index, exchange) in recorded.iter().enumerate() {
            let text = ask(&gateway, &recorded, index).text();
            let ours = upstream.seen().pop().expect("a request").json()["chatId"].as_str().expect("an id").to_owned();
            assert_tells_nothing(&exchange.name, &text, &SECRETS);
            assert_tells_nothing(&exchange.name, &text, &[&ours]);
            let told = answer(exchange, "CHAT").replace("\"CHAT\"", &json!(CHAT).to_string());
            if exchange.response.is_stream() {
                assert_eq!(events(&text), as_the_widget_sees(events(&told)), "{}", exchange.name);
                assert!(text.ends_with(&record("end", "[DONE]")), "{}", exchange.name);
            } else {
                let told: Value = serde_json::from_str(&told).expect("JSON");
                let mut expected = only(&told, &FIELDS);
                expected["agentFlowExecutedData"] = outline(&told["agentFlowExecutedData"]);
                assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), expected, "{}", exchange.name);
            }
        }
    }
}

#[test]
fn of_a_list_of_events_only_those_are_left_byte_for_byte() {
    let recorded = Arc::new(agentflows());
    let upstream = replaying(&recorded);
    for (listed, names) in [
        ("[token]", &["token", "error", "end"][..]),
        ("[]", &["error", "end"]),
        ("[token, usedTools, agentFlowEvent]", &["token", "usedTools", "agentFlowEvent", "error", "end"]),
    ] {
        let chatflow = format!("{PUBLIC}, events: {listed}");
        let gateway = Gateway::start(&config(upstream.address, "", ", pass_headers: [x-replay]", &chatflow, PLENTY));
        for (index, exchange) in recorded.iter().enumerate() {
            let text = ask(&gateway, &recorded, index).text();
            assert_tells_nothing(&exchange.name, &text, &SECRETS);
            assert_tells_nothing(&exchange.name, &text, &["nodeId", "Agentflow_0", "chatMessageId\":null"]);
            let told = answer(exchange, "CHAT").replace("\"CHAT\"", &json!(CHAT).to_string());
            if exchange.response.is_stream() {
                let records = told.split_inclusive("\n\n").filter(|record| {
                    names.iter().any(|name| record.contains(&format!("data:{{\"event\":\"{name}\",")))
                });
                let expected: String = records.map(|record| record.trim_start_matches('\n')).collect();
                assert_eq!(text, expected, "{listed}, {}", exchange.name);
            } else {
                let told: Value = serde_json::from_str(&told).expect("JSON");
                let expected = only(&told, &[&FIELDS[..], names].concat());
                assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), expected, "{}", exchange.name);
            }
        }
    }
}

#[test]
fn what_made_a_step_fail_is_told_by_the_error_alone_and_cleaned() {
    let cause = "Error in LLM node: connect ECONNREFUSED 10.1.2.3:11434 with sk-abcdefghijklmnop";
    let failed = json!({"nodeId": "llm_0", "nodeLabel": "LLM", "status": "ERROR", "error": cause});
    let step =
        json!([{"nodeId": "llm_0", "nodeLabel": "LLM", "status": "ERROR", "data": {"id": "llm_0", "error": cause}}]);
    let upstream = Upstream::start(move |_, reply| {
        reply.stream_head();
        for (name, data) in [("nextAgentFlow", &failed), ("agentFlowExecutedData", &step), ("error", &cause.into())] {
            reply.chunk(format!("message:\ndata:{{\"event\":\"{name}\",\"data\":{data}}}\n\n"));
        }
        reply.event("end", "[DONE]");
        reply.finish();
    });
    let gateway = Gateway::start(&config(upstream.address, "", ", pass_headers: [x-replay]", PUBLIC, PLENTY));
    let body = r#"{"question":"hi","streaming":true}"#;
    let text = client::post(gateway.http, PREDICT, &[("origin", PAGE)], body).text();
    assert_tells_nothing("a failed step", &text, &["10.1.2.3", "sk-abc"]);
    let expected = [
        ("nextAgentFlow", json!({"nodeId": "llm_0", "nodeLabel": "LLM", "status": "ERROR"})),
        (
            "agentFlowExecutedData",
            json!([{"nodeId": "llm_0", "nodeLabel": "LLM", "status": "ERROR", "data": {"id": "llm_0"}}]),
        ),
        ("error", json!("Error in LLM node: connect ECONNREFUSED [address] with [key]")),
        ("end", json!("[DONE]")),
    ];
    assert_eq!(events(&text), expected.map(|(name, data)| (name.to_owned(), data)));
}
