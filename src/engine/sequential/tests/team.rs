//! A supervisor and workers.

use serde_json::{Value, json};

use super::{calls, drawn, reference};
use crate::engine::flow::CompiledFlow;
use crate::engine::testing::{predict, predictions};

fn team(supervisor: &Value) -> CompiledFlow {
    let mut inputs = json!({
        "supervisorName": "The Boss", "supervisorPrompt": "Lead {team_members}.", "model": reference("m_0"),
    });
    inputs.as_object_mut().unwrap().extend(supervisor.as_object().cloned().unwrap());
    let worker = |name: &str, more: Value| {
        let mut inputs = json!({ "workerName": name, "workerPrompt": "Do {task}.", "supervisor": reference("boss_0"), "promptValues": "{\"task\": \"{{question}}\"}" });
        inputs.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        inputs
    };
    let nodes = [
        ("m_0", "testModel", json!({})),
        ("mem_0", "agentMemory", json!({ "databaseType": "sqlite" })),
        ("calc_0", "calculator", json!({})),
        ("boss_0", "supervisor", inputs),
        ("a_0", "worker", worker("Code Writer", json!({}))),
        ("b_0", "worker", worker("Counter", json!({ "tools": [reference("calc_0")] }))),
    ];
    drawn(&nodes, &[]).unwrap()
}

fn route(next: &str, instructions: &str) -> Value {
    calls("route", &json!({ "reasoning": "r", "next": next, "instructions": instructions }))
}

#[test]
fn a_supervisor_says_who_is_next_until_all_is_done() {
    let answers = [
        route("code_writer", "write"),
        "code".into(),
        route("counter", "count"),
        calls("calculator", &json!({ "input": "6*7" })),
        "42 lines".into(),
        route("FINISH", "done"),
    ];
    let predicted = predict(&team(&json!({})), &json!({ "question": "an app" }), &answers);
    assert_eq!(predicted.text(), "42 lines");
    let names = [
        "start",
        "agentReasoning",
        "nextAgent",
        "agentReasoning",
        "agentReasoning",
        "nextAgent",
        "agentReasoning",
        "agentReasoning",
        "token",
        "usedTools",
        "sourceDocuments",
        "artifacts",
    ];
    assert_eq!(predicted.names(), names);
    assert_eq!(predicted.events[2].1, "Code Writer");
    let used = json!([{ "tool": "calculator", "toolInput": { "input": "6*7" }, "toolOutput": "42" }]);
    assert_eq!(predicted.events[9].1, used);
    let state = json!({ "next": "code_writer", "instructions": "write", "team_members": "code_writer, counter" });
    let first = json!({
        "agentName": "The Boss", "messages": [], "next": "code_writer", "instructions": "write", "usedTools": [],
        "sourceDocuments": [], "artifacts": [], "state": state, "nodeId": "",
    });
    let second = json!({
        "agentName": "Code Writer", "messages": ["code"], "usedTools": [null], "sourceDocuments": [null],
        "artifacts": [null], "state": {}, "nodeId": "a_0",
    });
    let reasoning = predicted.reasoning();
    assert_eq!(
        reasoning[..2].iter().map(Value::to_string).collect::<Vec<_>>(),
        [first.to_string(), second.to_string()]
    );
    assert_eq!(reasoning[3]["usedTools"], used);

    let asked = &predicted.asked;
    let told = |at: usize| asked[at]["messages"].clone();
    let last = "Given the conversation above, who should act next? Or should we FINISH? Select one of: FINISH, \
                code_writer, counter";
    assert_eq!(
        told(0),
        json!([
            { "role": "system", "content": "Lead code_writer, counter." }, { "role": "user", "content": "an app" },
            { "role": "user", "content": last },
        ])
    );
    let tool = &asked[0]["tools"][0];
    assert_eq!((&tool["name"], &tool["description"]), (&json!("route"), &json!("Select the worker to act next")));
    assert_eq!(tool["parameters"]["properties"]["next"]["enum"], json!(["FINISH", "code_writer", "counter"]));
    let system = asked[1][0]["content"].as_str().unwrap();
    assert!(system.starts_with("Do an app.\nWork autonomously") && system.ends_with("members: code_writer, counter."));
    assert_eq!(asked[1][1], json!({ "role": "user", "content": "an app" }));
    assert_eq!(told(2)[2], json!({ "role": "user", "content": "code" }));
    assert_eq!(told(4)[3]["tool_calls"][0]["function"]["name"], "calculator");
    assert_eq!(told(4)[4]["content"], "42");
}

#[test]
fn where_nobody_works_the_supervisor_s_words_are_the_answer() {
    for (answer, text) in [(json!("Hello!"), "Hello!"), (route("FINISH", "Nothing to do"), "Nothing to do")] {
        assert_eq!(predict(&team(&json!({})), &json!({ "question": "hi" }), &[answer]).text(), text);
    }
    let answer =
        calls("route", &json!({ "reasoning": "", "next": "FINISH", "instructions": "i", "summarization": "all" }));
    let predicted = predict(&team(&json!({ "summarization": true })), &json!({ "question": "hi" }), &[answer]);
    assert_eq!(predicted.text(), "all");
    assert!(predicted.asked[0]["messages"][2]["content"].as_str().unwrap().contains("instructions and summarization"));
    assert_eq!(predicted.reasoning()[0]["state"].as_object().unwrap().len(), 3);
}

#[test]
fn a_team_has_its_bounds() {
    let flow = team(&json!({ "recursionLimit": "3" }));
    let answers = [route("counter", "a"), "b".into(), route("counter", "c")];
    let failure = predict(&flow, &json!({ "question": "q" }), &answers).reply.unwrap_err().to_string();
    assert!(failure.starts_with("Error buildAgentGraph - Recursion limit of 3 reached"), "{failure}");
    let failure = predict(&flow, &json!({ "question": "q" }), &[route("nobody", "")]).reply.unwrap_err().to_string();
    assert!(failure.contains("Branch condition returned unknown or null destination"), "{failure}");
    let failure = predict(&flow, &json!({ "question": "q" }), &[]).reply.unwrap_err().to_string();
    assert!(failure.starts_with("Error buildAgentGraph - "), "{failure}");
}

#[test]
fn a_team_remembers_where_it_is_told_to() {
    for (memory, messages) in [(json!({ "agentMemory": reference("mem_0") }), 5), (json!({}), 3)] {
        let answers = || vec![route("code_writer", ""), "done".into(), route("FINISH", "")];
        let requests = [(json!({ "question": "one" }), answers()), (json!({ "question": "two" }), answers())];
        let predicted = predictions(&team(&memory), &requests);
        assert_eq!(predicted[1].asked[0]["messages"].as_array().unwrap().len(), messages);
        let label = predicted[1].reply.as_ref().unwrap().memory.clone();
        assert_eq!(label, (messages == 5).then(|| "mem_0".to_owned()));
    }
}
