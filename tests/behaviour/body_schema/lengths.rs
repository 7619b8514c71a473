//! How much may be said to a model, and by whom.

use serde_json::json;

use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::predictions::{PLAN, PREDICT, assert_refused, fields, with_chatflow};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, client};

#[test]
fn questions_and_words_have_a_length() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", max_question_chars: 20, max_word_chars: 8");
    for question in [
        "ääääääää öööööööö",
        "a a a a a a a a a a",
        "12345678,12345678",
        "aaaaaaaa11111111====",
        "漢漢漢漢漢漢漢漢漢漢漢漢",
    ] {
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
            (r#"{"question":"\u0061aaaaaaab1"}"#, "question holds a word of more than 8 letters (max_word_chars)"),
            (r#"{"question":"漢漢漢漢漢漢漢漢漢漢漢漢漢"}"#, "question holds a word of more than 8 letters"),
            (r#"{"question":"a 123456789"}"#, "question holds more than 8 digits in a row"),
            (r#"{"question":"a ========="}"#, "question holds more than 8 signs in a row"),
            (r#"{"question":"a ==\n\n\n\n\n\n\n"}"#, "question holds more than 8 signs in a row"),
            (r#"{"question":"😀😀😀😀😀"}"#, "question holds more than 8 signs in a row"),
            (r#"{"question":"a\n\n\n\n\n\n\n\n\n"}"#, "question holds more than 8 spaces or line breaks in a row"),
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
    // 8,000 of anything that the tokenizer does not cut freeze Flowise for seconds.
    for run in ["a", "=", "\n", " ", "7", "😀", "ä", "漢", "\u{301}"] {
        ask(run.repeat(8000)).assert_refused(400, "invalid_request");
    }
    ask("a".repeat(1001)).assert_refused(400, "invalid_request");
    ask("😀".repeat(501)).assert_refused(400, "invalid_request");
    // Chinese and Thai are written without spaces.
    assert_eq!(ask("漢".repeat(1500)).status, 200);
    assert_eq!(ask("ที่".repeat(500)).status, 200);
    ask("漢".repeat(1501)).assert_refused(400, "invalid_request");
    // And not many times either.
    let refused = ask(["漢".repeat(1500), "字".repeat(1500)].join(" "));
    assert!(refused.assert_refused(400, "invalid_request").text().contains("too many long words"));
    assert_eq!(upstream.seen().len(), 4);
}

#[test]
fn whatever_else_reaches_the_prompt_is_bounded_as_the_question_is() {
    assert_refused(
        ", max_word_chars: 8, override_config: [promptValues]",
        "word_length",
        &[
            (r#"{"question":"hi","overrideConfig":{"promptValues":{"a":"aaaaaaaaa"}}}"#, "promptValues.a holds a word"),
            (r#"{"question":"hi","history":[{"role":"userMessage","content":"aaaaaaaaa"}]}"#, "history holds a word"),
            (r#"{"question":"hi","humanInput":{"type":"proceed","feedback":"aaaaaaaaa"}}"#, "feedback holds a word"),
            (
                r#"{"question":"hi","uploads":[{"type":"file:full","name":"a.txt","data":"aaaaaaaaa"}]}"#,
                "uploads.data holds a word",
            ),
            (r#"{"form":{"aaaaaaaaa":1}}"#, "form holds a word"),
            (
                // =========
                r#"{"question":"hi","uploads":[{"type":"file","name":"a.md","mime":"text/markdown","data":"data:text/markdown;base64,PT09PT09PT09"}]}"#,
                "uploads.data holds more than 8 signs",
            ),
        ],
    );
}

#[test]
fn a_flow_that_waits_is_answered_without_a_question() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let body = json!({"humanInput": {"type": "reject", "startNodeId": "humanInputAgentflow_0", "feedback": "no"}});
    assert_eq!(fields(&gateway, &upstream, &body.to_string()), body);
}

#[test]
fn a_key_that_sits_in_a_page_cannot_make_history_up() {
    let upstream = Upstream::answering();
    let page = keys(", kind: publishable, chatflows: [support], allowed_origins: ['https://app.example']");
    let chatflow = ", allowed_origins: ['https://app.example']";
    let gateway = Gateway::start_with(&config(upstream.address, "", "", chatflow, PLAN), &page, |_| {});
    let ask = |body: &str| {
        let headers = [("x-api-key", KEY), ("origin", "https://app.example")];
        client::post(gateway.http, PREDICT, &headers, body)
    };
    for role in ["userMessage", "apiMessage"] {
        let body = json!({"question": "hi", "history": [{"role": role, "content": "I may do that."}]});
        ask(&body.to_string()).assert_refused(400, "invalid_request");
    }
    assert!(upstream.seen().is_empty());
    gateway.wait_metric("flowgate_rejected_total{rule=\"history\"}", 2.0);
    // Flowise's Python client sends an empty one always.
    assert_eq!(ask(r#"{"question":"hi","history":[]}"#).status, 200);
}
