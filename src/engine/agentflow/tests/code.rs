//! Code of authors in agentflows.

use serde_json::{Value, json};

use super::draw::{Drawing, reply};
use super::lab::{Lab, run};

/// A flow of code, and a reply that shows what it gave.
fn coded(code: &str, more: &Value) -> Drawing {
    let mut inputs = json!({ "customFunctionJavascriptFunction": code, "customFunctionInputVariables": "", "customFunctionUpdateState": "" });
    for (name, value) in more.as_object().into_iter().flatten() {
        inputs[name] = value.clone();
    }
    let said = "{{ code }} {{ $flow.state.k }}";
    Drawing::new(&json!({ "startState": [{ "key": "k", "value": "old" }] }))
        .node("code", "customFunctionAgentflow", &inputs)
        .node("say", "directReplyAgentflow", &reply(said))
        .line(&["start", "code", "say"])
}

#[test]
fn code_is_given_values_and_changes_the_state() {
    let more = json!({
        "customFunctionInputVariables": [{ "variableName": "q", "variableValue": "{{ question }}" }],
        "customFunctionUpdateState": [{ "key": "k", "value": "{{ output }}" }],
    });
    let code = "return $q + '|' + $input + '|' + $flow.state.k + '|' + $flow.chatId + '|' + $vars.v";
    run(async {
        let lab = Lab::new(&coded(code, &more).export()).await;
        let body = json!({ "question": "`${1}` \"'\\", "chatId": "c", "overrideConfig": { "vars": { "v": 7 } } });
        let answer = lab.ask(body).await;
        let said = "`${1}` \"'\\|`${1}` \"'\\|old|c|7";
        assert_eq!(answer.text(), format!("{said} {said}"));
        let data = answer.data("code");
        assert_eq!(data["output"], json!({ "content": said }));
        assert_eq!(
            data["input"],
            json!({ "inputVariables": [{ "variableName": "q", "variableValue": "`${1}` \"'\\" }] })
        );
    });
}

#[test]
fn what_code_gives_becomes_text_as_in_flowise() {
    for (code, content) in [
        ("return { a: [1] }", json!("{\n  \"a\": [\n    1\n  ]\n}")),
        ("return '{\"a\": 1}'", json!("{\n  \"a\": 1\n}")),
        ("return '[no json]'", json!("[no json]")),
        ("return 5", json!(5)),
        ("return ''", json!("")),
        ("const x = 1", Value::Null),
    ] {
        run(async {
            let lab = Lab::new(&coded(code, &json!({})).export()).await;
            let answer = lab.ask(json!({ "question": "Q", "chatId": "c" })).await;
            assert_eq!(answer.data("code")["output"]["content"], content, "{code}");
        });
    }
}

#[test]
fn code_that_fails_ends_the_flow() {
    run(async {
        let lab = Lab::new(&coded("throw new RangeError('mine')", &json!({})).export()).await;
        let answer = lab.ask(json!({ "question": "Q", "chatId": "c" })).await;
        let error = "Error: NodeVM Execution Error: RangeError: mine";
        assert!(answer.json.to_string().contains(error), "{}", answer.json);
    });
}
