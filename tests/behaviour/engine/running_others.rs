//! Flows that run other flows.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{ASK, WIDE};
use crate::harness::gateway::{BINARY, Gateway, keys};
use crate::harness::model;
use crate::harness::{FLOW, pause};

const REJECTED_KEYS: &str = r#"flowgate_config_reloads_total{file="keys",result="rejected"}"#;

/// An agentflow that runs another one.
fn runs(other: &str) -> String {
    let node = |id: &str, kind: &str, inputs: Value| json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs } });
    let inputs = json!({ "executeFlowSelectedFlow": other, "executeFlowInput": "from afar" });
    let nodes = [
        node("start", "startAgentflow", json!({ "startInputType": "chatInput" })),
        node("runs", "executeFlowAgentflow", inputs),
    ];
    let edge =
        json!({ "source": "start", "target": "runs", "sourceHandle": "start-output-start", "targetHandle": "runs" });
    json!({ "nodes": nodes, "edges": [edge] }).to_string()
}

#[test]
fn a_flow_runs_another_by_the_id_that_flowise_gave_it() {
    let model = model::saying("fine");
    let config = model::config("", "", WIDE)
        .replace("chatflows:\n", &format!("chatflows:\n  sales: {{ upstream: local, id: {FLOW} }}\n"));
    let gateway = Gateway::start_with(&config, &keys(""), |dir| {
        model::write(dir, "support", &runs(FLOW));
        model::write(dir, "sales", &model::export("llm-chain", model.address));
    });
    let answer = gateway.predict(ASK);
    assert_eq!((answer.status, &answer.json()["text"]), (200, &"fine".into()), "{}", answer.text());
    assert!(model::told(&model.seen()[0])[0].1.contains("from afar"));
}

#[test]
fn a_reload_that_is_rejected_takes_no_flow_from_those_that_run_it() {
    let model = model::saying("fine");
    let config = model::config("", "", WIDE);
    let sales = |beginning: &str| model::export("llm-chain", model.address).replace("You are an assistant", beginning);
    let gateway = Gateway::start_with(&config, &keys(""), |dir| {
        model::write(dir, "support", &runs("sales"));
        model::write(dir, "sales", &sales("First"));
    });
    assert_eq!(gateway.predict(ASK).status, 200);
    fs::write(gateway.file("keys.yaml"), "keys:\n  - { id: app").unwrap();
    gateway.wait_metric(REJECTED_KEYS, 1.0);
    model::write(gateway.dir(), "sales", &sales("Second"));
    // Whether the flow itself may be taken up or not: there must be one.
    for _ in 0..100 {
        let answer = gateway.predict(ASK);
        assert_eq!((answer.status, &answer.json()["text"]), (200, &"fine".into()), "{}", answer.text());
        if model::told(&model.seen().pop().unwrap())[0].1.starts_with("Second") {
            break;
        }
        pause();
    }
}

#[test]
fn a_flow_that_is_not_there_is_told_before_it_is_run() {
    let gateway =
        Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| model::write(dir, "support", &runs(FLOW)));
    let need = format!("flow {FLOW}");
    gateway.log_line(|line| line["message"] == "a node will fail for want of something" && line["need"] == *need);
    gateway.predict(ASK).assert_refused(500, "upstream_error");
    let flowgate = |arguments: &[&str]| {
        Command::new(BINARY).env_remove("FLOWGATE_CONFIG").current_dir(gateway.dir()).args(arguments).output().unwrap()
    };
    let note = String::from_utf8(flowgate(&["check", "--config", "flowgate.yaml"]).stderr).unwrap();
    assert!(note.contains(&format!("note: node \"runs\" runs the flow \"{FLOW}\", which is not in ")), "{note}");
    let check = |files: &[&str]| {
        let output = flowgate(&[&["flows", "check"], files].concat());
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let alone = check(&["flows/support.json"]);
    assert!(alone.contains(&format!("runs, needs flow {FLOW}\n")), "{alone}");
    assert!(alone.ends_with("the engine runs this flow; put the flows that it runs beside it, each under its id\n"));
    let other = format!("{FLOW}.json");
    fs::write(gateway.file(&other), runs("x")).unwrap();
    assert!(!check(&["flows/support.json", &other]).contains(&need));
}
