//! Programs of the flow's author.

use serde_json::{Value, json};

use super::{behind, drawn, end, model, reference, start};
use crate::engine::flow::CompiledFlow;
use crate::engine::testing::predict;

fn flow(state: &str, changes: &str, condition: &str, function: &Value) -> Result<CompiledFlow, String> {
    let nodes = [
        model(),
        ("state_0", "seqState", json!({ "selectedStateTab_state_0": "stateMemoryCode", "stateMemoryCode": state })),
        start(json!({ "state": reference("state_0") })),
        (
            "a_0",
            "seqAgent",
            behind(
                &["start_0"],
                json!({
                    "agentName": "A", "selectedUpdateStateMemoryTab_a_0": "updateStateMemoryCode_a_0",
                    "updateStateMemoryCode": changes,
                }),
            ),
        ),
        (
            "f_0",
            "seqCustomFunction",
            super::with(behind(&["a_0"], json!({ "functionName": "Function" })), function.clone()),
        ),
        (
            "if_0",
            "seqCondition",
            behind(
                &["f_0"],
                json!({ "selectedConditionFunctionTab_if_0": "conditionFunction", "conditionFunction": condition }),
            ),
        ),
        (
            "b_0",
            "seqAgent",
            json!({ "agentName": "B", "systemMessagePrompt": "{all}", "promptValues": { "all": "$flow.state.all" } }),
        ),
        end("end_0", "b_0"),
    ];
    drawn(&nodes, &[("if_0", "Next", "b_0")])
}

const STATE: &str = "{ all: { value: (x, y) => x.concat(y), default: () => ['begun'] }, last: null }";
const CHANGES: &str = "return { all: [$flow.output.content + '/' + $flow.input], last: $flow.state.messages.length }";

#[test]
fn programs_keep_a_state_change_it_and_say_where_to_go() {
    let function = json!({
        "javascriptFunction": "return `${$said} ${$n} ${$plain} ${$flow.state.all.length}`",
        "functionInputVariables": { "said": "{{a_0.data.instance}}", "n": "$flow.state.last", "plain": "p" },
        "returnValueAs": "humanMessage",
    });
    let condition =
        "return $flow.state.messages[$flow.state.messages.length - 1].content.startsWith('one') ? 'Next' : 'End'";
    let predicted = predict(
        &flow(STATE, CHANGES, condition, &function).unwrap(),
        &json!({ "question": "Q" }),
        &["one".into(), "two".into()],
    );
    assert_eq!(predicted.text(), "two");
    let told: Vec<&Value> = predicted.asked[1].as_array().unwrap().iter().map(|said| &said["content"]).collect();
    assert_eq!(told, ["[\"begun\",\"one/Q\"]", "Q", "one", "one 1 p 2"]);
    let reasoning = predicted.reasoning();
    assert_eq!(reasoning[0]["state"], json!({ "all": ["one/Q"], "last": 1 }));
    assert_eq!(
        (&reasoning[1]["nodeName"], &reasoning[1]["messages"]),
        (&json!("seqCustomFunction"), &json!(["one 1 p 2"]))
    );
}

#[test]
fn a_function_may_give_a_state_and_its_mistakes_are_told() {
    let gives = |code: &str, what: &str| json!({ "javascriptFunction": code, "returnValueAs": what });
    let ask = |function: &Value, condition: &str| {
        let flow = flow(STATE, CHANGES, condition, function).unwrap();
        predict(&flow, &json!({ "question": "Q" }), &["one".into(), "two".into()])
    };
    let predicted = ask(&gives("return { all: 'more', messages: [] }", "stateObj"), "return 'Next'");
    let told = predicted.asked[1].as_array().unwrap();
    assert_eq!((told.len(), &told[0]["content"]), (3, &json!("[\"begun\",\"one/Q\",\"more\"]")));
    let failure = |predicted: crate::engine::testing::Predicted| predicted.reply.unwrap_err().to_string();
    let told = failure(ask(&gives("return 'x'", "stateObj"), "return 'Next'"));
    assert_eq!(told, "Error buildAgentGraph - Error: Custom function must return an object!");
    let told = failure(ask(&gives("return 'x'", "aiMessage"), "return 5"));
    assert_eq!(told, "Error buildAgentGraph - Condition function must return a string");
    let told = failure(ask(&gives("throw new Error('no')", "aiMessage"), "return 'Next'"));
    assert!(told.contains("no"), "{told}");
    assert!(
        flow(STATE, CHANGES, "return require('fs')", &gives("return 'x'", "")).err().unwrap().contains("requires fs")
    );
}

#[test]
fn messages_that_a_program_gives_stand_before_those_of_the_chat() {
    let code = "const { AIMessage, HumanMessage, ToolMessage } = require('@langchain/core/messages');
        return [new HumanMessage($flow.chatId), new AIMessage({ content: '', tool_calls: [{ id: '1', name: 't', args: { a: 1 } }] }),
            new ToolMessage({ tool_call_id: '1', content: 'r' }), ['ai', 'said']]";
    let asked = |agent: Value| {
        let agent = behind(&["start_0"], super::with(json!({ "agentName": "A", "llmNodeName": "A" }), agent));
        let kind = if agent.get("systemMessagePrompt").is_some() { "seqAgent" } else { "seqLLMNode" };
        let nodes = [model(), start(json!({})), ("a_0", kind, agent), end("end_0", "a_0")];
        predict(&drawn(&nodes, &[]).unwrap(), &json!({ "question": "q" }), &["one".into()])
    };
    let call = json!({ "id": "1", "type": "function", "function": { "name": "t", "arguments": "{\"a\":1}" } });
    let before = [
        json!({ "role": "user", "content": "chat" }),
        json!({ "role": "assistant", "content": "", "tool_calls": [call] }),
        json!({ "role": "tool", "content": "r", "tool_call_id": "1" }),
        json!({ "role": "assistant", "content": "said" }),
    ];
    let question = json!({ "role": "user", "content": "q" });
    let all = |system: Option<Value>| -> Value {
        system.into_iter().chain(before.clone()).chain([question.clone()]).collect()
    };
    let agent = asked(json!({ "messageHistory": code, "systemMessagePrompt": "s" }));
    assert_eq!(agent.asked, [all(Some(json!({ "role": "system", "content": "s" })))]);
    assert_eq!(asked(json!({ "messageHistory": code })).asked, [all(None)]);
    let failed = asked(json!({ "messageHistory": "return 'x'" })).reply.unwrap_err().to_string();
    assert!(failed.ends_with("Returned message history must be an array"), "{failed}");
}

#[test]
fn variables_that_are_set_to_be_shown_are_shown() {
    let function = json!({ "javascriptFunction": "return 'made'" });
    let nodes = [
        model(),
        start(json!({})),
        ("f_0", "customFunction", function),
        ("s_0", "setVariable", json!({ "input": reference("f_0"), "variableName": "v", "showOutput": true })),
        ("a_0", "seqAgent", behind(&["start_0"], json!({ "agentName": "A" }))),
        end("end_0", "a_0"),
    ];
    let predicted = predict(&drawn(&nodes, &[]).unwrap(), &json!({ "question": "q" }), &["one".into()]);
    assert_eq!(json!(predicted.reply.unwrap().variables), json!({ "v": "made" }));
}
