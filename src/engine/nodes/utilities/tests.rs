use serde_json::{Value, json};

use crate::engine::contract::node::ReplyContent;
use crate::engine::testing::{flow, load, predict};

#[test]
fn a_variable_is_set_once_and_read_elsewhere() {
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("p_0", "promptTemplate", json!({ "template": "first {q}" })),
        ("first_0!", "llmChain", json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" })),
        (
            "set_0",
            "setVariable",
            json!({ "input": ["{{first_0!.data.instance}}"], "variableName": "v", "showOutput": true }),
        ),
        ("get_0", "getVariable", json!({ "variableName": "v" })),
        (
            "p_1",
            "promptTemplate",
            json!({ "template": "then {v} {q}", "promptValues": { "v": "{{get_0.data.instance}}" } }),
        ),
        ("last_0", "llmChain", json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_1.data.instance}}" })),
    ])
    .unwrap();
    let predicted = predict(&flow, &json!({ "question": "Q" }), &["one".into(), "two".into()]);
    let asked: Vec<_> = predicted.asked.iter().map(|messages| &messages[0]["content"]).collect();
    assert_eq!(asked, ["first Q", "then one Q"]);
    let reply = predicted.reply.unwrap();
    assert_eq!(reply.said, ReplyContent::Text("two".into()));
    assert_eq!(Value::from(reply.variables), json!({ "v": "one" }));
}

#[test]
fn a_variable_that_is_never_set_is_refused() {
    let error = flow(&[("get_0", "getVariable", json!({ "variableName": "v" }))]).unwrap_err();
    assert_eq!(error, "node \"get_0\" (getVariable), input variableName: no Set Variable node sets v");
}

#[test]
fn a_condition_chooses_the_end() {
    let node = |id: &str, kind: &str, inputs: Value| json!({ "id": id, "data": { "name": kind, "label": id, "inputs": inputs, "outputs": {} } });
    let edge = |source: &str, handle: &str, target: &str| json!({ "source": source, "target": target, "sourceHandle": format!("{source}-output-{handle}-string") });
    let prompt = |words: &str| json!({ "template": format!("{words} {{x}}"), "promptValues": { "x": "{{if_0.data.instance}}" } });
    let chain =
        |prompt: &str| json!({ "model": "{{m_0.data.instance}}", "prompt": format!("{{{{{prompt}.data.instance}}}}") });
    let code = "if ($q.includes('yes') && $vars.tier == 'gold') { return 'it was ' + $input }";
    let export = json!({
        "nodes": [
            node("m_0", "testModel", json!({})),
            node("if_0", "ifElseFunction", json!({
                "functionInputVariables": "{\"q\":\"{{question}}\"}",
                "ifFunction": code,
                "elseFunction": "return 'no'",
            })),
            node("p_0", "promptTemplate", prompt("true")),
            node("p_1", "promptTemplate", prompt("false")),
            node("c_0", "llmChain", chain("p_0")),
            node("c_1", "llmChain", chain("p_1")),
        ],
        "edges": [
            edge("m_0", "m", "c_0"),
            edge("m_0", "m", "c_1"),
            edge("if_0", "returnTrue", "p_0"),
            edge("if_0", "returnFalse", "p_1"),
            edge("p_0", "p", "c_0"),
            edge("p_1", "p", "c_1"),
        ],
    });
    let flow = load(&export).unwrap();
    for (question, expected) in [("yes", "true it was yes"), ("nope", "false no")] {
        let body = json!({ "question": question, "overrideConfig": { "vars": { "tier": "gold" } } });
        let predicted = predict(&flow, &body, &["ok".into()]);
        assert_eq!(predicted.asked[0][0]["content"], expected);
    }
}
