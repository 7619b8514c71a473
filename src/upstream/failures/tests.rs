use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::predict::events::record;

const WORDS: &str = "connect ECONNREFUSED 10.1.2.3:5432\n    at f (/srv/x.js:1:2)";
const CLEAN: &str = "connect ECONNREFUSED [address]";

/// What goes on of it in pieces of that size; it takes as many bytes.
fn scrubbed(text: &str, is_stream: bool, size: usize) -> String {
    let redactor = Arc::new(Redactor::default());
    let mut scrubber =
        if is_stream { FailureScrubber::of_stream(redactor) } else { FailureScrubber::of_answer(redactor) };
    let mut shown = Vec::new();
    for piece in text.as_bytes().chunks(size) {
        shown.extend_from_slice(&scrubber.take(Bytes::copy_from_slice(piece)));
    }
    shown.extend_from_slice(&scrubber.end());
    assert_eq!(shown.len(), text.len());
    String::from_utf8(shown).unwrap()
}

fn in_pieces(text: &str, is_stream: bool) -> String {
    let whole = scrubbed(text, is_stream, text.len().max(1));
    for size in [1, 2, 3, 7, 50, 1000] {
        assert_eq!(scrubbed(text, is_stream, size), whole, "in pieces of {size}");
    }
    whole
}

/// With failures in all places that Flowise has for them, told in these words.
fn answer(words: &str) -> Value {
    let tools = json!([
        { "tool": "a", "toolInput": { "error": "10.1.2.3:1" }, "toolOutput": "see http://example.com/x", "error": words },
        { "tool": "b", "toolInput": "x", "toolOutput": format!("Error listing events: {words}") },
        { "tool": "c", "toolInput": "x", "toolOutput": format!("AxiosError: {words}") },
    ]);
    json!({
        "text": "ask \"10.1.2.3:1\" \\",
        "usedTools": tools,
        "json": { "error": "see http://example.com/x" },
        "agentReasoning": [{ "agentName": "A", "messages": ["http://example.com/x"], "usedTools": [tools], "error": null }],
        "agentFlowExecutedData": [
            { "nodeId": "n", "data": { "name": "httpAgentflow", "output": { "http": { "data": { "error": "http://example.com/x" } } } } },
            { "nodeId": "m", "data": {
                "error": words, "output": { "usedTools": tools },
                "chatHistory": [{ "role": "user", "additional_kwargs": { "usedTools": tools } }],
            } },
            { "nodeId": "o", "data": { "error": { "message": words, "list": [words, 1, true] } } },
        ],
    })
}

#[test]
fn failures_of_tools_and_steps_become_sentences() {
    let told = in_pieces(&answer(WORDS).to_string(), false);
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), answer(CLEAN));
    let redactor = Arc::new(Redactor::default());
    let whole = FailureScrubber::whole(&redactor, answer(WORDS).to_string().into());
    assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap(), answer(CLEAN));
    // What is clean stays as it is, byte for byte, and where there is no failure it is not even copied.
    let clean = answer(CLEAN).to_string();
    assert_eq!(in_pieces(&clean, false), clean);
    let plain = Bytes::from_static(b"{\"text\":\"x\",\"usedTools\":[{\"tool\":\"a\"}]}");
    assert_eq!(FailureScrubber::whole(&redactor, plain.clone()).as_ptr(), plain.as_ptr());
}

#[test]
fn of_a_stream_the_same() {
    let whole = answer(WORDS);
    let step = |words: &str| json!({ "nodeId": "n", "status": "ERROR", "error": words });
    let stream = |words: &str| {
        let whole = answer(words);
        let telling = ["usedTools", "agentReasoning", "agentFlowExecutedData"];
        let told: String = telling.iter().map(|name| record(name, &whole[*name])).collect();
        told + ":heartbeat\n\n" + &record("nextAgentFlow", &step(words)) + &record("agent_trace", &step(words))
    };
    let passing = record("token", &whole["text"])
        + &record("usedTools", &json!("no list"))
        + &record("sourceDocuments", &whole["usedTools"])
        + "event: x\ndata: {\"error\":\"10.1.2.3:1\"}\n\ndata:{\"event\":\"usedTools\",\"data\":[{\"a\n\n"
        + &record("error", &"10.1.2.3:1".into());
    assert_eq!(in_pieces(&passing, true), passing);
    let told = in_pieces(&(passing.clone() + &stream(WORDS) + &passing), true);
    let told = told.strip_prefix(&*passing).and_then(|rest| rest.strip_suffix(&*passing)).unwrap();
    let read = |text: &str| -> Vec<Value> {
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok()).collect()
    };
    assert_eq!(read(told), read(&stream(CLEAN)));
    assert_eq!(read(told).len(), 5);
}

#[test]
fn words_that_cannot_be_read_or_end_too_late_are_not_told() {
    let torn = r#"{"usedTools":[{"error":"half \ud83d at 10.1.2.3:1"},{"error":"\x 10.1.2.3:1"},{"error":"10.1.2"#;
    let told = in_pieces(torn, false);
    assert!(told.starts_with(r#"{"usedTools":[{"error":"half "#) && !told.contains("10.1.2"), "{told}");
    let long =
        json!({ "usedTools": [{ "error": "10.1.2.3:1 ".repeat(10_000) }, { "toolOutput": "word ".repeat(10_000) }] });
    let told = scrubbed(&long.to_string(), false, 1000);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told, json!({ "usedTools": [{ "error": "The chatflow failed." }, long["usedTools"][1]] }));
}

#[test]
fn what_is_torn_in_a_stream_ends_with_its_line() {
    let torn = "data:{\"event\":\"usedTools\",\"data\":[{\"error\":\"at 10.1.2.3:1\n\n";
    let told = in_pieces(&(torn.to_owned() + &record("usedTools", &json!([{ "error": WORDS }]))), true);
    assert!(!told.contains("10.1.2.3"), "{told}");
    assert_eq!(told.matches("\n\n").count(), 2);
}

#[test]
fn deep_values_take_no_room() {
    let deep = format!("{{\"usedTools\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(scrubbed(&deep, false, 5000), deep);
}

#[test]
fn a_sentence_takes_the_room_that_there_is() {
    let sentence = Sentence::own("größer \"€\"");
    for room in 2..30 {
        let json = fitted(&sentence, room);
        assert_eq!(json.len(), room);
        let text: String = serde_json::from_slice(&json).unwrap();
        assert!(sentence.as_str().starts_with(&text));
        assert_eq!(text == sentence.as_str(), room >= 18, "{room}");
    }
}

#[test]
fn what_a_tool_honestly_gives_is_no_failure() {
    for given in [
        "Error: x",
        "TypeError: x",
        "openai.BadRequestError: x",
        "Failed to fetch: x",
        "Error creating event: x",
        "Traceback (most recent call last):",
    ] {
        assert!(is_failure(given), "{given}");
    }
    for given in ["", "Errors: 0", "There is no Error: x", "Error handling is an art", "Failed to", "{\"error\":\"x\"}"]
    {
        assert!(!is_failure(given), "{given}");
    }
}
