//! Nodes of this family in flows: what is read of them, and what a model is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::{McpServer, Secret};
use crate::engine::compile::context::{CompileContext, Credentials, Need};
use crate::engine::flow::CompiledFlow;
use crate::engine::mcp::lab::{echo_server, program};
use crate::engine::provider::Targets;
use crate::engine::testing::predict;
use crate::telemetry::metrics::Metrics;

/// An agent with such a tool.
fn flow(kind: &str, inputs: &Value, servers: &[(&str, McpServer)]) -> Result<CompiledFlow, String> {
    let node = |id: &str, name: &str, inputs: &Value| json!({ "id": id, "data": { "name": name, "label": id, "inputs": inputs } });
    let agent = json!({ "model": "{{m_0.data.instance}}", "memory": "{{b_0.data.instance}}", "tools": ["{{t_0.data.instance}}"] });
    let nodes = [
        node("m_0", "testModel", &json!({})),
        node("b_0", "bufferMemory", &json!({})),
        node("t_0", kind, inputs),
        node("a_0", "toolAgent", &agent),
    ];
    let edge = |source: &str| json!({ "source": source, "target": "a_0" });
    let edges = ["m_0", "b_0", "t_0"].map(edge);
    let export = json!({ "nodes": nodes, "edges": edges });
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&["127.0.0.0/8".parse().unwrap()]);
    let servers: BTreeMap<_, _> = servers.iter().map(|(name, server)| ((*name).to_owned(), server.clone())).collect();
    let secret = |text: &str| Secret::new(text.to_owned());
    let fields = |all: &[(&str, &str)]| all.iter().map(|(name, value)| ((*name).to_owned(), secret(value))).collect();
    let credentials = Credentials::from([
        ("slackApi".to_owned(), fields(&[("botToken", "xoxb-1"), ("teamId", "T1")])),
        ("PostgresUrl".to_owned(), fields(&[("postgresUrl", "postgresql://u:p@db/x")])),
    ]);
    let context = Arc::new(CompileContext::new(credentials, targets).with_mcp_servers(servers));
    CompiledFlow::load(None, "flow", &export.to_string(), &context)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn needs(flow: &CompiledFlow) -> Vec<String> {
    flow.missing.iter().map(|missing| missing.need.to_string()).collect()
}

#[test]
fn a_model_is_told_the_chosen_tools_and_calls_them() {
    let (origin, hearing) = echo_server();
    let config = format!(
        "{{\"url\": \"{origin}/mcp/{{{{$vars.team}}}}\", \"headers\": {{\"X-Key\": \"{{{{$vars.key}}}}\"}}, }}"
    );
    let inputs = json!({ "mcpServerConfig": config, "mcpActions": "[\"echo\", \"gone\"]" });
    let flow = flow("customMCP", &inputs, &[]).unwrap();
    let call = json!([{ "name": "echo", "arguments": { "text": "hi" } }]);
    let vars = json!({ "team": "a/b", "key": "s3cret" });
    let body = json!({ "question": "q", "overrideConfig": { "vars": vars } });
    let predicted = predict(&flow, &body, &[call, json!("done")]);
    let reply = predicted.reply.unwrap();
    let parameters = json!({ "type": "object", "properties": { "text": { "type": "string" } }, "$schema": "x" });
    let tool = json!({ "name": "echo", "description": "Says it again.", "parameters": parameters });
    assert_eq!(predicted.asked[0]["tools"], json!([tool]));
    let output = "[{\"type\":\"text\",\"text\":\"{\\\"text\\\":\\\"hi\\\"}\"}]";
    assert_eq!(reply.fields["usedTools"][0]["toolOutput"], output);
    let heard: Vec<_> = hearing.try_iter().collect();
    assert!(heard.iter().all(|heard| heard.line == "POST /mcp/a%2Fb" && heard.head.contains("\r\nx-key: s3cret")));
}

#[test]
fn a_program_is_run_only_if_the_configuration_names_the_very_same() {
    let config = json!({ "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/"], "env": { "A": "b" } });
    let inputs = json!({ "mcpServerConfig": config, "mcpActions": ["who"] });
    let unnamed = flow("customMCP", &inputs, &[]).unwrap();
    let [missing] = &unnamed.missing[..] else { panic!("{:?}", unnamed.missing) };
    let example = "{ command: npx, args: [\"-y\",\"@modelcontextprotocol/server-filesystem\",\"/\"] }";
    let need = Need::McpServer { name: "filesystem".to_owned(), example: example.to_owned() };
    assert_eq!(missing.need, need);
    assert!(missing.need.refusal().unwrap().contains("engine.mcp.servers: { filesystem: { command: npx"));

    let folder = tempfile::tempdir().unwrap();
    let command = program(folder.path());
    let env = vec![("TOKEN".to_owned(), Secret::new("t".to_owned()))];
    let own = McpServer::Program { command: command.clone(), args: vec!["x".to_owned()], env };
    let other = json!({ "mcpServerConfig": { "command": command, "args": ["y"] }, "mcpActions": ["who"] });
    assert_eq!(needs(&flow("customMCP", &other, &[("own", own.clone())]).unwrap()).len(), 1);
    let same = json!({ "mcpServerConfig": { "command": command, "args": ["x"] }, "mcpActions": ["who"] });
    let flow = flow("customMCP", &same, &[("own", own)]).unwrap();
    assert_eq!(needs(&flow), [""; 0]);
    let call = json!([{ "name": "who", "arguments": {} }]);
    let predicted = predict(&flow, &json!({ "question": "q" }), &[call, json!("done")]);
    let used = predicted.reply.unwrap().fields["usedTools"][0]["toolOutput"].to_string();
    assert!(used.contains(" x t none"), "{used}");
}

#[test]
fn packaged_programs_are_given_what_their_credentials_hold() {
    let folder = tempfile::tempdir().unwrap();
    let command = program(folder.path());
    let bare = McpServer::Program { command, args: Vec::new(), env: Vec::new() };
    let inputs = json!({ "mcpActions": "[\"who\"]" });
    for (kind, name) in [
        ("braveSearchMCP", "braveSearch"),
        ("postgreSQLMCP", "postgreSQL"),
        ("sequentialThinkingMCP", "sequentialThinking"),
        ("slackMCP", "slack"),
        ("supergatewayMCP", "supergateway"),
        ("customMcpServerTool", "7f3"),
    ] {
        let inputs = json!({ "mcpActions": "[\"who\"]", "mcpServerId": if name == "7f3" { name } else { "" } });
        let unnamed = needs(&flow(kind, &inputs, &[]).unwrap());
        assert!(unnamed.contains(&format!("engine.mcp.servers.{name}")), "{kind}: {unnamed:?}");
        assert_eq!(needs(&flow(kind, &inputs, &[(name, bare.clone())]).unwrap()), [""; 0], "{kind}");
    }
    let flow = flow("postgreSQLMCP", &inputs, &[("postgreSQL", bare)]).unwrap();
    let call = json!([{ "name": "who", "arguments": {} }]);
    let predicted = predict(&flow, &json!({ "question": "q" }), &[call, json!("done")]);
    let used = predicted.reply.unwrap().fields["usedTools"][0]["toolOutput"].to_string();
    assert!(used.contains(" postgresql://u:p@db/x none none"), "{used}");
}

#[test]
fn servers_elsewhere_are_asked_with_their_credential() {
    let inputs = json!({ "mcpActions": "[\"get_pull_request_files\"]" });
    assert_eq!(needs(&flow("githubMCP", &inputs, &[]).unwrap()), ["credential githubApi.accessToken"]);
    assert_eq!(
        needs(&flow("browserlessMCP", &inputs, &[]).unwrap()),
        ["credential browserlessApi.browserlessApiToken"]
    );
    let (origin, hearing) = echo_server();
    let headers = vec![(http::header::AUTHORIZATION, Secret::new("Bearer of-the-operator".to_owned()))];
    let own = McpServer::Remote { url: format!("{origin}/github"), headers };
    let flow = flow("githubMCP", &json!({ "mcpActions": "[\"echo\"]" }), &[("github", own)]).unwrap();
    assert!(predict(&flow, &json!({ "question": "q" }), &[json!("done")]).reply.is_ok());
    let heard = hearing.try_iter().next().unwrap();
    assert!(heard.line == "POST /github" && heard.head.contains("\r\nauthorization: bearer of-the-operator"));
    let toolkit = json!({ "sseUrl": format!("{origin}/sse") });
    let flow = super::tests::flow("mcpToolkit", &toolkit, &[]).unwrap();
    let predicted = predict(&flow, &json!({ "question": "q" }), &[json!("done")]);
    assert_eq!(predicted.asked[0]["tools"].as_array().unwrap().len(), 2);
}

#[test]
fn what_no_server_can_be_made_of_is_refused() {
    for (config, told) in [
        (json!("[1]"), "expected a JSON object"),
        (json!({ "mcpServers": {} }), "expected the url of a server, or the command of a program"),
        (json!({ "url": "https://{{$vars.x}}/mcp" }), "the scheme and the host must be written out"),
        (json!({ "url": "https://x/mcp", "headers": "x" }), "expected headers as a JSON object"),
        (json!({ "command": "{{$vars.x}}" }), "must be written out as texts"),
    ] {
        let error = flow("customMCP", &json!({ "mcpServerConfig": config }), &[]).unwrap_err();
        assert!(error.contains("input mcpServerConfig: ") && error.contains(told), "{error}");
    }
}

#[test]
fn a_server_that_does_not_answer_ends_the_run_in_flowises_words() {
    let inputs = json!({ "mcpServerConfig": { "url": "http://127.0.0.1:9/mcp" }, "mcpActions": ["echo"] });
    let predicted = predict(&flow("customMCP", &inputs, &[]).unwrap(), &json!({ "question": "q" }), &[]);
    let error = predicted.reply.unwrap_err().to_string();
    assert_eq!(error, "Invalid MCP Server Config: Error: connect ECONNREFUSED");
}
