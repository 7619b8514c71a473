//! What a client may override, and what nobody but the operator may.

use serde_json::json;

use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::predictions::{PLAN, QUESTION, assert_refused, fields, forwarded, with_chatflow};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, client};

#[test]
fn a_client_overrides_what_the_chatflow_allows_path_by_path() {
    let upstream = Upstream::answering();
    let allowed = ", override_config: [sessionId, vars.userId, deep.a.b]";
    let gateway = with_chatflow(upstream.address, allowed);
    let overrides = json!({"sessionId": "s", "vars": {"userId": "7"}, "deep": {"a": {"b": 1.5}}});
    let body = json!({"question": "hi", "overrideConfig": overrides}).to_string();
    assert_eq!(forwarded(&gateway, &upstream, &body).json()["overrideConfig"], overrides);
    assert_refused(
        allowed,
        "override_config",
        &[
            (
                r#"{"question":"hi","overrideConfig":{"systemMessage":"x"}}"#,
                "overrideConfig.systemMessage may not be set",
            ),
            (r#"{"question":"hi","overrideConfig":{"sessionId":"s","x":null}}"#, "overrideConfig.x"),
            (r#"{"question":"hi","overrideConfig":{"x":{"sessionId":"s"}}}"#, "overrideConfig.x"),
            (r#"{"question":"hi","overrideConfig":{"x":["s"]}}"#, "overrideConfig.x"),
            (r#"{"question":"hi","overrideConfig":{"vars":{"planType":"pro"}}}"#, "overrideConfig.vars.planType"),
            (r#"{"question":"hi","variables":{"planType":"pro"}}"#, "overrideConfig.vars.planType"),
            (r#"{"question":"hi","overrideConfig":{"vars":"x"}}"#, "overrideConfig.vars"),
            (r#"{"question":"hi","overrideConfig":{"vars.userId":"x"}}"#, "overrideConfig.vars.userId"),
            (r#"{"question":"hi","overrideConfig":{"deep":{"a":{"c":1}}}}"#, "overrideConfig.deep.a.c"),
            (r#"{"question":"hi","overrideConfig":{"deep":{"a":1}}}"#, "overrideConfig.deep.a"),
        ],
    );
    // Written empty, nothing is allowed; unwritten, the session is.
    assert_refused(
        ", override_config: []",
        "override_config",
        &[(r#"{"question":"hi","overrideConfig":{"sessionId":"s"}}"#, "overrideConfig.sessionId")],
    );
    assert_refused(
        "",
        "override_config",
        &[(r#"{"question":"hi","overrideConfig":{"vars":{}}}"#, "overrideConfig.vars")],
    );
}

#[test]
fn what_chatflow_and_key_force_no_client_can_change() {
    let upstream = Upstream::answering();
    let chatflow = ", override_config: [vars, promptValues], vars: { planType: pro, who: flow }, \
                    force_override: { promptValues: { tone: kind } }";
    let keys = keys(", vars: { userId: '12345', who: key }");
    let gateway = Gateway::start_with(&config(upstream.address, "", "", chatflow, PLAN), &keys, |_| {});
    let forced = json!({"planType": "pro", "userId": "12345", "who": "key"});
    for body in [
        QUESTION,
        r#"{"question":"hi","variables":{"planType":"free","userId":"1","who":"me"}}"#,
        r#"{"question":"hi","overrideConfig":{"vars":{"userId":"1"},"promptValues":{"tone":"rude","x":1}}}"#,
    ] {
        let expected = json!({"question": "hi", "overrideConfig": {"promptValues": {"tone": "kind"}, "vars": forced}});
        assert_eq!(fields(&gateway, &upstream, body), expected, "{body}");
    }
    let body = r#"{"question":"hi","variables":{"mine":1,"planType":"free"}}"#;
    let vars = json!({"mine": 1, "planType": "pro", "userId": "12345", "who": "key"});
    assert_eq!(fields(&gateway, &upstream, body)["overrideConfig"]["vars"], vars);
}

#[test]
fn an_allowed_path_takes_a_value_of_its_type_only() {
    let allowed = ", override_config: [vars, promptValues, startState, temperature, systemMessage.toolAgent_0]";
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, allowed);
    for overrides in [
        json!({"vars": {"a": "x", "b": 1, "c": true, "d": null}}),
        json!({"promptValues": {"userId": "x"}}),
        json!({"promptValues": {"promptTemplate_0": {"userId": "x"}}}),
        json!({"startState": [{"key": "step", "value": "x"}, {"key": "url", "value": 1}]}),
        json!({"temperature": 0.7}),
        json!({"temperature": "0.7"}),
        json!({"systemMessage": {"toolAgent_0": "Be brief."}}),
    ] {
        let body = json!({"question": "hi", "overrideConfig": overrides});
        assert_eq!(fields(&gateway, &upstream, &body.to_string()), body);
    }
    assert_refused(
        allowed,
        "override_type",
        &[
            // Flowise lets an object past its own list of enabled overrides, into every node.
            (r#"{"question":"hi","overrideConfig":{"temperature":{"x":1}}}"#, "temperature must be a single value"),
            (
                r#"{"question":"hi","overrideConfig":{"temperature":{"chatOpenAI_0":1}}}"#,
                "temperature must be a single",
            ),
            (r#"{"question":"hi","overrideConfig":{"temperature":[1]}}"#, "temperature must be a single value"),
            (r#"{"question":"hi","overrideConfig":{"vars":"all"}}"#, "vars must be an object"),
            (r#"{"question":"hi","overrideConfig":{"startState":"x"}}"#, "startState must be an object"),
            (
                r#"{"question":"hi","overrideConfig":{"startState":[{"key":"a","value":{"b":1}}]}}"#,
                "startState.a must be a single value",
            ),
            (r#"{"question":"hi","overrideConfig":{"vars":["a"]}}"#, "vars must be an object"),
            (r#"{"question":"hi","overrideConfig":{"vars":{"a":{"$ne":1}}}}"#, "vars.a must be a single value"),
            (r#"{"question":"hi","variables":{"a":["x"]}}"#, "vars.a must be a single value"),
            (
                r#"{"question":"hi","overrideConfig":{"promptValues":"{\"a\":\"x\"}"}}"#,
                "promptValues must be an object",
            ),
            (r#"{"question":"hi","overrideConfig":{"promptValues":{"a":{"b":{"c":1}}}}}"#, "must be a single value"),
            (r#"{"question":"hi","overrideConfig":{"promptValues":{"a":[1]}}}"#, "must be a single value"),
            (
                r#"{"question":"hi","overrideConfig":{"systemMessage":{"toolAgent_0":{"a":1}}}}"#,
                "systemMessage.toolAgent_0 must be a single value",
            ),
        ],
    );
    assert_refused(
        allowed,
        "override_config",
        &[
            (r#"{"question":"hi","overrideConfig":{"systemMessage":"x"}}"#, "systemMessage may not be set"),
            (
                r#"{"question":"hi","overrideConfig":{"systemMessage":{"toolAgent_1":"x"}}}"#,
                "toolAgent_1 may not be set",
            ),
        ],
    );
}

#[test]
fn a_start_state_is_sent_as_the_list_that_flowise_takes() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", override_config: [startState.mood, startState.step]");
    let list = json!([{"key": "mood", "value": "calm"}, {"key": "step", "value": 2}]);
    for state in [json!({"mood": "calm", "step": 2}), list.clone()] {
        let body = json!({"question": "hi", "overrideConfig": {"startState": state}});
        assert_eq!(fields(&gateway, &upstream, &body.to_string())["overrideConfig"]["startState"], list);
    }
    let allowed = ", override_config: [startState.mood]";
    let with = |state: &str| format!(r#"{{"question":"hi","overrideConfig":{{"startState":{state}}}}}"#);
    let other = with(r#"[{"key":"step","value":1}]"#);
    assert_refused(allowed, "override_config", &[(&other, "overrideConfig.startState.step may not be set")]);
    let bodies =
        ["[1]", r#"[{"key":1,"value":1}]"#, r#"[{"key":"mood"}]"#, r#"[{"key":"mood","value":1,"x":1}]"#].map(with);
    let cases: Vec<(&str, &str)> = bodies.iter().map(|body| (body.as_str(), "startState must be a list of")).collect();
    assert_refused(allowed, "field_type", &cases);
    let proto = with(r#"[{"key":"__proto__","value":1}]"#);
    assert_refused(allowed, "prototype_field", &[(&proto, "startState.__proto__ is not allowed")]);
    let template = with(r#"[{"key":"mood","value":"{{$vars.x}}"}]"#);
    assert_refused(allowed, "override_template", &[(&template, "startState.mood may not hold")]);
    // The operator's own as well.
    let gateway = with_chatflow(upstream.address, ", force_override: { startState: { mood: kind } }");
    let sent = fields(&gateway, &upstream, QUESTION)["overrideConfig"].clone();
    assert_eq!(sent, json!({"startState": [{"key": "mood", "value": "kind"}]}));
}

#[test]
fn a_template_in_an_override_would_read_what_no_client_shall() {
    assert_refused(
        ", override_config: [vars, promptValues, systemMessage]",
        "override_template",
        &[
            (
                r#"{"question":"hi","overrideConfig":{"promptValues":{"a":"{{$vars.secret}}"}}}"#,
                "promptValues.a may not",
            ),
            (
                r#"{"question":"hi","overrideConfig":{"systemMessage":"\u007b{ chatOpenAI_0.data }}"}}"#,
                "systemMessage may",
            ),
            (r#"{"question":"hi","variables":{"a":"x{{question}}"}}"#, "vars.a may not hold {{"),
        ],
    );
}

#[test]
fn what_no_client_may_override_is_refused_by_name_and_reason() {
    for (rule, what, names) in [
        ("override_credentials", "credentials", ["openAIApiKey", "credential", "FLOWISE_CREDENTIAL_ID", "awsSecret"]),
        ("override_address", "addresses", ["basepath", "baseUrl", "endpoint", "proxyUrl"]),
        ("override_code", "code", ["javascriptFunction", "customCode", "supabaseRPCFilter", "sqlQuery"]),
        ("override_file", "files", ["txtFile", "folderPath", "pdfFile", "caFile"]),
        ("override_tools", "tools", ["mcpServerConfig", "mcpActions", "agentTools", "llmModelConfig"]),
        ("override_analytics", "traces", ["analytics", "analytic", "evaluation", "callbacks"]),
        ("override_history", "history", ["chatHistory", "chatId", "$flow", "sessionid"]),
    ] {
        let bodies = names.map(|name| json!({"question": "hi", "overrideConfig": {name: "x"}}).to_string());
        let objects = json!({"question": "hi", "overrideConfig": {names[0]: {"chatOpenAI_0": "x"}}}).to_string();
        let mut cases: Vec<(&str, &str)> = bodies.iter().map(|body| (body.as_str(), what)).collect();
        cases.push((&objects, what));
        assert_refused(", override_config: [sessionId, vars]", rule, &cases);
    }
}

#[test]
fn what_a_key_forces_is_refused_where_the_body_is_not_read() {
    let upstream = Upstream::answering();
    let keys = keys(", upsert: true, vars: { userId: '12345' }");
    let gateway = Gateway::start_with(&config(upstream.address, "", "", ", body: passthrough", PLAN), &keys, |_| {});
    for path in ["/api/v1/prediction/support", "/api/v1/vector/upsert/support"] {
        let response = client::post(gateway.http, path, &[("x-api-key", KEY)], QUESTION);
        response.assert_refused(400, "invalid_request");
        assert!(response.text().contains("the body is forwarded unread"), "{}", response.text());
    }
    assert!(upstream.seen().is_empty());
    gateway.wait_metric("flowgate_rejected_total{rule=\"forced_vars\"}", 2.0);
}
