//! Tools of MCP servers: elsewhere, and programs on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{ASK, WIDE};
use crate::harness::gateway::{BINARY, Gateway, keys};
use crate::harness::model;
use crate::harness::upstream::{Seen, Upstream};

/// An agentflow that calls a tool of a Custom MCP.
fn calls(config: &Value, tool: &str) -> String {
    let filled = json!([{ "name": "toolInputArgs", "acceptVariable": true }]);
    let node = |id: &str, kind: &str, inputs: Value| json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs, "inputParams": filled } });
    let own = json!({ "mcpServerConfig": config.to_string(), "mcpActions": json!([tool]).to_string() });
    let arguments = json!([{ "inputArgName": "text", "inputArgValue": "{{ question }}" }]);
    let inputs = json!({ "toolAgentflowSelectedTool": "customMCP", "toolAgentflowSelectedToolConfig": own,
        "toolInputArgs": arguments, "toolUpdateState": [] });
    let nodes = [
        node("start", "startAgentflow", json!({ "startInputType": "chatInput" })),
        node("calls", "toolAgentflow", inputs),
    ];
    let edge =
        json!({ "source": "start", "target": "calls", "sourceHandle": "start-output-start", "targetHandle": "calls" });
    json!({ "nodes": nodes, "edges": [edge] }).to_string()
}

fn config(engine: &str) -> String {
    model::config("", "", WIDE).replace("engine: { ", &format!("engine: {{ {engine}, "))
}

/// What a server with one tool answers.
fn answer(seen: &Seen) -> Value {
    let asked = seen.json();
    let result = match asked["method"].as_str().unwrap_or_default() {
        "initialize" => json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {} }),
        "tools/list" => json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] }),
        _ => json!({ "content": [{ "type": "text", "text": asked["params"]["arguments"]["text"] }] }),
    };
    json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result })
}

#[test]
fn a_tool_of_a_server_elsewhere_is_called() {
    let service = Upstream::start(|seen, reply| {
        let is_asked = seen.json().get("id").is_some();
        if is_asked { reply.json("200 OK", &answer(seen).to_string()) } else { reply.json("202 Accepted", "") }
    });
    let url = format!("http://{}/mcp", service.address);
    let flow = calls(&json!({ "url": url, "headers": { "X-Api-Key": "of-the-author-1234" } }), "echo");
    let gateway = Gateway::start_with(&config("allow_networks: ['127.0.0.0/8']"), &keys(""), |dir| {
        model::write(dir, "support", &flow);
    });
    let answered = gateway.predict(ASK);
    assert_eq!(answered.status, 200, "{}", answered.text());
    let text: Value = serde_json::from_str(&answered.text()).unwrap();
    assert_eq!(text["text"], "[{\"type\":\"text\",\"text\":\"hi\"}]");
    let seen = service.seen();
    let methods: Vec<String> = seen.iter().map(|seen| seen.json()["method"].as_str().unwrap().to_owned()).collect();
    let each = ["initialize", "notifications/initialized"];
    assert_eq!(methods, [each.as_slice(), &["tools/list"], &each, &["tools/call"]].concat());
    assert!(seen.iter().all(|seen| seen.header("x-api-key") == Some("of-the-author-1234")));
    gateway.wait_metric("flowgate_engine_mcp_requests_total{result=\"ok\",transport=\"http\"}", 2.0);
}

/// A program with one tool, which tells what it was started with.
fn program(folder: &Path) -> String {
    let path = folder.join("server.sh");
    let script = r#"#!/bin/sh
while read -r line; do
  id=${line##*\"id\":}; id=${id%%[!0-9]*}
  case $line in
    *'"initialize"'*) result='{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{}}' ;;
    *tools/list*) result='{"tools":[{"name":"who","inputSchema":{"type":"object"}}]}' ;;
    *tools/call*) result='{"content":[{"type":"text","text":"pid '$$' '$TOKEN' '$1' '${HUSH:-nothing}'"}]}' ;;
    *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_program_runs_only_if_the_configuration_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let command = program(folder.path());
    let flow = calls(&json!({ "command": command, "args": ["one"], "env": { "TOKEN": "of-the-author" } }), "who");
    let named = config(&format!(
        "mcp: {{ servers: {{ who: {{ command: '{command}', args: [one], env: {{ TOKEN: own }} }} }} }}"
    ));
    let gateway = Gateway::start_with(&named, &keys(""), |dir| model::write(dir, "support", &flow));
    let answered = gateway.predict(ASK);
    assert_eq!(answered.status, 200, "{}", answered.text());
    let answered: Value = serde_json::from_str(&answered.text()).unwrap();
    let told: Value = serde_json::from_str(answered["text"].as_str().unwrap()).unwrap();
    let told = told[0]["text"].as_str().unwrap().to_owned();
    assert!(told.ends_with(" own one nothing"), "{told}");
    let pid = told.split(' ').nth(1).unwrap().to_owned();
    assert!(Path::new("/proc").join(&pid).exists());
    gateway.wait_metric("flowgate_engine_mcp_starts_total{result=\"started\",server=\"who\"}", 1.0);

    // Without it the flow is not taken, and both commands say what is to be written.
    gateway.write("bare.yaml", config("allow_networks: []"));
    let flowgate = |arguments: &[&str]| {
        Command::new(BINARY).env_remove("FLOWGATE_CONFIG").current_dir(gateway.dir()).args(arguments).output().unwrap()
    };
    let output = flowgate(&["check", "--config", "bare.yaml"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    let example = format!("engine.mcp.servers: {{ serversh: {{ command: {command}, args: [\"one\"] }} }}");
    assert!(text.contains(&format!("only the configuration can name: {example}")), "{text}");
    let output = flowgate(&["flows", "check", "flows/support.json", "--config", "bare.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("runs, needs engine.mcp.servers.serversh\n"), "{text}");
    assert!(text.contains("the flow is refused without"), "{text}");
    assert!(text.contains(&format!("put `serversh: {{ command: {command}, args: [\"one\"] }}`")), "{text}");
    let output = flowgate(&["flows", "check", "flows/support.json", "--config", "flowgate.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("calls  toolAgentflow   runs\n") && text.contains("ignored: input mcpServerConfig: env"),
        "{text}"
    );

    drop(gateway);
    crate::harness::wait_for("the program to end", || (!Path::new("/proc").join(&pid).exists()).then_some(()));
}
