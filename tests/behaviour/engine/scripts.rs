//! Code of a flow's author, and what it may reach.

use serde_json::{Value, json};

use super::{ASK, WIDE};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model;
use crate::harness::upstream::{Reply, Seen, Upstream};

const RELOADED: &str = r#"flowgate_config_reloads_total{file="config",result="accepted"}"#;

fn allowing(networks: &str) -> String {
    model::config("", "", WIDE).replace("engine: { ", &format!("engine: {{ allow_networks: [{networks}], "))
}

fn node(id: &str, kind: &str, category: &str, inputs: &Value, outputs: &Value) -> Value {
    let data =
        json!({ "id": id, "name": kind, "label": id, "category": category, "inputs": inputs, "outputs": outputs });
    json!({ "id": id, "data": data })
}

/// A flow that ends with a Custom JS Function.
fn computes(code: &str) -> String {
    let inputs = json!({ "functionInputVariables": { "q": "{{question}}" }, "javascriptFunction": code });
    let node = node("f", "customFunction", "Utilities", &inputs, &json!({ "output": "EndingNode" }));
    json!({ "nodes": [node], "edges": [] }).to_string()
}

#[test]
fn a_custom_function_fetches_within_allowed_networks_alone() {
    let service = Upstream::start(|seen, reply| reply.json("200 OK", &json!({ "heard": seen.json() }).to_string()));
    let code = format!(
        "const response = await fetch('http://{}/x', {{ method: 'POST', body: JSON.stringify({{ q: $q }}) }});\n\
         return 'heard ' + (await response.json()).heard.q",
        service.address
    );
    let gateway = Gateway::start_with(&allowing(""), &keys(""), |dir| model::write(dir, "support", &computes(&code)));
    let refused = gateway.predict(ASK);
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(refused.text().contains("NodeVM Execution Error"), "{}", refused.text());
    assert_eq!(service.seen().len(), 0);

    let before = gateway.metric(RELOADED);
    gateway.write("flowgate.yaml", allowing("127.0.0.0/8"));
    gateway.wait_metric(RELOADED, before + 1.0);
    let answer = gateway.predict(ASK);
    assert_eq!((answer.status, answer.json()["text"].clone()), (200, json!("heard hi")));
    assert_eq!(service.wait_request("POST", "/x").json(), json!({ "q": "hi" }));
}

/// Calls the tool once, and then says what came of it.
fn calling(seen: &Seen, reply: &mut Reply) {
    let asked = seen.json();
    let said = asked["messages"].as_array().and_then(|all| all.iter().find(|turn| turn["role"] == "tool").cloned());
    if let Some(said) = said {
        return model::answer(seen, reply, said["content"].as_str().unwrap_or_default());
    }
    let function = json!({ "name": "look_up", "arguments": "{\"what\":\"tea\"}" });
    let message = json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "c", "type": "function", "function": function }] });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "tool_calls" });
    reply.json(
        "200 OK",
        &json!({ "id": "1", "object": "chat.completion", "model": "m", "choices": [choice] }).to_string(),
    );
}

#[test]
fn a_custom_tool_fetches_within_allowed_networks_alone() {
    let service = Upstream::start(|seen, reply| reply.json("200 OK", &json!({ "path": seen.path }).to_string()));
    let asked = Upstream::start(calling);
    let code =
        format!("const r = await fetch('http://{}/things/' + $what); return (await r.json()).path", service.address);
    let schema = json!([{ "property": "what", "type": "string", "description": "what to look up", "required": true }]);
    let tools = json!({ "Tool": [{ "id": "t1", "name": "look_up", "description": "Looks up.", "schema": schema.to_string(), "func": code }] });
    let chat = json!({ "modelName": "m", "basepath": format!("http://{}/v1", asked.address), "streaming": false });
    let agent =
        json!({ "model": "{{m.data.instance}}", "memory": "{{b.data.instance}}", "tools": ["{{t.data.instance}}"] });
    let none = json!({});
    let nodes = [
        node("m", "chatOpenAI", "Chat Models", &chat, &none),
        node("b", "bufferMemory", "Memory", &none, &none),
        node("t", "customTool", "Tools", &json!({ "selectedTool": "t1" }), &none),
        node("a", "toolAgent", "Agents", &agent, &none),
    ];
    let edge = |source: &str| json!({ "source": source, "target": "a" });
    let flow = json!({ "nodes": nodes, "edges": [edge("m"), edge("b"), edge("t")] }).to_string();
    let gateway = Gateway::start_with(&allowing("127.0.0.0/8"), &keys(""), |dir| {
        model::write(dir, "support", &flow);
        model::write(dir, "all", &tools.to_string());
    });
    let answer = gateway.predict(ASK);
    assert_eq!((answer.status, answer.json()["text"].clone()), (200, json!("/things/tea")), "{}", answer.text());

    let before = gateway.metric(RELOADED);
    gateway.write("flowgate.yaml", allowing("10.0.0.0/8"));
    gateway.wait_metric(RELOADED, before + 1.0);
    let answer = gateway.predict(ASK);
    assert!(!answer.text().contains("/things/tea"), "{}", answer.text());
    assert_eq!(service.seen().len(), 1, "it was not asked again");
}
