//! Flows that stop for their user, who may take his time.

use std::path::Path;

use serde_json::{Value, json};

use super::WIDE;
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model;

/// An agentflow that asks its user before it replies with a value of its state.
pub(crate) fn asks() -> String {
    let node = |id: &str, kind: &str, inputs: Value| {
        let params: Vec<Value> = inputs
            .as_object()
            .unwrap()
            .keys()
            .map(|name| json!({ "name": name, "acceptVariable": name == "directReplyMessage" }))
            .collect();
        json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs, "inputParams": params } })
    };
    let start = json!({ "startInputType": "chatInput", "startState": [{ "key": "asked", "value": "long ago" }] });
    let nodes = [
        node("start", "startAgentflow", start),
        node(
            "ok",
            "humanInputAgentflow",
            json!({
                "humanInputDescriptionType": "fixed", "humanInputDescription": "Sure?", "humanInputEnableFeedback": true,
            }),
        ),
        node("done", "directReplyAgentflow", json!({ "directReplyMessage": "Done, asked {{ $flow.state.asked }}" })),
    ];
    let edge = |source: &str, output: &str, target: &str| json!({ "source": source, "target": target, "sourceHandle": format!("{source}-output-{output}"), "targetHandle": target });
    json!({ "nodes": nodes, "edges": [edge("start", "start", "ok"), edge("ok", "0", "done")] }).to_string()
}

fn start(state: &Path) -> Gateway {
    let config = model::config("", "", &format!("state_dir: {}\n{WIDE}", state.display()));
    Gateway::start_with(&config, &keys(""), |dir| model::write(dir, "support", &asks()))
}

pub(crate) const QUESTION: &str = r#"{"question":"Go on?","chatId":"c1"}"#;
pub(crate) const YES: &str =
    r#"{"question":"","chatId":"c1","humanInput":{"type":"proceed","startNodeId":"ok","feedback":"yes"}}"#;

#[test]
fn a_run_that_waits_outlives_the_process_and_goes_on_once() {
    let state = tempfile::tempdir().unwrap();
    let mut gateway = start(state.path());
    let asked = gateway.predict(QUESTION).json();
    assert_eq!((&asked["text"], &asked["action"]["data"]["nodeId"]), (&"\n\nSure?".into(), &"ok".into()));
    gateway.signal("TERM");
    gateway.wait();

    let mut gateway = start(state.path());
    let done = gateway.predict(YES);
    assert_eq!((done.status, &done.json()["text"]), (200, &"Done, asked long ago".into()), "{}", done.text());
    assert_eq!(done.json()["executionId"], asked["executionId"]);
    gateway.predict(YES).assert_refused(500, "upstream_error");
    gateway.signal("TERM");
    gateway.wait();
    start(state.path()).predict(YES).assert_refused(500, "upstream_error");
}

#[test]
fn a_new_question_takes_back_what_waited_before_the_restart() {
    let state = tempfile::tempdir().unwrap();
    let mut gateway = start(state.path());
    gateway.predict(QUESTION);
    gateway.signal("TERM");
    gateway.wait();
    let gateway = start(state.path());
    let first = gateway.predict(QUESTION).json();
    let done = gateway.predict(YES).json();
    assert_eq!((&done["text"], &done["executionId"]), (&"Done, asked long ago".into(), &first["executionId"]));
}
