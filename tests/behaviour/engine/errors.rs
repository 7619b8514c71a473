//! What a client reads when a model does not answer.

use serde_json::json;

use super::{ASK, END, STREAM, WIDE, begin, events, running, stream, with};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model::{self, MODEL_KEY};
use crate::harness::ports::nowhere;
use crate::harness::upstream::{Upstream, record};
use crate::harness::{KEY, client};

const PREFIX: &str = "Error: predictionsServices.buildChatflow - ";

/// What must not leave: the model's key and its address.
fn assert_discreet(text: &str, model: &Upstream) {
    for secret in [MODEL_KEY, &model.address.to_string(), "127.0.0.1", "sk-"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn a_providers_refusal_has_flowises_shape_and_no_secret() {
    for (status, code) in [("401 Unauthorized", 401), ("400 Bad Request", 400), ("429 Too Many Requests", 429)] {
        let model = model::refusing(status, &format!("Wrong key {MODEL_KEY} at http://127.0.0.1:1/v1 for you."));
        let config = model::config("", "", &format!("{WIDE}\nlog: {{ level: debug }}"));
        let gateway = Gateway::start_with(&config, &keys(""), |dir| {
            model::write(dir, "support", &model::export("llm-chain", model.address));
        });
        let response = gateway.predict(ASK);
        response.assert_refused(500, "upstream_error");
        let expected = format!("{PREFIX}{code} Wrong key [key] at [address] for you.");
        assert_eq!(response.json()["message"], expected);
        let told = stream(&gateway, STREAM);
        assert_eq!(told, record("error", &expected) + END);
        assert_discreet(&(told + &response.text()), &model);
        let failed = r#"flowgate_engine_model_errors_total{chatflow="support",kind="provider",model="stub-model"}"#;
        gateway.wait_metric(failed, 2.0);
        gateway.wait_metric(r#"flowgate_streams_ended_total{reason="error_event"}"#, 1.0);
        // Once each: a provider that refuses is not asked again.
        assert_eq!(model.seen().len(), 2);
        gateway.log_line(|line| line["message"] == "model call failed" && line["model"] == "stub-model");
        assert!(!gateway.log().join("\n").contains(MODEL_KEY));
        assert!(!gateway.metrics().contains(MODEL_KEY));
    }
}

#[test]
fn what_stands_behind_a_failure_is_found_by_the_requests_id() {
    let nowhere = nowhere();
    let gateway = Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| {
        model::write(dir, "support", &model::export("llm-chain", nowhere));
    });
    for (id, body) in [("behind-whole", ASK), ("behind-stream", STREAM)] {
        let mut asked = begin(&gateway, &[("x-api-key", KEY), ("x-request-id", id)], body);
        let head = asked.read_head().unwrap();
        assert_eq!(head.header("x-request-id"), Some(id));
        for message in ["model call failed", "upstream not reachable"] {
            let line = gateway.log_line(|line| line["message"] == message && line["request_id"] == id);
            assert_eq!(line["level"], "WARN");
        }
    }
}

#[test]
fn a_value_that_a_node_cannot_take_is_the_callers_mistake() {
    let model = model::saying("fine");
    let gateway = with(&model, "llm-chain", "", ", override_config: [temperature]");
    for streaming in [false, true] {
        let body = json!({ "question": "hi", "streaming": streaming, "overrideConfig": { "temperature": "warm" } });
        let response = gateway.predict(&body.to_string());
        response.assert_refused(400, "invalid_request");
        assert_eq!(response.json()["message"], "The field overrideConfig.temperature: expected a number.");
    }
    gateway.wait_metric(r#"flowgate_rejected_total{rule="override_type"}"#, 2.0);
    assert_eq!(model.seen().len(), 0);
}

#[test]
fn a_provider_that_is_not_there_or_breaks_off_is_an_error() {
    let model = Upstream::raw(|_, stream| drop(stream));
    let gateway = running(&model, "llm-chain");
    let response = gateway.predict(ASK);
    assert_eq!((response.status, &response.json()["message"]), (500, &format!("{PREFIX}Connection error.").into()));
    assert_discreet(&response.text(), &model);

    let model = Upstream::start(|_, reply| {
        reply.stream_head();
        model::token(reply, "half");
        reply.cut();
    });
    let gateway = running(&model, "llm-chain");
    let told = stream(&gateway, STREAM);
    assert_eq!(events(&told), ["start", "token", "error", "end"]);
    assert_discreet(&told, &model);

    let model = Upstream::start(|_, reply| reply.json("200 OK", "<html>"));
    let gateway = running(&model, "llm-chain");
    assert_eq!(events(&stream(&gateway, STREAM)).last().map(String::as_str), Some("end"));
}

#[test]
fn on_a_public_chatflow_the_widget_can_show_it() {
    let model = model::refusing("500 Internal Server Error", "overloaded");
    let page = "https://app.example.com";
    let gateway = with(&model, "llm-chain", "", &format!(", access: public, allowed_origins: ['{page}']"));
    let headers = [("origin", page), ("accept", "text/event-stream")];
    let mut stream = begin(&gateway, &headers, STREAM);
    assert_eq!(stream.read_head().unwrap().status, 200);
    assert_eq!(stream.read_rest(), record("error", &format!("{PREFIX}500 overloaded")) + END);
    // Even if the flow does not stream.
    let path = "/api/v1/prediction/support";
    let body = STREAM.replace(",\"streaming\":true", "");
    let whole = client::post(gateway.http, path, &headers, &body);
    assert_eq!(whole.status, 200);
    assert!(whole.text().contains("500 overloaded"), "{}", whole.text());
    assert_discreet(&whole.text(), &model);
}

#[test]
fn a_success_that_is_no_models_answer_is_told_as_that() {
    let page = "<!doctype html>\n<title>Sign in</title>\n";
    let (page_told, empty) = ("The provider answered with a web page: ", "The provider's answer is empty: ");
    let unreadable = "The provider's answer cannot be read: is its base path right?";
    for (answer, whole, streamed) in [
        (page.as_bytes(), page_told, page_told),
        (b"", empty, empty),
        (b"null", unreadable, unreadable),
        (br#"{"choices":[]}"#, "The provider's answer holds no message.", unreadable),
        (b"\x1f\x8b\x08\0\0\0", "The provider's answer is compressed", "The provider's answer is compressed"),
    ] {
        let model = Upstream::start(move |_, reply| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
            reply.raw([head.as_bytes(), answer].concat());
        });
        let gateway = running(&model, "llm-chain");
        let told = gateway.predict(ASK).json()["message"].as_str().unwrap().to_owned();
        assert!([whole, streamed].iter().any(|words| told.contains(words)), "{whole} in {told}");
        let told = stream(&gateway, STREAM);
        assert!(told.contains(streamed), "{streamed} in {told}");
        assert_discreet(&told, &model);
    }
}

#[test]
fn a_stream_of_which_nothing_is_read_has_an_end_too() {
    let model = Upstream::start(|_, reply| {
        reply.stream_head();
        reply.pour(&format!(": {}\n\n", "x".repeat(4000)));
    });
    let gateway = running(&model, "llm-chain");
    let told = stream(&gateway, STREAM);
    assert!(told.contains("The provider's answer is too long."), "{told}");
    assert_eq!(events(&told).last().map(String::as_str), Some("end"));
}
