//! Tools that are called with their user's leave: what he was shown is what is called, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::WIDE;
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model;
use crate::harness::upstream::{Seen, Upstream};

/// An agent that may look things up by itself, and order things with its user's leave.
fn flow(model: &Upstream, service: &Upstream, orders: &str) -> String {
    let node = |id: &str, kind: &str, inputs: Value| json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs } });
    let tool = |kind: &str, name: &str, path: &str, asks: bool| {
        json!({
            "agentSelectedTool": kind, "agentSelectedToolRequiresHumanInput": asks,
            "agentSelectedToolConfig": {
                format!("{kind}Name"): name, format!("{kind}Url"): format!("http://{}/{path}", service.address),
                format!("{kind}Description"): "does it", "agentSelectedTool": kind,
            },
        })
    };
    let config = json!({
        "modelName": "stub-model", "streaming": false, "basepath": format!("http://{}/v1", model.address),
        "agentModel": "chatOpenAI",
    });
    let inputs = json!({
        "agentModel": "chatOpenAI", "agentModelConfig": config,
        "agentTools": [tool("requestsGet", "look", "stock", false), tool("requestsPost", "order", orders, true)],
    });
    let nodes = [
        node("start", "startAgentflow", json!({ "startInputType": "chatInput" })),
        node("agent", "agentAgentflow", inputs),
    ];
    let edge =
        json!({ "source": "start", "target": "agent", "sourceHandle": "start-output-start", "targetHandle": "agent" });
    json!({ "nodes": nodes, "edges": [edge] }).to_string()
}

fn look(id: &str) -> Value {
    call(id, "look", &json!({}))
}

fn order(id: &str, item: &str) -> Value {
    call(id, "order", &json!({ "body": { "item": item } }))
}

fn call(id: &str, name: &str, arguments: &Value) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments.to_string() } })
}

/// Wants these calls, and then says what it was told of them. While `fails` is set, it is out of order once it knows.
fn wanting(calls: Value, fails: &Arc<AtomicBool>) -> Upstream {
    let fails = Arc::clone(fails);
    Upstream::start(move |seen, reply| {
        let messages = seen.json()["messages"].as_array().cloned().unwrap_or_default();
        let told: Vec<&str> =
            messages.iter().filter(|said| said["role"] == "tool").filter_map(|said| said["content"].as_str()).collect();
        if told.is_empty() {
            let message = json!({ "role": "assistant", "content": "", "tool_calls": calls });
            let choices = json!([{ "index": 0, "message": message, "finish_reason": "tool_calls" }]);
            return reply.json("200 OK", &json!({ "id": "1", "model": "stub-model", "choices": choices }).to_string());
        }
        if fails.load(Ordering::Relaxed) {
            return reply.json("500 Oh", r#"{"error":{"message":"out of order"}}"#);
        }
        reply.json("200 OK", &model::whole(&told.join("; "), 1, 1));
    })
}

struct Shop {
    gateway: Gateway,
    service: Upstream,
    model: Upstream,
    fails: Arc<AtomicBool>,
}

impl Shop {
    fn new(calls: Value) -> Self {
        let service =
            Upstream::start(|seen, reply| reply.json("200 OK", &format!("\"{} {}\"", seen.method, seen.path)));
        let fails = Arc::default();
        let model = wanting(calls, &fails);
        let config = model::config("", "", WIDE).replace("engine: {", "engine: { allow_networks: ['127.0.0.0/8'],");
        let text = flow(&model, &service, "orders");
        let gateway = Gateway::start_with(&config, &keys(""), |dir| model::write(dir, "support", &text));
        Self { gateway, service, model, fails }
    }

    fn ask(&self) -> Value {
        let answer = self.gateway.predict(r#"{"question":"Order","chatId":"c1"}"#);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    fn say(&self, kind: &str, more: &Value) -> crate::harness::client::Response {
        let mut body =
            json!({ "question": "", "chatId": "c1", "humanInput": { "type": kind, "startNodeId": "agent" } });
        if let Some(feedback) = more.get("feedback") {
            body["humanInput"]["feedback"] = feedback.clone();
        }
        if let Some(id) = more.get("id") {
            body["action"] = json!({ "id": id });
        }
        self.gateway.predict(&body.to_string())
    }

    /// What was called so far: what was looked up, and what was ordered.
    fn called(&self) -> Vec<String> {
        let call = |seen: &Seen| {
            if seen.method == "GET" { seen.path.clone() } else { format!("{} {}", seen.path, seen.json()["item"]) }
        };
        self.service.seen().iter().map(call).collect()
    }
}

/// Names and arguments of the calls that the user reads.
fn shown(asked: &Value) -> Vec<Value> {
    let text = asked["text"].as_str().expect("a text");
    let calls: Vec<Value> = text
        .split("Attempting to use tool:\n```json\n")
        .skip(1)
        .map(|part| serde_json::from_str(part.split("\n```").next().unwrap()).expect("JSON"))
        .collect();
    assert_eq!(Value::from(calls.clone()), asked["action"]["data"]["toolCalls"]);
    calls
}

#[test]
fn what_was_shown_is_what_is_called_and_everything_else_goes_on_by_itself() {
    let shop = Shop::new(json!([look("1"), order("2", "tea"), look("3"), order("4", "jam")]));
    let asked = shop.ask();
    let calls = shown(&asked);
    let told: Vec<_> =
        calls.iter().map(|call| (call["id"].as_str(), &call["name"], &call["args"]["body"]["item"])).collect();
    assert_eq!(told, [(Some("2"), &json!("order"), &json!("tea")), (Some("4"), &json!("order"), &json!("jam"))]);
    assert_eq!(shop.called(), ["/stock"]);

    let done = shop.say("proceed", &json!({}));
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(shop.called(), ["/stock", "/orders \"tea\"", "/stock", "/orders \"jam\""]);
    let result = |path: &str| format!("\"{path}\"");
    let told = ["GET /stock", "POST /orders", "GET /stock", "POST /orders"].map(result).join("; ");
    assert_eq!(done.json()["text"], told);
    let steps = done.json()["agentFlowExecutedData"].clone();
    assert_eq!(steps[1]["data"]["output"]["usedTools"].as_array().map(Vec::len), Some(4));

    shop.say("proceed", &json!({})).assert_refused(500, "upstream_error");
    assert_eq!(shop.called().len(), 4, "a run goes on once");
}

#[test]
fn what_was_rejected_is_not_called_and_the_model_knows() {
    let shop = Shop::new(json!([order("1", "tea"), look("2")]));
    shop.ask();
    let done = shop.say("reject", &json!({ "feedback": "Coffee" }));
    let told = "The user rejected this call: it was not made. The user says: Coffee; \"GET /stock\"";
    assert_eq!((done.status, &done.json()["text"]), (200, &told.into()), "{}", done.text());
    assert_eq!(shop.called(), ["/stock"]);
}

#[test]
fn what_was_called_is_not_called_again_when_the_model_fails_behind_it() {
    let shop = Shop::new(json!([look("1"), order("2", "tea")]));
    shop.ask();
    shop.fails.store(true, Ordering::Relaxed);
    shop.say("proceed", &json!({})).assert_refused(500, "upstream_error");
    assert_eq!(shop.called(), ["/stock", "/orders \"tea\""]);
    shop.fails.store(false, Ordering::Relaxed);
    let done = shop.say("proceed", &json!({}));
    assert_eq!(
        (done.status, &done.json()["text"]),
        (200, &"\"GET /stock\"; \"POST /orders\"".into()),
        "{}",
        done.text()
    );
    assert_eq!(shop.called(), ["/stock", "/orders \"tea\""]);
}

#[test]
fn leave_is_for_the_tools_that_were_shown_and_for_no_later_ones() {
    let shop = Shop::new(json!([order("1", "tea")]));
    let first = shop.ask();
    let other = flow(&shop.model, &shop.service, "returns");
    shop.gateway.write("flows/support.json", other);
    shop.gateway.log_line(|line| line["message"] == "reloaded" && line["files"] == "flows");
    let again = shop.say("proceed", &json!({ "id": first["action"]["id"] }));
    assert_eq!(shown(&again.json()), shown(&first));
    assert_eq!(shop.called(), Vec::<String>::new());
    // An answer to the first question is none to the second.
    shop.say("proceed", &json!({ "id": first["action"]["id"] })).assert_refused(500, "upstream_error");
    assert_eq!(shop.called(), Vec::<String>::new());
    // The second is open as before.
    let done = shop.say("proceed", &json!({ "id": again.json()["action"]["id"] }));
    assert_eq!((done.status, shop.called()), (200, vec!["/returns \"tea\"".to_owned()]), "{}", done.text());
}
