//! Flows that run other flows.

use std::process::Command;

use serde_json::{Value, json};

use super::{ASK, WIDE};
use crate::harness::gateway::{BINARY, Gateway, keys};
use crate::harness::upstream::{Gate, Upstream};
use crate::harness::{FLOW, model, pause, wait_for};

const ACCEPTED_FLOWS: &str = r#"flowgate_config_reloads_total{file="flows",result="accepted"}"#;
const REJECTED_KEYS: &str = r#"flowgate_config_reloads_total{file="keys",result="rejected"}"#;

/// An agentflow that runs another one twice.
fn runs_twice(other: &str) -> String {
    let mut flow: Value = serde_json::from_str(&runs(other)).unwrap();
    let mut again = flow["nodes"][1].clone();
    again["id"] = "again".into();
    again["data"]["id"] = "again".into();
    again["data"]["label"] = "again".into();
    flow["nodes"].as_array_mut().unwrap().push(again);
    let edge =
        json!({ "source": "runs", "target": "again", "sourceHandle": "runs-output-runs", "targetHandle": "again" });
    flow["edges"].as_array_mut().unwrap().push(edge);
    flow.to_string()
}

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
fn a_flow_that_another_one_runs_cannot_wait_for_its_user() {
    let node = |id: &str, kind: &str, inputs: Value| json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs } });
    let waits = json!({ "humanInputDescriptionType": "fixed", "humanInputDescription": "Sure?" });
    let nodes = [
        node("start", "startAgentflow", json!({ "startInputType": "chatInput" })),
        node("leave", "humanInputAgentflow", waits),
    ];
    let edge =
        json!({ "source": "start", "target": "leave", "sourceHandle": "start-output-start", "targetHandle": "leave" });
    let other = json!({ "nodes": nodes, "edges": [edge] }).to_string();
    let gateway = Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| {
        model::write(dir, "support", &runs("sales"));
        model::write(dir, "sales", &other);
    });
    let answer = gateway.predict(ASK);
    assert_eq!(answer.status, 200);
    let told = answer.json()["text"].as_str().unwrap().to_owned();
    assert!(told.contains("\"statusCode\": 500"), "{told}");
    assert!(told.contains("leave: this node waits for its user, who cannot be asked in a flow"), "{told}");
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
    gateway.write("keys.yaml", "keys:\n  - { id: app");
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
fn a_run_goes_on_with_the_flows_that_it_began_with() {
    let (open, gate) = Gate::new();
    let model = Upstream::start(move |seen, reply| {
        gate.pass();
        model::answer(seen, reply, "fine");
    });
    let sales = |beginning: &str| model::export("llm-chain", model.address).replace("You are an assistant", beginning);
    let gateway = Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| {
        model::write(dir, "support", &runs_twice("sales"));
        model::write(dir, "sales", &sales("First"));
    });
    let mut begun = gateway.begin(ASK);
    wait_for("the first of two calls", || (model.seen().len() == 1).then_some(()));
    model::write(gateway.dir(), "sales", &sales("Second"));
    gateway.wait_metric(ACCEPTED_FLOWS, 1.0);
    (0..4).for_each(|_| open.send(()).unwrap());
    assert_eq!(begun.read_response().unwrap().status, 200);
    assert_eq!(gateway.predict(ASK.replace("c1", "c2").as_str()).status, 200);
    let told: Vec<_> = model.seen().iter().map(|seen| model::told(seen)[0].1.clone()).collect();
    let beginnings: Vec<_> = told.iter().map(|told| told.split(' ').next().unwrap()).collect();
    assert_eq!(beginnings, ["First", "First", "Second", "Second"]);
}

#[test]
fn a_flow_that_is_not_there_is_told_before_it_is_run() {
    let gateway =
        Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| model::write(dir, "support", &runs(FLOW)));
    let need = format!("flow {FLOW}");
    gateway.log_line(|line| line["message"] == "flows will fail for want of something" && line["need"] == *need);
    gateway.predict(ASK).assert_refused(500, "upstream_error");
    let flowgate = |arguments: &[&str]| {
        Command::new(BINARY).env_remove("FLOWGATE_CONFIG").current_dir(gateway.dir()).args(arguments).output().unwrap()
    };
    let note = String::from_utf8(flowgate(&["check", "--config", "flowgate.yaml"]).stderr).unwrap();
    assert!(note.contains(&format!("  flow {FLOW}: 1 flow, 1 node: support: runs\n")), "{note}");
    let check = |files: &[&str]| {
        let output = flowgate(&[&["flows", "check"], files].concat());
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let alone = check(&["flows/support.json"]);
    assert!(alone.contains(&format!("runs, needs flow {FLOW}\n")), "{alone}");
    assert!(alone.ends_with(&format!("  flow {FLOW}: put its export beside the flow, as {FLOW}.json\n")), "{alone}");
    let other = format!("{FLOW}.json");
    gateway.write(&other, runs("x"));
    assert!(!check(&["flows/support.json", &other]).contains(&need));
}
