//! Nodes of services in flows: what is read of them, and what is shown of their calls.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::Secret;
use crate::engine::compile::context::{CompileContext, Credentials};
use crate::engine::flow::CompiledFlow;
use crate::engine::mcp::lab::{response, server};
use crate::engine::provider::Targets;
use crate::engine::testing::predict;
use crate::telemetry::metrics::Metrics;

/// An agent with such a tool.
fn flow(kind: &str, inputs: &Value, credentials: &[(&str, &[(&str, &str)])]) -> Result<CompiledFlow, String> {
    let node = |id: &str, name: &str, inputs: &Value| json!({ "id": id, "data": { "name": name, "label": id, "inputs": inputs } });
    let agent = json!({ "model": "{{m_0.data.instance}}", "memory": "{{b_0.data.instance}}", "tools": ["{{t_0.data.instance}}"] });
    let nodes = [
        node("m_0", "testModel", &json!({})),
        node("b_0", "bufferMemory", &json!({})),
        node("t_0", kind, inputs),
        node("a_0", "toolAgent", &agent),
    ];
    let edges = ["m_0", "b_0", "t_0"].map(|source| json!({ "source": source, "target": "a_0" }));
    let export = json!({ "nodes": nodes, "edges": edges });
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&["127.0.0.0/8".parse().unwrap()]);
    let fields = |all: &[(&str, &str)]| {
        all.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect()
    };
    let credentials: Credentials = credentials.iter().map(|(name, all)| ((*name).to_owned(), fields(all))).collect();
    let context = Arc::new(CompileContext::new(credentials, targets));
    CompiledFlow::load(None, "flow", &export.to_string(), &context)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn needs(flow: &CompiledFlow) -> Vec<String> {
    flow.missing.iter().map(|missing| missing.need.to_string()).collect()
}

#[test]
fn what_its_author_set_goes_before_what_a_model_says_and_is_shown() {
    let (origin, hearing) = server(|_| response("200 OK", "", "{\"key\":\"P-1\"}"));
    let inputs = json!({
        "jiraHost": format!("{origin}/jira/"), "jiraType": "issues", "issueActions": "[\"createIssue\",\"getIssue\"]",
        "userActions": "[\"getUser\"]", "projectKey": "P", "issueType": "{{$vars.kind}}", "issueSummary": "", "enableSSL": true,
    });
    let flow = flow("jiraTool", &inputs, &[("jiraApi", &[("username", "u"), ("accessToken", "k")])]).unwrap();
    let call =
        json!([{ "name": "create_issue", "arguments": { "projectKey": "Q", "issueType": "Bug", "summary": "S" } }]);
    let body = json!({ "question": "q", "overrideConfig": { "vars": { "kind": "Task\", \"x\": \"y" } } });
    let predicted = predict(&flow, &body, &[call, json!("done")]);
    let told: Vec<&Value> = predicted.asked[0]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(told, ["create_issue", "get_issue"]);
    assert_eq!(predicted.asked[1]["messages"][3]["content"], "{\"key\":\"P-1\"}");
    let called = json!({ "projectKey": "P", "issueType": "Task\", \"x\": \"y", "summary": "S" });
    let used = json!([{ "tool": "create_issue", "toolInput": called, "toolOutput": "{\"key\":\"P-1\"}" }]);
    assert_eq!(predicted.reply.unwrap().fields["usedTools"], used);
    let heard = hearing.try_iter().next().unwrap();
    assert_eq!(heard.line, "POST /jira/rest/api/3/issue");
    assert!(heard.head.contains("\r\nauthorization: basic dtpr"), "{}", heard.head);
    let issue = json!({ "fields": { "project": { "key": "P" }, "issuetype": { "name": "Task\", \"x\": \"y" }, "summary": "S" } });
    assert_eq!(heard.body, issue);
}

#[test]
fn a_token_of_jira_is_for_its_older_api() {
    let (origin, hearing) = server(|_| response("204 No Content", "", ""));
    let inputs = json!({ "jiraHost": origin, "jiraType": "issues", "issueActions": "[\"deleteIssue\"]" });
    let flow = flow("jiraTool", &inputs, &[("jiraApiBearerToken", &[("bearerToken", "pat")])]).unwrap();
    let call = json!([{ "name": "delete_issue", "arguments": { "issueKey": "P-1" } }]);
    let predicted = predict(&flow, &json!({ "question": "q" }), &[call, json!("done")]);
    assert_eq!(predicted.asked[1]["messages"][3]["content"], "");
    let heard = hearing.try_iter().next().unwrap();
    assert_eq!(heard.line, "DELETE /rest/api/2/issue/P-1");
    assert!(heard.head.contains("\r\nauthorization: bearer pat"), "{}", heard.head);
}

#[test]
fn what_a_node_needs_is_named_when_its_flow_is_loaded() {
    let inputs = json!({ "gmailType": "drafts", "draftActions": "[\"createDraft\"]" });
    let gmail = flow("gmail", &inputs, &[]).unwrap();
    assert_eq!(
        needs(&gmail),
        ["clientId", "clientSecret", "refresh_token"].map(|field| format!("credential gmailOAuth2.{field}"))
    );
    assert!(needs(&flow("gmail", &inputs, &[("gmailOAuth2", &[("access_token", "t")])]).unwrap()).is_empty());
    let teams = flow("microsoftTeams", &json!({ "teamsType": "chat", "chatActions": "[\"listChats\"]" }), &[]).unwrap();
    assert!(needs(&teams).contains(&"credential microsoftTeamsOAuth2.accessTokenUrl".to_owned()));
    // Without a token it fails where it is needed, and says so.
    let call = json!([{ "name": "create_draft", "arguments": { "to": "a@x.example" } }]);
    let predicted = predict(&gmail, &json!({ "question": "q" }), &[call, json!("done")]);
    assert_eq!(predicted.asked[1]["messages"][3]["content"], "No access token found in credential");
}

#[test]
fn what_cannot_be_done_is_refused_by_node_and_input() {
    let refused = |inputs: Value| flow("jiraTool", &inputs, &[]).unwrap_err();
    let words = |input: &str, words: &str| format!("node \"t_0\" (jiraTool), input {input}: {words}");
    let address = "the scheme and the host must be written out; {{...}} may stand behind them";
    assert_eq!(refused(json!({ "jiraHost": "https://{{$vars.host}}/" })), words("jiraHost", address));
    let empty = flow("jiraTool", &json!({}), &[]).unwrap();
    assert!(needs(&empty).contains(&"jiraHost".to_owned()), "{:?}", needs(&empty));
    let file = json!({ "jiraHost": "https://x.example", "caFile": "FILE-STORAGE::ca.pem" });
    assert_eq!(refused(file), words("caFile", "the engine does not support this option"));
    let inside = flow("jiraTool", &json!({ "jiraHost": "http://10.0.0.1" }), &[]).unwrap();
    assert!(needs(&inside).contains(&"allow_networks for 10.0.0.1".to_owned()), "{:?}", needs(&inside));
}
