//! Where tools and HTTP nodes may lead: to the open internet, and to the networks that the configuration names.

use std::process::Command;

use serde_json::json;

use super::{ASK, WIDE};
use crate::harness::gateway::{BINARY, Gateway, keys};
use crate::harness::model;
use crate::harness::upstream::Upstream;

/// An agentflow that asks an address.
fn asks(url: &str) -> String {
    let node = |id: &str, kind: &str, inputs: serde_json::Value| json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs } });
    let nodes = [
        node("start", "startAgentflow", json!({ "startInputType": "chatInput" })),
        node("asks", "httpAgentflow", json!({ "method": "GET", "url": url })),
    ];
    let edge =
        json!({ "source": "start", "target": "asks", "sourceHandle": "start-output-start", "targetHandle": "asks" });
    json!({ "nodes": nodes, "edges": [edge] }).to_string()
}

/// A configuration that allows these networks.
fn allowing(networks: &str) -> String {
    model::config("", "", WIDE).replace("engine: { ", &format!("engine: {{ allow_networks: [{networks}], "))
}

#[test]
fn only_networks_that_are_named_are_called() {
    let service = Upstream::start(|_, reply| reply.json("200 OK", r#"{"found":"it"}"#));
    let gateway = Gateway::start_with(&allowing(""), &keys(""), |dir| {
        // Not known for an address before the system looks it up.
        model::write(dir, "support", &asks(&format!("http://127.1:{}/x", service.address.port())));
    });
    gateway.predict(ASK).assert_refused(500, "upstream_error");
    assert_eq!(service.seen().len(), 0);
    let cause = "the name has only addresses of this network, which allow_networks does not hold";
    gateway.log_line(|line| line["message"] == "upstream not reachable" && line["cause"] == cause);

    let before = gateway.metric(r#"flowgate_config_reloads_total{file="config",result="accepted"}"#);
    gateway.write("flowgate.yaml", allowing("127.0.0.0/8, '::1'"));
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="config",result="accepted"}"#, before + 1.0);
    let answer = gateway.predict(ASK);
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains(r#""found":"it""#), "{}", answer.text());
    assert_eq!(service.seen().len(), 1);

    gateway.write("flowgate.yaml", allowing("10.0.0.0/8"));
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="config",result="accepted"}"#, before + 2.0);
    gateway.predict(ASK).assert_refused(500, "upstream_error");
    assert_eq!(service.seen().len(), 1, "the open connection is not used either");
}

#[test]
fn what_is_not_allowed_is_told_before_it_is_called() {
    let service = Upstream::start(|_, reply| reply.json("200 OK", "{}"));
    let url = format!("http://localhost:{}/x", service.address.port());
    let gateway = Gateway::start_with(&allowing(""), &keys(""), |dir| model::write(dir, "support", &asks(&url)));
    gateway.log_line(|line| {
        line["message"] == "flows will fail for want of something"
            && line["need"] == "allow_networks for localhost"
            && line["advice"] == "put the address of localhost into `allow_networks` of the engine"
    });
    let refused = gateway.predict(ASK);
    refused.assert_refused(500, "upstream_error");
    assert!(refused.text().contains("requests to this machine and its network are denied by policy"));
    assert_eq!(service.seen().len(), 0);

    let flowgate = |arguments: &[&str]| {
        Command::new(BINARY).env_remove("FLOWGATE_CONFIG").current_dir(gateway.dir()).args(arguments).output().unwrap()
    };
    let output = flowgate(&["flows", "check", "flows/support.json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains("asks   httpAgentflow   runs, needs allow_networks for localhost\n"), "{text}");
    let advice = "\n  allow_networks for localhost: put the address of localhost into `allow_networks` of the engine\n";
    assert!(text.ends_with(advice), "{text}");
    let note = String::from_utf8(flowgate(&["check", "--config", "flowgate.yaml"]).stderr).unwrap();
    let expected = "  allow_networks for localhost: 1 flow, 1 node: support: asks\n    \
                    put the address of localhost into upstreams.local.engine.allow_networks\n";
    assert!(note.contains(expected), "{note}");
    gateway.write("other.yaml", allowing("127.0.0.1"));
    let output = flowgate(&["flows", "check", "flows/support.json", "--config", "other.yaml"]);
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("the engine runs this flow\n"));
}
