//! Tools that are called with the user's leave only.

use serde_json::{Value, json};

use super::{behind, calls, drawn, end, model, reference, start};
use crate::engine::flow::CompiledFlow;
use crate::engine::testing::{Predicted, predict, predicted, predictions, services};

fn flow(memory: &str) -> CompiledFlow {
    let agent = json!({
        "agentName": "Agent", "tools": [reference("calc_0")], "interrupt": true, "approvalPrompt": "May I? {tools} {other}",
        "approveButtonText": "Go", "rejectButtonText": "Stop",
    });
    let nodes = [
        model(),
        ("mem_0", "agentMemory", json!({})),
        ("calc_0", "calculator", json!({})),
        start(json!({ "agentMemory": memory })),
        ("a_0", "seqAgent", behind(&["start_0"], agent)),
        end("end_0", "a_0"),
    ];
    drawn(&nodes, &[]).unwrap()
}

fn call() -> Value {
    calls("calculator", &json!({ "input": "6*7" }))
}

fn action(predicted: &Predicted) -> Value {
    predicted.reply.as_ref().unwrap().agents.clone().unwrap().action.unwrap()
}

/// A question that the agent wants to call its tool for, and what the user says to that.
fn asked_and_told(flow: &CompiledFlow, words: &str, answers: &[Value]) -> [Predicted; 3] {
    let services = services();
    let first = predicted(flow, &services, &json!({ "question": "Q" }), &[call(), "May I?".into()]);
    let id = action(&first)["id"].clone();
    let body = json!({ "question": words, "action": { "id": id } });
    let then = predicted(flow, &services, &body, answers);
    let again = predicted(flow, &services, &body, answers);
    [first, then, again]
}

#[test]
fn a_user_is_asked_and_the_tool_is_called_once() {
    for memory in [reference("mem_0"), String::new()] {
        let [first, then, again] = asked_and_told(&flow(&memory), "Go", &["It is 42".into()]);
        assert_eq!(first.text(), "May I?");
        let used = json!([{ "tool": "calculator", "toolInput": { "input": "6*7" }, "toolOutput": "" }]);
        assert_eq!(first.asked[1], json!([{ "role": "user", "content": format!("May I? {used} {{other}}") }]));
        let action = action(&first);
        let call = json!([{ "name": "calculator", "args": { "input": "6*7" }, "type": "tool_call", "id": "call_1" }]);
        assert_eq!(action["mapping"], json!({ "approve": "Go", "reject": "Stop", "toolCalls": call }));
        let buttons =
            json!([{ "type": "approve-button", "label": "Go" }, { "type": "reject-button", "label": "Stop" }]);
        assert_eq!(action["elements"], buttons);
        let names = ["start", "agentReasoning", "token", "action", "usedTools", "sourceDocuments", "artifacts"];
        assert_eq!(first.names(), names);

        assert_eq!(then.text(), "It is 42");
        let told = then.asked[0]["messages"].as_array().unwrap();
        assert_eq!((told.len(), &told[2]["content"]), (3, &json!("42")));
        let done = &then.reasoning()[0];
        assert_eq!(done["usedTools"][0]["toolOutput"], "42");
        assert_eq!(again.reply.unwrap_err().to_string(), "This question was answered already, or another one is open.");
    }
}

#[test]
fn what_the_user_does_not_want_is_not_called_and_the_model_is_told() {
    let [_, then, _] = asked_and_told(&flow(""), "Stop", &["As you wish".into()]);
    assert_eq!(then.text(), "As you wish");
    let told = then.asked[0]["messages"].as_array().unwrap();
    assert_eq!(told.len(), 3);
    assert!(told[2]["content"].as_str().unwrap().starts_with("Tool calculator call denied by user."), "{told:?}");
}

#[test]
fn an_agent_may_ask_again() {
    let [_, then, _] = asked_and_told(&flow(""), "Go", &[call(), "Once more?".into()]);
    assert_eq!(then.text(), "Once more?");
    assert!(action(&then)["id"].is_string());
}

#[test]
fn other_words_are_a_new_question_and_calls_that_nobody_answered_are_forgotten() {
    let flow = flow(&reference("mem_0"));
    let requests = [
        (json!({ "question": "Q" }), vec![call(), "May I?".into()]),
        (json!({ "question": "Something else" }), vec!["Sure".into()]),
    ];
    let predicted = predictions(&flow, &requests);
    let told = predicted[1].asked[0]["messages"].as_array().unwrap();
    let contents: Vec<&Value> = told.iter().map(|said| &said["content"]).collect();
    assert_eq!(contents, [&json!("Q"), &json!("Something else")]);
    // An agent that needs no tool asks nobody.
    assert_eq!(predict(&flow, &json!({ "question": "Hi" }), &["Hello".into()]).text(), "Hello");
}
