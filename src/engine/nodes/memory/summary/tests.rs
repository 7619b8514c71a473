//! Expected: what Flowise 3.1.4's own nodes ask and tell.

use serde_json::{Value, json};

use crate::engine::testing::{Predicted, flow, predictions};

const MODEL: &str = "{{m_0.data.instance}}";

/// A conversation, question by question.
fn conversation(memory: (&str, Value), requests: &[(Value, Vec<Value>)]) -> Vec<Predicted> {
    let chain = json!({ "model": MODEL, "memory": "{{mem_0.data.instance}}", "systemMessagePrompt": "S" });
    let (kind, inputs) = memory;
    let flow = flow(&[("m_0", "testModel", json!({})), ("mem_0", kind, inputs), ("c_0", "conversationChain", chain)]);
    predictions(&flow.unwrap(), requests)
}

fn turn(role: &str, content: &str) -> Value {
    json!({ "role": role, "content": content })
}

#[test]
fn the_surplus_goes_into_a_summary_from_the_beginning() {
    let long = "word ".repeat(30);
    let memory = ("conversationSummaryBufferMemory", json!({ "model": MODEL, "maxTokenLimit": "20 or so" }));
    let requests = [
        (json!({ "question": "one" }), vec!["A".into()]),
        (json!({ "question": long }), vec!["B".into()]),
        (json!({ "question": "three" }), vec!["a summary".into(), "C".into()]),
    ];
    let predicted = conversation(memory, &requests);
    // What has few tokens is told word by word.
    assert_eq!(
        predicted[1].asked,
        [json!([turn("system", "S"), turn("user", "one"), turn("assistant", "A"), turn("user", &long)])]
    );
    let asked = &predicted[2].asked;
    let prompt = asked[0][0]["content"].as_str().unwrap();
    let start = "Progressively summarize the lines of conversation provided, adding onto the previous summary returning a \
                 new summary.\n\nEXAMPLE\nCurrent summary:\nThe human asks what";
    let end = format!(
        "END OF EXAMPLE\n\nCurrent summary:\n\n\nNew lines of conversation:\nHuman: one\nAI: A\nHuman: {long}\n\nNew summary:"
    );
    assert!(prompt.starts_with(start) && prompt.ends_with(&end), "{prompt}");
    let told = json!([turn("system", "S"), turn("system", "a summary"), turn("assistant", "B"), turn("user", "three")]);
    assert_eq!(asked[1], told);
}

#[test]
fn within_one_request_the_summary_goes_on_from_the_last() {
    let own = json!({
        "model": MODEL, "memory": "{{mem_0.data.instance}}", "tools": ["{{t_0.data.instance}}"], "systemMessage": "S",
    });
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("mem_0", "conversationSummaryBufferMemory", json!({ "model": MODEL, "maxTokenLimit": 5 })),
        ("t_0", "calculator", json!({})),
        ("agent_0", "toolAgent", own),
    ]);
    let call = json!([{ "id": "c", "name": "calculator", "arguments": { "input": "1+1" } }]);
    let requests = [
        (json!({ "question": "one two three" }), vec!["A".into()]),
        (json!({ "question": "Q" }), vec!["first".into(), call, "second".into(), "B".into()]),
    ];
    let asked = predictions(&flow.unwrap(), &requests).pop().unwrap().asked;
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[1]["messages"][1], turn("system", "first"));
    let prompt = asked[2][0]["content"].as_str().unwrap();
    let end =
        "Current summary:\nfirst\n\nNew lines of conversation:\nSystem: first\nHuman: one two three\n\nNew summary:";
    assert!(prompt.ends_with(end), "{prompt}");
    assert_eq!(asked[3]["messages"][1], turn("system", "second"));
    assert_eq!(asked[3]["messages"].as_array().unwrap().len(), 6);
}

#[test]
fn of_nothing_there_is_a_summary_of_nothing() {
    let memory = |kind| (kind, json!({ "model": MODEL }));
    let requests = [(json!({ "question": "one" }), vec!["A".into()])];
    let asked = &conversation(memory("conversationSummaryMemory"), &requests)[0].asked;
    assert_eq!(asked, &[json!([turn("system", "S"), turn("system", ""), turn("user", "one")])]);
    let refused = flow(&[("mem_0", "conversationSummaryMemory", json!({}))]);
    assert!(refused.unwrap_err().contains("input model: a chat model is required"));
}
