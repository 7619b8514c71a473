//! Expected: `wire/11`, and what Flowise 3.1.4's own node did with the same answers of a model.

use serde_json::{Value, json};

use super::{STOPPED, without_broken_images, without_thoughts};
use crate::engine::contract::node::ReplyContent;
use crate::engine::testing::{Predicted, flow, load, predict, predictions};

fn event(name: &str, data: Value) -> (String, Value) {
    (name.to_owned(), data)
}

/// An agent with a calculator and a clock.
fn agent(inputs: &Value, answers: &[Value]) -> Predicted {
    let mut own = json!({
        "model": "{{m_0.data.instance}}",
        "memory": "{{mem_0.data.instance}}",
        "tools": ["{{c_0.data.instance}}", "{{d_0.data.instance}}"],
        "systemMessage": "S",
    });
    own.as_object_mut().unwrap().extend(inputs.as_object().cloned().unwrap());
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("mem_0", "bufferMemory", json!({})),
        ("c_0", "calculator", json!({})),
        ("d_0", "currentDateTime", json!({})),
        ("agent_0", "toolAgent", own),
    ])
    .unwrap();
    predict(&flow, &json!({ "question": "Q" }), answers)
}

#[test]
fn agents_of_before_may_go_without_a_memory() {
    for kind in ["openAIFunctionAgent", "openAIToolAgent"] {
        let own = json!({ "model": "{{m_0.data.instance}}", "tools": ["{{c_0.data.instance}}"] });
        let nodes = [("m_0", "testModel", json!({})), ("c_0", "calculator", json!({})), ("agent_0", kind, own)];
        let asks = |question: &str| (json!({ "question": question, "chatId": "a" }), vec!["A".into()]);
        let predicted = predictions(&flow(&nodes).unwrap(), &[asks("one"), asks("two")]);
        let messages = predicted[1].asked[0]["messages"].as_array().unwrap();
        assert_eq!((messages.len(), &messages[1]["content"]), (2, &json!("two")), "{messages:?}");
    }
}

#[test]
fn the_example_flow_does_as_recorded() {
    let mut export: Value =
        serde_json::from_str(include_str!("../../../../../tests/flowise/flows/tool-agent.json")).unwrap();
    for node in export["nodes"].as_array_mut().unwrap() {
        if node["data"]["name"] == "chatOpenAI" {
            node["data"]["name"] = "testModel".into();
            node["data"]["inputs"] = json!({});
        }
    }
    let flow = load(&export).unwrap();
    let call = json!([{ "id": "call_stub_51", "name": "calculator", "arguments": { "input": "6*7" } }]);
    let question = "Compute [[tool=calculator:{\"input\":\"6*7\"}]]";
    let requests = [
        (json!({ "question": question }), vec![call, "Tool said: 42".into()]),
        (json!({ "question": "and then?" }), vec!["nothing".into()]),
    ];
    let predicted = predictions(&flow, &requests);
    let first = &predicted[0];
    let tools = json!([{
        "name": "calculator",
        "description": "Useful for getting the result of a math expression. The input to this tool should be a valid \
                        mathematical expression that could be executed by a simple calculator.",
        "parameters": {
            "type": "object",
            "properties": { "input": { "type": "string" } },
            "additionalProperties": false,
            "$schema": "http://json-schema.org/draft-07/schema#",
        },
    }]);
    let mut messages = vec![
        json!({ "role": "system", "content": "You are a helpful AI assistant." }),
        json!({ "role": "user", "content": question }),
    ];
    assert_eq!(first.asked[0], json!({ "messages": messages, "tools": tools }));
    let function = json!({ "name": "calculator", "arguments": "{\"input\":\"6*7\"}" });
    let calls = json!([{ "id": "call_stub_51", "type": "function", "function": function }]);
    messages.push(json!({ "role": "assistant", "content": "", "tool_calls": calls }));
    messages.push(json!({ "role": "tool", "content": "42", "tool_call_id": "call_stub_51" }));
    assert_eq!(first.asked[1], json!({ "messages": messages, "tools": tools }));

    let reply = first.reply.as_ref().unwrap();
    assert_eq!(reply.said, ReplyContent::Text("Tool said: 42".into()));
    assert_eq!(reply.memory.as_deref(), Some("Buffer Memory"));
    let used = json!([{ "tool": "calculator", "toolInput": { "input": "6*7" }, "toolOutput": "42" }]);
    assert_eq!(reply.fields.get("usedTools"), Some(&used));
    let names: Vec<_> = first.events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["start", "agent_trace", "agent_trace", "agent_trace", "token", "token", "token"]);
    let steps: Vec<_> = first.events[1..4].iter().map(|(_, data)| data["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["agent_action", "tool_start", "tool_end"]);
    let [_, (_, action), (_, start), (_, end), ..] = first.events.as_slice() else { panic!() };
    assert_eq!((&start["parentRunId"], &end["runId"]), (&action["runId"], &start["runId"]));

    let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
    let system = turn("system", "You are a helpful AI assistant.");
    let remembered = [system, turn("user", question), turn("assistant", "Tool said: 42"), turn("user", "and then?")];
    assert_eq!(predicted[1].asked[0]["messages"], json!(remembered));
}

#[test]
fn calls_that_fail_are_told_to_the_model() {
    let calls = json!([
        { "id": "c1", "name": "calculator", "arguments": { "input": "1+1" } },
        { "id": "c2", "name": "Calculator", "arguments": { "input": "bad(" } },
        { "id": "c3", "name": "nope", "arguments": { "a": 1 } },
        { "id": "c4", "name": "calculator", "arguments": {} },
    ]);
    let predicted = agent(&json!({}), &[calls, "done".into()]);
    let results: Vec<_> = predicted.asked[1]["messages"].as_array().unwrap()[3..]
        .iter()
        .map(|message| (message["tool_call_id"].as_str().unwrap(), message["content"].as_str().unwrap()))
        .collect();
    let unknown = "I don't know how to do that.";
    let expected =
        [("c1", "2"), ("c2", unknown), ("c3", "nope is not a valid tool, try another one."), ("c4", unknown)];
    assert_eq!(results, expected);
    let used = json!([
        { "tool": "calculator", "toolInput": { "input": "1+1" }, "toolOutput": "2" },
        { "tool": "calculator", "toolInput": { "input": "bad(" }, "toolOutput": unknown },
        { "tool": "calculator", "toolInput": {}, "toolOutput": unknown },
    ]);
    assert_eq!(predicted.reply.unwrap().fields.get("usedTools"), Some(&used));
    assert_eq!(predicted.events, [event("start", "".into()), event("token", "done".into())]);
}

#[test]
fn an_agent_stops_after_so_many_calls() {
    let call = || json!([{ "id": "c", "name": "current_date_time", "arguments": {} }]);
    let predicted = agent(&json!({ "maxIterations": "2" }), &[call(), call(), call()]);
    assert_eq!(predicted.asked.len(), 2);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text(STOPPED.into()));
    let calls: Vec<Value> = (0..20).map(|_| call()).collect();
    assert_eq!(agent(&json!({}), &calls).asked.len(), 15);
}

#[test]
fn the_system_s_words_may_hold_the_question_and_nothing_else() {
    let predicted = agent(&json!({ "systemMessage": "hi {input} {\"a\":1}" }), &["done".into()]);
    assert_eq!(predicted.asked[0]["messages"][0]["content"], "hi Q {\"a\":1}");
    let error = flow(&[
        ("m_0", "testModel", json!({})),
        ("mem_0", "bufferMemory", json!({})),
        (
            "agent_0",
            "toolAgent",
            json!({
                "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "systemMessage": "hi {name}",
            }),
        ),
    ]);
    let words = "node \"agent_0\" (toolAgent), input systemMessage: there is no value for {name}";
    assert_eq!(error.unwrap_err(), words);
}

#[test]
fn answers_are_cleaned_as_in_flowise() {
    let text = "done ![x](file.png) ok ![y](https://a/b) ![z [w";
    assert_eq!(without_broken_images(text), "done  ok ![y](https://a/b) ![z [w");
    assert_eq!(without_broken_images("a ![b](c"), "a ![b](c");
    assert_eq!(without_broken_images("![a ![b](c)d"), "d");
    // What begins and does not end is looked for once.
    for piece in ["![", "![x] ", "![x](", "![x](http://a) "] {
        let text = piece.repeat(300_000);
        assert_eq!(without_broken_images(&text), text, "{piece}");
    }
    let open = "![".repeat(300_000);
    assert_eq!(without_broken_images(&format!("{open}](x)")), "");
    assert_eq!(without_thoughts("a <thinking>b\nc</thinking>d <thinking>e</thinking>"), "a d <thinking>e</thinking>");
}
