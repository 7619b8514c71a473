//! Settings that a flow's author left empty.

use std::process::Command;

use serde_json::json;

use super::{ASK, WIDE};
use crate::harness::gateway::{BINARY, Gateway, keys};
use crate::harness::model;

/// An agentflow whose HTTP node leads nowhere yet.
fn flow(url: &str) -> String {
    let params = json!([{ "name": "url", "label": "URL", "acceptVariable": true }]);
    let node = |id: &str, kind: &str, inputs: serde_json::Value| json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs, "inputParams": params } });
    let nodes = [
        node("start", "startAgentflow", json!({ "startInputType": "chatInput" })),
        node("asks", "httpAgentflow", json!({ "method": "GET", "url": url })),
    ];
    let edge =
        json!({ "source": "start", "target": "asks", "sourceHandle": "start-output-start", "targetHandle": "asks" });
    json!({ "nodes": nodes, "edges": [edge] }).to_string()
}

#[test]
fn an_empty_setting_is_told_before_and_when_it_is_needed() {
    let gateway = Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| {
        model::write(dir, "support", &flow(""));
    });
    let told = |line: &serde_json::Value| {
        let is_told = line["message"] == "flows will fail for want of something";
        is_told && line["places"] == "support: asks" && line["need"] == "URL (url)"
    };
    gateway.log_line(told);
    let failed = gateway.predict(ASK);
    assert_eq!(failed.status, 500);
    assert!(failed.text().contains(r#"Nothing is set in URL (url) of the node \"asks\"."#), "{}", failed.text());

    let flowgate = |arguments: &[&str]| {
        Command::new(BINARY).env_remove("FLOWGATE_CONFIG").current_dir(gateway.dir()).args(arguments).output().unwrap()
    };
    let output = flowgate(&["flows", "check", "flows/support.json", "--config", "flowgate.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("asks   httpAgentflow   runs, needs URL (url)\n"), "{text}");
    let verdict = "the engine runs this flow once this is there:\n  \
                   URL (url) of asks: fill it in in Flowise's editor, and export the flow again\n";
    assert!(text.ends_with(verdict), "{text}");
    let output = flowgate(&["check", "--config", "flowgate.yaml"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("  URL (url): 1 flow, 1 node: support: asks\n"), "{text}");
}
