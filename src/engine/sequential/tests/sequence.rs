//! Sequential agents.

use serde_json::{Value, json};

use super::{behind, calls, drawn, end, model, reference, start};
use crate::engine::testing::{predict, predictions};

fn question(text: &str) -> Value {
    json!({ "question": text })
}

#[test]
fn agents_hand_on_what_they_said_and_a_state() {
    let rows = json!([
        { "key": "found", "type": "Append", "defaultValue": "" },
        { "key": "next", "type": "Replace", "defaultValue": "nobody" },
    ]);
    let update = json!([
        { "key": "found", "value": "$flow.output.content" }, { "key": "next", "value": "Second" },
        { "key": "unknown", "value": "x" },
    ]);
    let nodes = [
        model(),
        ("state_0", "seqState", json!({ "stateMemoryUI": rows.to_string() })),
        start(json!({ "state": reference("state_0") })),
        (
            "one_0",
            "seqAgent",
            behind(
                &["start_0"],
                json!({ "agentName": "First Agent", "systemMessagePrompt": "S {\"a\": 1}", "updateStateMemoryUI": update.to_string() }),
            ),
        ),
        (
            "two_0",
            "seqLLMNode",
            behind(
                &["one_0"],
                json!({
                    "llmNodeName": "Second", "systemMessagePrompt": "{before}|{list}|{q}", "humanMessagePrompt": "Now {next}.",
                    "conversationHistorySelection": "last_message",
                    "promptValues": { "before": "{{one_0.data.instance}}", "list": "$flow.state.found", "q": "<{{question}}>", "next": "$flow.state.next" },
                }),
            ),
        ),
        end("end_0", "two_0"),
    ];
    let predicted = predict(&drawn(&nodes, &[]).unwrap(), &question("Q"), &["one".into(), "two".into()]);
    assert_eq!(predicted.text(), "two");
    assert_eq!(predicted.asked[0][0], json!({ "role": "system", "content": "S {\"a\": 1}" }));
    let second = json!([
        { "role": "system", "content": "one|[\"one\"]|<Q>" }, { "role": "user", "content": "one" },
        { "role": "user", "content": "Now Second." },
    ]);
    assert_eq!(predicted.asked[1], second);
    let first = json!({
        "agentName": "First Agent", "messages": ["one"], "next": "Second", "usedTools": [null], "sourceDocuments": [null],
        "artifacts": [null], "state": { "found": "one", "next": "Second" }, "nodeName": "seqAgent", "nodeId": "one_0",
    });
    assert_eq!(predicted.reasoning()[0].to_string(), first.to_string());
    let names = [
        "start",
        "agentReasoning",
        "nextAgent",
        "agentReasoning",
        "token",
        "usedTools",
        "sourceDocuments",
        "artifacts",
    ];
    assert_eq!(predicted.names(), names);
}

#[test]
fn a_model_s_form_decides_the_way_and_a_loop_leads_back() {
    let form = json!([{ "key": "grade", "type": "Enum", "enumValues": "good, bad", "description": "how" }]);
    let nodes = [
        model(),
        start(json!({})),
        (
            "write_0",
            "seqLLMNode",
            behind(&["start_0"], json!({ "llmNodeName": "Writer", "llmStructuredOutput": form.to_string() })),
        ),
        (
            "check_0",
            "seqCondition",
            behind(
                &["write_0"],
                json!({
                    "conditionName": "Check",
                    "conditionUI": [{ "variable": "$write_0", "operation": "Contains", "value": "bad", "output": "Again" }],
                }),
            ),
        ),
        ("loop_0", "seqLoop", json!({ "loopToName": "Writer" })),
        ("last_0", "seqAgent", json!({ "agentName": "Last" })),
        end("end_0", "last_0"),
    ];
    let flow = drawn(&nodes, &[("check_0", "End", "last_0"), ("check_0", "Again", "loop_0")]).unwrap();
    let [good, bad] = ["good", "bad"].map(|grade| Value::from(json!({ "grade": grade, "more": 1 }).to_string()));
    let predicted = predict(&flow, &question("Q"), &[bad.clone(), good.clone(), "bye".into()]);
    assert_eq!(predicted.text(), "bye");
    let reasoning = predicted.reasoning();
    let told: Vec<(&Value, &Value)> = reasoning.iter().map(|entry| (&entry["agentName"], &entry["messages"])).collect();
    let [again, done, check, last] = [json!("Writer"), json!("Writer"), json!("Check"), json!("Last")];
    let messages = [json!(["{\"grade\":\"bad\"}"]), json!(["{\"grade\":\"good\"}"]), json!(["Last"]), json!(["bye"])];
    assert_eq!(told, [&again, &done, &check, &last].into_iter().zip(&messages).collect::<Vec<_>>());
    assert_eq!((&reasoning[2]["nodeName"], &reasoning[2]["nodeId"]), (&json!("seqCondition"), &json!("check_0")));
    let failure = predict(&flow, &question("Q"), &vec![bad; 30]).reply.unwrap_err().to_string();
    assert!(failure.starts_with("Error buildAgentGraph - Recursion limit of 25 reached"), "{failure}");
    let failure = predict(&flow, &question("Q"), &["prose".into()]).reply.unwrap_err().to_string();
    assert_eq!(failure, "Error buildAgentGraph - Error: Failed to parse. Text: \"prose\"");
}

#[test]
fn a_condition_agent_asks_a_model_which_way_to_go() {
    let form = json!([{ "key": "to", "type": "String" }]);
    let agent = |name: &str| json!({ "agentName": name });
    let nodes = [
        model(),
        start(json!({})),
        (
            "route_0",
            "seqConditionAgent",
            behind(
                &["start_0"],
                json!({
                    "conditionAgentName": "Router", "systemMessagePrompt": "Route.", "humanMessagePrompt": "Say {q}",
                    "promptValues": "{\"q\": \"{{question}}\"}", "conditionAgentStructuredOutput": form.to_string(),
                    "conditionUI": json!([
                        { "variable": "$flow.output.to", "operation": "Is", "value": "A", "output": "To A" },
                        { "variable": "$flow.state.messages[-1].content", "operation": "Is", "value": "b", "output": "To B" },
                    ]).to_string(),
                }),
            ),
        ),
        ("a_0", "seqAgent", agent("A")),
        ("b_0", "seqAgent", agent("B")),
        end("end_0", "a_0"),
        end("end_1", "b_0"),
    ];
    let flow = drawn(&nodes, &[("route_0", "To A", "a_0"), ("route_0", "To B", "b_0")]).unwrap();
    let to = |name: &str| Value::from(json!({ "to": name }).to_string());
    let predicted = predict(&flow, &question("x"), &[to("A"), "from a".into()]);
    assert_eq!(predicted.asked[0][2], json!({ "role": "user", "content": "Say x" }));
    assert_eq!(predicted.reasoning()[0]["messages"], json!(["A"]));
    assert_eq!(predicted.text(), "from a");
    assert_eq!(predict(&flow, &question("b"), &[to("?"), "from b".into()]).text(), "from b");
    // Where no condition holds and nothing leads on, that is the end.
    let predicted = predict(&flow, &question("c"), &[to("?")]);
    assert_eq!((predicted.text(), predicted.reasoning().len()), (String::new(), 0));
}

#[test]
fn a_node_of_tools_does_what_a_model_asks_for() {
    let update = json!([{ "key": "n", "value": "$flow.output[0].toolOutput" }]);
    let nodes = [
        model(),
        ("state_0", "seqState", json!({ "stateMemoryUI": [{ "key": "n", "type": "Replace" }] })),
        start(json!({ "state": reference("state_0") })),
        ("calc_0", "calculator", json!({})),
        ("ask_0", "seqLLMNode", behind(&["start_0"], json!({ "llmNodeName": "Asker" }))),
        (
            "tools_0",
            "seqToolNode",
            json!({ "toolNodeName": "Doer", "llmNode": reference("ask_0"), "tools": [reference("calc_0")], "updateStateMemoryUI": update }),
        ),
        ("tell_0", "seqLLMNode", behind(&["tools_0"], json!({ "llmNodeName": "Teller" }))),
        end("end_0", "tell_0"),
    ];
    let flow = drawn(&nodes, &[]).unwrap();
    let call = calls("calculator", &json!({ "input": "6*7" }));
    let predicted = predict(&flow, &question("Q"), &[call, "It is 42".into()]);
    assert_eq!(predicted.text(), "It is 42");
    assert_eq!(predicted.asked[0]["tools"][0]["name"], "calculator");
    // As the node before the tools, so the one behind them.
    assert_eq!(predicted.asked[1]["tools"][0]["name"], "calculator");
    assert_eq!(predicted.asked[1]["messages"][2]["content"], "42");
    let doer = &predicted.reasoning()[1];
    assert_eq!(
        doer["usedTools"],
        json!([{ "tool": "calculator", "toolInput": { "input": "6*7" }, "toolOutput": "42" }])
    );
    assert_eq!((&doer["artifacts"], &doer["state"]), (&json!([]), &json!({ "n": "42" })));
    // A model that asks for nothing has said the last word.
    assert_eq!(predict(&flow, &question("Q"), &["No need".into()]).text(), "No need");
}

#[test]
fn ways_that_part_come_together_again() {
    let agent = |name: &str, before: &[&str]| behind(before, json!({ "agentName": name }));
    let nodes = [
        model(),
        start(json!({})),
        ("a_0", "seqAgent", agent("A", &["start_0"])),
        ("b_0", "seqAgent", agent("B", &["a_0"])),
        ("c_0", "seqAgent", agent("C", &["a_0"])),
        ("d_0", "seqAgent", agent("D", &["b_0", "c_0"])),
        end("end_0", "d_0"),
    ];
    let answers: Vec<Value> = ["a", "b", "c", "d"].map(Value::from).to_vec();
    let predicted = predict(&drawn(&nodes, &[]).unwrap(), &question("Q"), &answers);
    let contents: Vec<&Value> = predicted.asked[3].as_array().unwrap().iter().map(|said| &said["content"]).collect();
    assert_eq!((predicted.asked.len(), contents), (4, vec![&json!("Q"), &json!("a"), &json!("b"), &json!("c")]));
    assert_eq!(predicted.text(), "d");
}

#[test]
fn a_chat_is_remembered_with_its_state_and_begins_with_its_history() {
    let rows = json!([{ "key": "all", "type": "Append" }]);
    let update = json!([{ "key": "all", "value": "$flow.input" }]);
    let nodes = |memory: &str| {
        [
            model(),
            ("mem_0", "agentMemory", json!({})),
            ("state_0", "seqState", json!({ "stateMemoryUI": rows })),
            start(json!({ "state": reference("state_0"), "agentMemory": memory })),
            (
                "a_0",
                "seqAgent",
                behind(
                    &["start_0"],
                    json!({
                        "agentName": "A", "systemMessagePrompt": "{all}|{h}", "updateStateMemoryUI": update,
                        "promptValues": { "all": "$flow.state.all", "h": "{{chat_history}}" },
                    }),
                ),
            ),
            end("end_0", "a_0"),
        ]
    };
    let history = json!([{ "role": "userMessage", "content": "before" }]);
    let requests: Vec<(Value, Vec<Value>)> = ["one", "two"]
        .map(|text| (json!({ "question": text, "history": history }), vec![format!("{text}!").into()]))
        .to_vec();
    let asked = |memory: &str| {
        let predicted = predictions(&drawn(&nodes(memory), &[]).unwrap(), &requests);
        let told = |at: usize| {
            let messages = predicted[at].asked[0].as_array().unwrap().clone();
            messages.iter().map(|said| said["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        [told(0), told(1)]
    };
    let [first, second] = asked(&reference("mem_0"));
    assert_eq!(first, ["[]|Human: before", "before", "one"]);
    assert_eq!(second, ["[\"one\"]|Human: before\nHuman: one\nAssistant: one!", "before", "one", "one!", "two"]);
    let [first, second] = asked("");
    assert_eq!(
        (first[1..].to_vec(), second[1..].to_vec()),
        (vec!["before".to_owned(), "one".into()], vec!["before".to_owned(), "two".into()])
    );
}

#[test]
fn what_a_question_may_not_hold_reaches_no_agent() {
    let nodes = [
        model(),
        ("mod_0", "inputModerationSimple", json!({ "denyList": "secret", "moderationErrorMessage": "Not that." })),
        start(json!({ "inputModeration": [reference("mod_0")] })),
        ("a_0", "seqAgent", behind(&["start_0"], json!({ "agentName": "A" }))),
        end("end_0", "a_0"),
    ];
    let predicted = predict(&drawn(&nodes, &[]).unwrap(), &question("a secret"), &["x".into()]);
    let failure = predicted.reply.unwrap_err().to_string();
    assert_eq!(failure, "Error buildAgentGraph - Error initialize agent nodes - Not that.");
    assert!(predicted.asked.is_empty());
}
