use serde_json::json;

use crate::engine::testing::{answer, flow, predict, server};

/// A chain whose end is code with these inputs, and its answer to a question.
fn said(code: &str, given: &serde_json::Value) -> Result<String, String> {
    let inputs = json!({ "javascriptFunction": code, "functionInputVariables": given });
    let flow = flow(&[
        ("f_0", "customFunction", inputs),
        ("p_0", "promptTemplate", prompt()),
        ("m_0", "testModel", json!({})),
        ("c_0", "llmChain", chain()),
    ])?;
    let body = json!({ "question": "Q \"}` ${1}", "overrideConfig": { "vars": { "v": "{{question}}" } } });
    let predicted = predict(&flow, &body, &["ok".into()]);
    match predicted.reply {
        Ok(_) => Ok(predicted.asked[0][0]["content"].as_str().unwrap().to_owned()),
        Err(failure) => Err(failure.to_string()),
    }
}

fn prompt() -> serde_json::Value {
    json!({ "template": "{x}", "promptValues": { "x": "{{f_0.data.instance}}" } })
}

fn chain() -> serde_json::Value {
    json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" })
}

#[test]
fn code_gives_values_to_other_nodes() {
    let none = json!({});
    assert_eq!(said("return $input + $flow.chatId + $vars.v", &none).unwrap(), "Q \"}` ${1}chat{{question}}");
    let given = json!({ "a": "{{question}}", "b": "{\"c\":[1]}", "d": 5 });
    assert_eq!(said("return $a + $b.c[0] + $d", &given).unwrap(), "Q \"}` ${1}15");
    assert_eq!(said("return { a: ['x\\ny'] }", &none).unwrap(), "{\"a\":[\"x\\ny\"]}");
    let failed = said("throw new TypeError('x')", &none).unwrap_err();
    assert_eq!(failed, "Error: NodeVM Execution Error: TypeError: x");
    let failed = said("while (true);", &none).unwrap_err();
    assert_eq!(
        failed,
        "Error: NodeVM Execution Error: RangeError: the script met its limit of 250ms of computing (engine.scripts.compute)"
    );
}

#[test]
fn code_that_cannot_run_is_named_when_the_flow_is_loaded() {
    let refused = |code: &str| said(code, &json!({})).unwrap_err();
    let told = refused("const mysql = require('mysql2')");
    assert!(told.contains("it requires mysql2, which the engine does not have"), "{told}");
    assert!(refused("return '{{$vars.v}}'").contains("the engine does not fill in {{$vars.v}} here"));
}

#[test]
fn requests_reach_only_what_they_may() {
    let failed = said("const r = await fetch('http://127.0.0.1:9/'); return r.text()", &json!({})).unwrap_err();
    assert!(
        failed.contains("FetchError: request to http://127.0.0.1:9/ failed, reason: requests to this machine"),
        "{failed}"
    );
    let failed = said("const r = await fetch('http://localhost:9/'); return r.text()", &json!({})).unwrap_err();
    assert!(failed.contains("FetchError: request to http://localhost:9/ failed"), "{failed}");
    let (origin, _heard) = server(&[&answer("200 OK", "", "x")]);
    let failed = said(&format!("return (await fetch('{origin}')).text()"), &json!({})).unwrap_err();
    assert!(failed.contains("denied by policy"), "{failed}");
}
