//! What one run may take: a flow that meets a bound ends with an error that names it.

use serde_json::{Value, json};

use super::{WIDE, stream};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model;
use crate::harness::upstream::{Upstream, record};

const ERROR: &str = "Error: predictionsServices.buildChatflow - ";

/// An agentflow of a start and these nodes, one after the other; those of `inside` are in the node before them.
fn flow(nodes: &[(&str, &str, Value)], inside: &[(&str, &str, Value)]) -> String {
    let node = |id: &str, kind: &str, inputs: &Value| {
        let params: Vec<Value> = inputs
            .as_object()
            .unwrap()
            .keys()
            .map(
                |name| json!({ "name": name, "acceptVariable": !name.ends_with("Config") && name != "startInputType" }),
            )
            .collect();
        json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs, "inputParams": params } })
    };
    let mut all = vec![node("start", "startAgentflow", &json!({ "startInputType": "chatInput" }))];
    let mut edges = Vec::new();
    for (id, kind, inputs) in nodes {
        let from = all.last().unwrap()["id"].clone();
        edges.push(json!({ "source": from, "target": id, "sourceHandle": format!("{}-output-0", from.as_str().unwrap()), "targetHandle": id }));
        all.push(node(id, kind, inputs));
    }
    let parent = all.last().unwrap()["id"].clone();
    for (id, kind, inputs) in inside {
        let mut node = node(id, kind, inputs);
        node["parentNode"] = parent.clone();
        all.push(node);
    }
    json!({ "nodes": all, "edges": edges }).to_string()
}

/// Inputs of a node that asks the model.
fn asking(prefix: &str, model: &Upstream, more: Value) -> Value {
    let mut inputs = more;
    inputs[format!("{prefix}Model")] = "chatOpenAI".into();
    inputs[format!("{prefix}ModelConfig")] = json!({
        "modelName": "stub-model", "streaming": false, "basepath": format!("http://{}/v1", model.address),
    });
    inputs
}

fn limited(limits: &str, flow: &str) -> Gateway {
    let config = model::config("", "", WIDE).replace("engine: {", &format!("engine: {{ limits: {{ {limits} }},"));
    Gateway::start_with(&config, &keys(""), |dir| model::write(dir, "support", flow))
}

/// Both ways of asking end with the error, and each counts.
fn assert_ends(gateway: &Gateway, question: &str, limit: &str, words: &str) {
    let body = |streaming: bool| json!({ "question": question, "chatId": "c", "streaming": streaming }).to_string();
    let expected = format!("{ERROR}The flow met its limit of {words} (engine.limits.{limit}).");
    let answer = gateway.predict(&body(false));
    answer.assert_refused(500, "upstream_error");
    assert_eq!(answer.json()["message"], expected);
    let told = stream(gateway, &body(true));
    assert!(told.contains(&record("error", &expected)), "{told}");
    gateway.wait_metric(&format!("flowgate_engine_limits_total{{chatflow=\"support\",limit=\"{limit}\"}}"), 2.0);
}

#[test]
fn an_iteration_over_the_question_asks_the_model_no_more_than_so_often() {
    let model = model::saying("fine");
    let inside = [("ask", "llmAgentflow", asking("llm", &model, json!({ "llmUserMessage": "{{ $iteration }}" })))];
    let each = [("each", "iterationAgentflow", json!({ "iterationInput": "{{ question }}" }))];
    let gateway = limited("model_calls: 3", &flow(&each, &inside));
    let question = json!(["a"; 1000].to_vec()).to_string();
    assert_ends(&gateway, &question, "model_calls", "3 model calls");
    assert_eq!(model.seen().len(), 6);
    // What stays within its bounds goes on as ever.
    assert_eq!(gateway.predict(r#"{"question":"[1,2,3]"}"#).json()["text"], "fine\nfine\nfine");
}

#[test]
fn a_turn_with_more_tools_than_are_left_calls_none_of_them() {
    let model = Upstream::start(|_, reply| {
        let call = |id: usize| json!({ "id": format!("call_{id}"), "type": "function", "function": { "name": "calculator", "arguments": "{\"input\":\"6*7\"}" } });
        let calls: Vec<Value> = (0..500).map(call).collect();
        let message = json!({ "role": "assistant", "content": null, "tool_calls": calls });
        let choice = json!({ "index": 0, "message": message, "finish_reason": "tool_calls" });
        reply.json("200 OK", &json!({ "id": "1", "model": "stub-model", "choices": [choice] }).to_string());
    });
    let tools = json!({ "agentTools": [{ "agentSelectedTool": "calculator" }] });
    let gateway = limited("", &flow(&[("agent", "agentAgentflow", asking("agent", &model, tools))], &[]));
    assert_ends(&gateway, "hi", "tool_calls", "200 tool calls");
    let told = stream(&gateway, r#"{"question":"hi","streaming":true}"#);
    assert!(!told.contains("\"toolOutput\":\"42\""), "{told}");
}

#[test]
fn a_model_that_does_not_answer_is_not_waited_for_longer_than_a_run_may_take() {
    let model = Upstream::start(|_, reply| {
        reply.wait_for_close();
    });
    let gateway = limited("time: 300ms", &flow(&[("ask", "llmAgentflow", asking("llm", &model, json!({})))], &[]));
    assert_ends(&gateway, "hi", "time", "300ms");
    // Nobody waits for it any more.
    model.wait_ended(0);
}

#[test]
fn loops_count_as_steps() {
    let nodes = [
        ("say", "directReplyAgentflow", json!({ "directReplyMessage": "x" })),
        ("again", "loopAgentflow", json!({ "loopBackToNode": "say-say", "maxLoopCount": 1_000_000 })),
    ];
    let gateway = limited("steps: 50", &flow(&nodes, &[]));
    assert_ends(&gateway, "hi", "steps", "50 steps");
}

#[test]
fn a_state_that_doubles_with_each_round_is_bounded() {
    let twice = json!([{ "key": "x", "value": "{{ $flow.state.x }}{{ $flow.state.x }}{{ question }}" }]);
    let nodes = [
        ("say", "directReplyAgentflow", json!({ "directReplyMessage": "x" })),
        (
            "again",
            "loopAgentflow",
            json!({ "loopBackToNode": "say-say", "maxLoopCount": 900, "loopUpdateState": twice }),
        ),
    ];
    let gateway = limited("text: 1MiB", &flow(&nodes, &[]));
    assert_ends(&gateway, "growing", "text", "1 MiB of text");
}

/// A flow that ends with very many conditions, none of which holds.
fn deciding(operation: &str, wanted: &str) -> String {
    let condition = |at: usize| json!({ "type": "string", "value1": format!("{{{{ question }}}}{at}"), "operation": operation, "value2": wanted });
    let conditions: Vec<Value> = (0..2000).map(condition).collect();
    flow(&[("if", "conditionAgentflow", json!({ "conditions": conditions }))], &[])
}

#[test]
fn conditions_look_at_the_time() {
    let gateway = limited("time: 20ms", &deciding("equal", "x"));
    assert_ends(&gateway, &"# *a* [b](c) ".repeat(100), "time", "20ms");
}

#[test]
fn conditions_are_looked_at_only_if_there_is_room_for_them() {
    let gateway = limited("text: 1MiB", &deciding("equal", "x"));
    assert_ends(&gateway, &"long ".repeat(1000), "text", "1 MiB of text");
}

#[test]
fn patterns_of_all_rounds_share_one_budget() {
    let condition =
        json!({ "type": "string", "value1": "{{ $iteration }}", "operation": "regex", "value2": r"(a|a)+\\1c" });
    let inside = [("if", "conditionAgentflow", json!({ "conditions": [condition] }))];
    let each = [("each", "iterationAgentflow", json!({ "iterationInput": "{{ question }}" }))];
    let gateway = limited("", &flow(&each, &inside));
    let asked = |rounds: usize| {
        let question = Value::from(vec!["a".repeat(40); rounds]).to_string();
        gateway.predict(&json!({ "question": question, "chatId": "c" }).to_string())
    };
    // One round that nobody can decide fails alone, and so many end the run.
    let one = asked(1);
    assert!(one.json()["text"].as_str().unwrap().contains("too many steps"), "{}", one.text());
    let all = asked(100);
    all.assert_refused(500, "upstream_error");
    let told = "The flow's conditions take more steps of patterns than one run may take.";
    assert_eq!(all.json()["message"], format!("{ERROR}{told}"));
    gateway.wait_metric("flowgate_engine_limits_total{chatflow=\"support\",limit=\"pattern_work\"}", 1.0);
}
