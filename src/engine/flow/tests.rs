//! What chats remember of a prediction.

mod shapes;
mod unset;

use serde_json::{Value, json};

use crate::engine::testing::{flow, load, predictions};

const FILE: &str = r#"[{"type":"file:full","name":"a.txt","mime":"text/plain","data":"words of a file"}]"#;

fn with_file(question: &str) -> Value {
    json!({ "question": question, "uploads": serde_json::from_str::<Value>(FILE).unwrap() })
}

fn model_and_memory() -> Vec<(&'static str, &'static str, Value)> {
    vec![("m_0", "testModel", json!({})), ("mem_0", "bufferMemory", json!({ "memoryKey": "chat_history" }))]
}

/// What the model was told in the last of these requests, without the system's message and the question.
fn remembered(nodes: &[(&str, &str, Value)], requests: &[(Value, Vec<Value>)]) -> Value {
    let predicted = predictions(&flow(nodes).unwrap(), requests);
    let last = predicted.last().unwrap();
    assert!(last.reply.is_ok(), "{:?}", last.reply);
    let asked = &last.asked[last.asked.len() - 1];
    let messages = asked.as_array().or(asked["messages"].as_array()).unwrap();
    messages[1..messages.len() - 1].iter().cloned().collect()
}

fn turns(question: &str, answer: &str) -> Value {
    json!([{ "role": "user", "content": question }, { "role": "assistant", "content": answer }])
}

#[test]
fn the_question_is_stored_without_its_files() {
    let references = json!({ "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}" });
    for kind in ["conversationChain", "toolAgent"] {
        let mut nodes = model_and_memory();
        let mut inputs = references.clone();
        if kind == "toolAgent" {
            nodes.push(("calc_0", "calculator", json!({})));
            inputs["tools"] = json!(["{{calc_0.data.instance}}"]);
        }
        nodes.push(("end_0", kind, inputs));
        let requests =
            [(with_file("Summarise"), vec!["short".into()]), (json!({ "question": "more" }), vec!["ok".into()])];
        assert_eq!(remembered(&nodes, &requests), turns("Summarise", "short"), "{kind}");
    }
}

#[test]
fn the_sentence_of_a_moderation_is_stored() {
    let mut nodes = model_and_memory();
    nodes.push(("mod_0", "inputModerationSimple", json!({ "denyList": "secret", "moderationErrorMessage": "No." })));
    nodes.push((
        "end_0",
        "conversationChain",
        json!({
            "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}",
            "inputModeration": ["{{mod_0.data.instance}}"],
        }),
    ));
    let requests = [(json!({ "question": "the secret" }), vec![]), (json!({ "question": "more" }), vec!["ok".into()])];
    assert_eq!(remembered(&nodes, &requests), turns("the secret", "No."));
}

#[test]
fn a_memory_knows_what_other_ends_of_the_flow_have_answered() {
    let node = |id: &str, kind: &str, inputs: Value| json!({ "id": id, "data": { "name": kind, "label": id, "inputs": inputs, "outputs": {} } });
    let edge = |source: &str, handle: &str, target: &str| json!({ "source": source, "target": target, "sourceHandle": format!("{source}-output-{handle}-string") });
    let branch = json!({ "x": "{{if_0.data.instance}}" });
    let export = json!({
        "nodes": [
            node("m_0", "testModel", json!({})),
            node("mem_0", "bufferMemory", json!({ "memoryKey": "chat_history" })),
            node("csv_0", "csvOutputParser", json!({ "autofixParser": true })),
            node("if_0", "ifElseFunction", json!({
                "functionInputVariables": "{\"q\":\"{{question}}\"}",
                "ifFunction": "return $q.includes('list')", "elseFunction": "return 'no'",
            })),
            node("p_0", "promptTemplate", json!({ "template": "{x} {q}", "promptValues": branch })),
            node("c_0", "llmChain", json!({
                "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}", "outputParser": "{{csv_0.data.instance}}",
            })),
            node("p_1", "chatPromptTemplate", json!({
                "systemMessagePrompt": "S {x}", "humanMessagePrompt": "{input}", "promptValues": branch,
            })),
            node("c_1", "conversationChain", json!({
                "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}",
                "chatPromptTemplate": "{{p_1.data.instance}}",
            })),
        ],
        "edges": [
            edge("m_0", "m", "c_0"), edge("m_0", "m", "c_1"), edge("mem_0", "m", "c_1"), edge("csv_0", "c", "c_0"),
            edge("if_0", "returnTrue", "p_0"), edge("if_0", "returnFalse", "p_1"),
            edge("p_0", "p", "c_0"), edge("p_1", "p", "c_1"),
        ],
    });
    let requests =
        [(json!({ "question": "list them" }), vec!["a, b".into()]), (json!({ "question": "more" }), vec!["ok".into()])];
    let predicted = predictions(&load(&export).unwrap(), &requests);
    assert!(predicted.iter().all(|predicted| predicted.reply.is_ok()), "{predicted:?}");
    let asked = predicted[1].asked[0].as_array().unwrap();
    // As Flowise stores what a parser made.
    assert_eq!(Value::from(&asked[1..asked.len() - 1]), turns("list them", "```json\n[\n  \"a\",\n  \"b\"\n]"));
}

#[test]
fn the_history_that_is_shown_is_the_memorys() {
    let prompted = |memory: Option<(&'static str, Value)>| {
        let mut nodes = vec![
            ("m_0", "testModel", json!({})),
            (
                "p_0",
                "chatPromptTemplate",
                json!({
                    "systemMessagePrompt": "Before: {h}", "humanMessagePrompt": "{input}", "promptValues": { "h": "{{chat_history}}" },
                }),
            ),
        ];
        match memory {
            Some((kind, inputs)) => {
                nodes.push(("mem_0", kind, inputs));
                nodes.push(("end_0", "conversationChain", json!({
                    "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}", "chatPromptTemplate": "{{p_0.data.instance}}",
                })));
            }
            None => nodes.push((
                "end_0",
                "llmChain",
                json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" }),
            )),
        }
        let past = json!([{ "role": "userMessage", "content": "e" }, { "role": "assistant", "content": "f" }, { "type": "x", "content": "g" }]);
        let ask = |question: &str| (json!({ "question": question, "history": past }), vec!["ok".into()]);
        let predicted = predictions(&flow(&nodes).unwrap(), &[ask("1"), ask("2"), ask("3")]);
        predicted.last().unwrap().asked[0][0]["content"].as_str().unwrap().to_owned()
    };
    let sent = "Before: Human: e\nAssistant: f\ng\n";
    let all = format!("{sent}Human: 1\nAssistant: ok\nHuman: 2\nAssistant: ok");
    assert_eq!(prompted(Some(("bufferMemory", json!({})))), all);
    assert_eq!(prompted(Some(("bufferWindowMemory", json!({})))), all);
    let last = format!("{sent}Human: 2\nAssistant: ok");
    assert_eq!(prompted(Some(("bufferWindowMemory", json!({ "k": "1" })))), last);
    assert_eq!(prompted(Some(("bufferWindowMemory", json!({ "k": 0 })))), sent.trim_end());
    assert_eq!(prompted(None), "Before: ");
}

/// The row is as deep on the stack as it is long, when it is built and when it is asked.
#[test]
fn a_long_row_of_references_runs_and_a_longer_one_is_refused() {
    let row = |length: usize| {
        let ids: Vec<String> = (0..length).map(|number| format!("v_{number}")).collect();
        let reference = |id: &str| format!("{{{{{id}.data.instance}}}}");
        let before = |at: usize| if at == 0 { "deep".to_owned() } else { reference(&ids[at - 1]) };
        let set = |(at, id)| (id, "setVariable", json!({ "variableName": id, "input": before(at) }));
        let mut nodes: Vec<_> = ids.iter().map(String::as_str).enumerate().map(set).collect();
        let values = json!({ "x": reference(&ids[length - 1]) });
        nodes.extend(model_and_memory().into_iter().take(1));
        nodes.push(("p_0", "promptTemplate", json!({ "template": "{x}", "promptValues": values })));
        let chain = json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" });
        nodes.push(("end_0", "llmChain", chain));
        flow(&nodes)
    };
    let predicted = predictions(&row(60).unwrap(), &[(json!({ "question": "Q" }), vec!["fine".into()])]);
    assert_eq!(predicted[0].asked[0][0]["content"], "deep");
    let error = row(3000).unwrap_err();
    assert!(error.contains("more than 64 nodes refer to each other in a row"), "{error}");
}
