//! Half an emoji, which JavaScript's `slice` and splitters of texts leave: whoever sends it, nothing is lost for it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::KEY;
use crate::harness::client::{self, Response, request};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::model;
use crate::harness::predictions::{PLAN, PLENTY, PREDICT, QUESTION, fields, send_raw, with_chatflow};
use crate::harness::upstream::Upstream;

/// As `JSON.stringify` writes it.
const HALF: &str = r"\ud83d";
const END: &str = "message:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n";

fn record(name: &str, json: &str) -> String {
    format!("message:\ndata:{{\"event\":\"{name}\",\"data\":{json}}}\n\n")
}

/// Answers every prediction with this text of JSON or of a stream.
fn saying(status: &'static str, json: String, stream: String) -> Upstream {
    Upstream::start(move |seen, reply| {
        if seen.json()["streaming"] == true {
            reply.stream_head();
            reply.chunk(&stream);
            reply.finish();
        } else {
            reply.json(status, &json);
        }
    })
}

fn streamed(gateway: &Gateway) -> Response {
    gateway.predict(r#"{"question":"hi","streaming":true}"#)
}

#[test]
fn a_request_with_half_an_emoji_goes_on() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", override_config: [vars]");
    let body = r#"{"question":"a\ud83d","variables":{"x":"\ude00b"},"form":{"c\uD83D":"\\ud83d \ud83d\ude00"}}"#;
    let expected = json!({"question": "a\u{fffd}", "overrideConfig": {"vars": {"x": "\u{fffd}b"}},
                          "form": {"c\u{fffd}": "\\ud83d 😀"}});
    assert_eq!(fields(&gateway, &upstream, body), expected);
    // Behind a byte order mark, and as bytes.
    assert_eq!(fields(&gateway, &upstream, "\u{feff}{\"question\":\"hi\"}"), json!({"question": "hi"}));
    let body = b"{\"question\":\"a\xed\xa0\xbd\"}";
    let length = body.len().to_string();
    let headers = [("x-api-key", KEY), ("content-type", "application/json"), ("content-length", &*length)];
    let answer = send_raw(&gateway, [&*request("POST", PREDICT, &headers, ""), body].concat());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.seen().pop().unwrap().json()["question"], "a\u{fffd}");
}

#[test]
fn answers_with_half_an_emoji_and_deep_values_reach_the_client() {
    let deep = format!("{}1{}", "[".repeat(2000), "]".repeat(2000));
    let json = format!(
        r#"{{"text":"a{HALF}","chatMessageId":"m","sourceDocuments":[{{"metadata":{{"title":"t{HALF}","pdf":{deep}}}}}],"usedTools":[1e999]}}"#
    );
    let stream = record("token", &format!("\"a{HALF}\""))
        + &record("sourceDocuments", &format!(r#"[{{"metadata":{{"title":"t{HALF}","pdf":{deep}}}}}]"#))
        + &record("metadata", &format!(r#"{{"chatMessageId":"m","question":"{HALF}"}}"#))
        + END;
    let upstream = saying("200 OK", json.clone(), stream.clone());
    let message = json!({"id": "m", "role": "assistant", "content": "a\u{fffd}", "sources": [{"title": "t\u{fffd}", "url": null}]});

    let gateway = with_chatflow(upstream.address, ", response: message");
    assert_eq!(gateway.predict(QUESTION).json(), message);
    let told = streamed(&gateway).text();
    assert!(told.contains("data: {\"content\":\"a\u{fffd}\"}"), "{told}");
    let end = told.rsplit("data: ").next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(end).unwrap(), message);

    // Where nothing is written anew, it passes as it came.
    for events in ["", ", events: widget", ", events: [token, metadata, sourceDocuments, usedTools]"] {
        let gateway = with_chatflow(upstream.address, &format!("{events}, isolate_sessions: false"));
        assert_eq!(gateway.predict(QUESTION).text(), json, "{events}");
        assert_eq!(streamed(&gateway).text(), stream, "{events}");
    }
}

#[test]
fn errors_with_half_an_emoji_are_cleaned_as_others_are() {
    let json = format!(
        r#"{{"statusCode":500,"success":false,"message":"Error: {HALF} at http://10.0.0.5/x","stack":"secret"}}"#
    );
    let stream = record("error", &format!(r#""Error: {HALF} at http://10.0.0.5/x""#)) + END;
    let upstream = saying("500 Internal Server Error", json, stream);
    let gateway = with_chatflow(upstream.address, "");
    let answer = gateway.predict(QUESTION);
    assert_eq!((answer.status, &answer.json()["message"]), (500, &"Error: \u{fffd} at [address]".into()));
    let told = streamed(&gateway).text();
    assert!(told.contains("Error: \u{fffd} at [address]") && !told.contains("10.0.0.5"), "{told}");
}

#[test]
fn an_error_that_cannot_be_read_shows_nothing() {
    let upstream =
        saying("500 Internal Server Error", r#"{"message":"x","stack":"at /secret.js""#.to_owned(), String::new());
    let gateway = with_chatflow(upstream.address, "");
    let answer = gateway.predict(QUESTION);
    assert_eq!((answer.status, &answer.json()["message"]), (500, &"The chatflow failed.".into()));
}

#[test]
fn lines_of_a_stream_may_end_as_https_do() {
    let metadata = record("metadata", r#"{"chatMessageId":"m"}"#);
    let plain = String::from(":heartbeat\n\n") + &record("token", "\"hi\"") + &metadata + END;
    let message = ": keep-alive\n\nevent: delta\ndata: {\"content\":\"hi\"}\n\nevent: message\n\
                   data: {\"id\":\"m\",\"role\":\"assistant\",\"content\":\"hi\",\"sources\":[]}\n\n";
    for (chatflow, expected) in [("", &*plain), (", events: widget", &plain), (", response: message", message)] {
        let stream = plain.replace('\n', "\r\n");
        let upstream = Upstream::start(move |_, reply| {
            reply.stream_head();
            // Every byte by itself.
            stream.bytes().for_each(|byte| reply.chunk([byte]));
            reply.finish();
        });
        let gateway = with_chatflow(upstream.address, &format!("{chatflow}, isolate_sessions: false"));
        assert_eq!(streamed(&gateway).text().replace("\r\n", "\n"), expected);
    }
}

#[test]
fn calls_of_the_widget_may_hold_half_an_emoji() {
    let upstream = Upstream::start(|seen, reply| {
        match &*seen.path {
        "/api/v1/leads" => reply.json("200 OK", r#"{"name":"Ann \ud83d","createdDate":"2026"}"#),
        _ => reply.json(
            "200 OK",
            r#"{"starterPrompts":{"0":{"prompt":"a\ud83d"}},"flowData":"{\"nodes\":[{\"data\":{\"name\":\"startAgentflow\",\"inputs\":{\"startInputType\":\"formInput\",\"formTitle\":\"\\ud83d\"}}}]}"}"#,
        ),
    }
    });
    let public = ", access: public, allowed_origins: [\"https://app.example.com\"]";
    let gateway = Gateway::start(&config(upstream.address, "", "", public, PLENTY));
    let headers = [("origin", "https://app.example.com"), ("content-type", "application/json")];
    let lead = r#"{"chatflowid":"support","chatId":"c","name":"Ann \ud83d"}"#;
    let answer = client::send(gateway.http, "POST", "/api/v1/leads", &headers, lead);
    assert_eq!((answer.status, &answer.json()["name"]), (200, &"Ann \u{fffd}".into()), "{}", answer.text());
    assert_eq!(upstream.seen().remove(0).json()["name"], "Ann \u{fffd}");
    let answer = client::send(gateway.http, "GET", "/api/v1/public-chatbotConfig/support", &headers, "").json();
    assert_eq!(answer["starterPrompts"]["0"]["prompt"], "a\u{fffd}");
    assert!(answer["flowData"].as_str().unwrap().contains("\"formTitle\":\"\u{fffd}\""), "{answer}");
}

/// A model that cuts an emoji in two, and says why it could not go on where it is asked for an error.
fn cutting() -> Upstream {
    Upstream::start(|seen, reply| {
        let asked = seen.json();
        if asked["messages"].to_string().contains("fail") {
            return reply.json("400 Bad Request", r#"{"error":{"message":"bad \ud83d"}}"#);
        }
        let choice = |field: &str| {
            format!(
                r#"{{"id":"1","model":"m","choices":[{{"index":0,"{field}":{{"content":"a\ud83d"}},"finish_reason":null}}]}}"#
            )
        };
        if asked["stream"] == true {
            reply.stream_head();
            reply.chunk(format!("data: {}\n\n", choice("delta")));
            model::end(reply, 1, 1);
        } else {
            reply.json("200 OK", &choice("message").replace("null", "\"stop\""));
        }
    })
}

#[test]
fn a_model_that_cuts_an_emoji_in_two_loses_no_word() {
    let model = cutting();
    let gateway = Gateway::start_with(&model::config("", "", PLAN), &keys(""), |dir| {
        model::write(dir, "support", &model::export("llm-chain", model.address));
    });
    assert_eq!(gateway.predict(QUESTION).json()["text"], "a\u{fffd}");
    let told = streamed(&gateway).text();
    assert!(told.contains("\"event\":\"token\",\"data\":\"a\u{fffd}\""), "{told}");
    let failed = gateway.predict(r#"{"question":"fail"}"#).text();
    assert!(failed.contains("bad \u{fffd}"), "{failed}");
    // No model of the engine's hears what is said into a microphone.
    let spoken = r#"{"uploads":[{"type":"audio","name":"a.webm","data":"data:audio/webm;base64,GkXfow=="}]}"#;
    assert!(
        gateway.predict(spoken).assert_refused(400, "invalid_request").text().contains("does not understand speech")
    );
}

#[test]
fn exports_may_hold_half_an_emoji() {
    let node = |id: &str, name: &str, inputs: &str| {
        format!(
            r#"{{"id":"{id}","data":{{"id":"{id}","name":"{name}","label":"{id} \ud83d","inputs":{inputs},"inputParams":[]}}}}"#
        )
    };
    let mut flow = String::from("\u{feff}{\"nodes\":[");
    let reply = node("say", "directReplyAgentflow", r#"{"directReplyMessage":"said \ud83d"}"#);
    let start = node("start", "startAgentflow", r#"{"startInputType":"chatInput"}"#);
    write!(flow, r#"{start},{reply}],"edges":[{{"source":"start","target":"say"}}]}}"#).unwrap();
    let store = json!({
        "DocumentStore": [{ "id": "7f3", "name": "half @@", "loaders": "[]" }],
        "DocumentStoreFileChunk": [{ "id": "1", "docId": "d", "storeId": "7f3", "chunkNo": 1, "pageContent": "text @@",
            "metadata": "{\"title\":\"&&\"}" }],
    });
    let store = store.to_string().replace("@@", HALF).replace("&&", r"\\ud83d");
    let gateway = Gateway::start_with(&model::config("", "", PLAN), &keys(""), |dir| {
        model::write(dir, "support", &flow);
        model::write(dir, "ExportData", &store);
    });
    gateway.log_line(|line| line["message"] == "a document store was loaded" && line["store"] == "half \u{fffd}");
    assert_eq!(gateway.predict(QUESTION).json()["text"], "said \u{fffd}");
    // And so it is taken by a gateway that runs.
    model::write(gateway.dir(), "support", &flow.replace("said", "says"));
    gateway.wait_metric("flowgate_config_reloads_total{file=\"flows\",result=\"accepted\"}", 1.0);
    assert_eq!(gateway.predict(QUESTION).json()["text"], "says \u{fffd}");
}
