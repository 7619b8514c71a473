//! Flows of agents of before there were agentflows, through the gateway: a supervisor with workers, and an agent that asks
//! its user.

use serde_json::{Value, json};

use super::{WIDE, stream};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model;
use crate::harness::upstream::Upstream;

fn node(id: &str, category: &str, inputs: &Value) -> Value {
    let kind = id.split('_').next().unwrap_or_default();
    json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "category": category, "inputs": inputs } })
}

fn edge(source: &str, target: &str) -> Value {
    json!({ "source": source, "target": target })
}

fn chat_model(model: &Upstream) -> Value {
    let base = format!("http://{}/v1", model.address);
    node("chatOpenAI_0", "Chat Models", &json!({ "modelName": "stub-model", "streaming": false, "basepath": base }))
}

/// An answer that calls a tool.
fn calling(name: &str, arguments: &Value) -> String {
    let call =
        json!({ "id": "call_1", "type": "function", "function": { "name": name, "arguments": arguments.to_string() } });
    let message = json!({ "role": "assistant", "content": "", "tool_calls": [call] });
    let choices = json!([{ "index": 0, "message": message, "finish_reason": "tool_calls" }]);
    json!({ "id": "1", "model": "stub-model", "choices": choices }).to_string()
}

/// A supervisor sends its one worker once, and has done then.
fn team() -> (Gateway, Upstream) {
    let model = Upstream::start(|seen, reply| {
        let asked = seen.json();
        let has_worked =
            asked["messages"].as_array().is_some_and(|said| said.iter().any(|said| said["name"] == "writer"));
        let next = if has_worked { "FINISH" } else { "writer" };
        let route = json!({ "reasoning": "r", "next": next, "instructions": "go on" });
        let is_supervisor = asked["tool_choice"]["function"]["name"] == "route";
        reply.json("200 OK", &if is_supervisor { calling("route", &route) } else { model::whole("a poem", 1, 1) });
    });
    let boss = json!({ "supervisorName": "Boss", "supervisorPrompt": "Lead {team_members}", "model": "{{chatOpenAI_0.data.instance}}" });
    let worker =
        json!({ "workerName": "Writer", "workerPrompt": "Write.", "supervisor": "{{supervisor_0.data.instance}}" });
    let nodes =
        [chat_model(&model), node("supervisor_0", "Multi Agents", &boss), node("worker_0", "Multi Agents", &worker)];
    let edges = [edge("chatOpenAI_0", "supervisor_0"), edge("supervisor_0", "worker_0")];
    (gateway(&json!({ "nodes": nodes, "edges": edges })), model)
}

fn gateway(flow: &Value) -> Gateway {
    let text = flow.to_string();
    Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| model::write(dir, "support", &text))
}

#[test]
fn a_team_answers_in_one_piece_and_as_a_stream() {
    let (gateway, model) = team();
    let answer = gateway.predict(r#"{"question":"A poem","chatId":"c1"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["text"], "a poem");
    let names: Vec<&Value> =
        answer["agentReasoning"].as_array().unwrap().iter().map(|step| &step["agentName"]).collect();
    assert_eq!(names, ["Boss", "Writer", "Boss"]);
    assert_eq!(answer.get("isStreamValid"), None);
    let asked = model.seen()[0].json();
    assert_eq!(asked["tool_choice"], json!({ "type": "function", "function": { "name": "route" } }));

    let told = stream(&gateway, r#"{"question":"A poem","chatId":"c2","streaming":true}"#);
    let events: Vec<Value> =
        told.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let steps = ["start", "agentReasoning", "nextAgent", "agentReasoning", "agentReasoning"];
    let ends = ["token", "usedTools", "sourceDocuments", "artifacts", "metadata", "end"];
    assert_eq!(names, [&steps[..], &ends].concat());
    assert_eq!(events[2]["data"], "Writer");
    assert_eq!(events[5]["data"], "a poem");
}

#[test]
fn a_user_says_whether_a_tool_is_called() {
    let model = Upstream::start(|seen, reply| {
        let messages = seen.json()["messages"].as_array().cloned().unwrap_or_default();
        let last = messages.last().cloned().unwrap_or_default();
        let text = last["content"].as_str().unwrap_or_default();
        if last["role"] == "tool" {
            reply.json("200 OK", &model::whole(&format!("It is {text}"), 1, 1));
        } else if text.starts_with("May I?") {
            reply.json("200 OK", &model::whole("May I count?", 1, 1));
        } else {
            reply.json("200 OK", &calling("calculator", &json!({ "input": "6*7" })));
        }
    });
    let reference = |id: &str| format!("{{{{{id}.data.instance}}}}");
    let agent = json!({
        "agentName": "Agent", "tools": [reference("calculator_0")], "interrupt": true, "approvalPrompt": "May I? {tools}",
        "approveButtonText": "Go", "rejectButtonText": "Stop", "sequentialNode": [reference("seqStart_0")],
    });
    let nodes = [
        chat_model(&model),
        node("calculator_0", "Tools", &json!({})),
        node("agentMemory_0", "Memory", &json!({ "databaseType": "sqlite" })),
        node(
            "seqStart_0",
            "Sequential Agents",
            &json!({ "model": reference("chatOpenAI_0"), "agentMemory": reference("agentMemory_0") }),
        ),
        node("seqAgent_0", "Sequential Agents", &agent),
        node("seqEnd_0", "Sequential Agents", &json!({ "sequentialNode": reference("seqAgent_0") })),
    ];
    let ways = [
        ("chatOpenAI_0", "seqStart_0"),
        ("agentMemory_0", "seqStart_0"),
        ("calculator_0", "seqAgent_0"),
        ("seqStart_0", "seqAgent_0"),
        ("seqAgent_0", "seqEnd_0"),
    ];
    let gateway = gateway(&json!({ "nodes": nodes, "edges": ways.map(|(from, to)| edge(from, to)) }));
    let first = gateway.predict(r#"{"question":"Count","chatId":"c1"}"#).json();
    assert_eq!((&first["text"], &first["memoryType"]), (&json!("May I count?"), &json!("agentMemory_0")));
    assert_eq!(first["action"]["mapping"]["approve"], "Go");
    let answer = |action: &Value| {
        let body = json!({ "question": "Go", "chatId": "c1", "action": action });
        gateway.predict(&body.to_string())
    };
    assert_eq!(answer(&json!({ "id": "another" })).status, 500);
    let done = answer(&first["action"]).json();
    assert_eq!((&done["text"], done.get("action")), (&json!("It is 42"), None));
    let calls = model.seen().len();
    assert_eq!((answer(&first["action"]).status, model.seen().len()), (500, calls));
}
