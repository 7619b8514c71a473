//! Expected: what Flowise 3.1.4's own nodes ask, with a server on the loopback.

use std::sync::{Arc, mpsc};

use serde_json::{Value, json};

use crate::engine::compile::context::{CompileContext, Credentials};
use crate::engine::contract::node::ReplyContent;
use crate::engine::flow::CompiledFlow;
use crate::engine::provider::Targets;
use crate::engine::testing::{Predicted, answer, predict, server};
use crate::telemetry::metrics::Metrics;

fn load(kind: &str, inputs: &Value) -> Result<CompiledFlow, String> {
    let node = |id: &str, name: &str, inputs: &Value| json!({ "id": id, "data": { "name": name, "label": id, "inputs": inputs } });
    let mut own = json!({ "model": "{{m_0.data.instance}}" });
    own.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
    let nodes = [node("m_0", "testModel", &json!({})), node("c_0", kind, &own)];
    let export = json!({ "nodes": nodes, "edges": [{ "source": "m_0", "target": "c_0" }] });
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&["127.0.0.0/8".parse().unwrap()]);
    let context = Arc::new(CompileContext::new(Credentials::default(), targets));
    let loaded = CompiledFlow::load(None, "flow", &export.to_string(), &context);
    loaded.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// A prediction; `HERE` stands for the server in inputs and answers.
fn asked(kind: &str, inputs: &Value, answers: &[&str]) -> (Predicted, mpsc::Receiver<String>, String) {
    let (origin, heard) = server(&[&answer("404 Not Found", "", "{\"temp\":{\"c\":3}}")]);
    let here = |text: &str| text.replace("HERE", &origin);
    let inputs: Value = serde_json::from_str(&here(&inputs.to_string())).unwrap();
    let answers: Vec<Value> = answers.iter().map(|answer| here(answer).into()).collect();
    let predicted = predict(&load(kind, &inputs).unwrap(), &json!({ "question": "What is {x}?" }), &answers);
    (predicted, heard, origin)
}

fn said(text: &str) -> Value {
    json!([{ "role": "user", "content": text }])
}

#[test]
fn the_model_writes_an_address_and_makes_an_answer_of_what_is_there() {
    let inputs = json!({ "apiDocs": "docs {a} of `HERE/w`.", "headers": "{\"x-a\":\"1\"}" });
    let (predicted, heard, here) = asked("getApiChain", &inputs, &["\nHERE/w?x=1\n", "cold"]);
    let sent = heard.try_recv().unwrap();
    assert!(sent.starts_with("GET /w?x=1 HTTP/1.1\r\n") && sent.contains("\r\nx-a: 1\r\n"), "{sent}");
    let prompt = format!(
        "You are given the below API Documentation:\ndocs {{a}} of `{here}/w`.\nUsing this documentation, generate the \
         full API url to call for answering the user question.\nYou should build the API url in order to get a response \
         that is as short as possible, while still getting the necessary information to answer the question. Pay \
         attention to deliberately exclude any unnecessary pieces of data in the API call.\n\nQuestion:What is \
         {{x}}?\nAPI url:"
    );
    let second = format!(
        "Given this {{\"temp\":{{\"c\":3}}}} response for \n{here}/w?x=1\n. use the given response to answer this What is {{x}}?"
    );
    assert_eq!(predicted.asked, [said(&prompt), said(&second)]);
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("cold".into()));
    let tokens: String =
        predicted.events.iter().filter(|(name, _)| name == "token").map(|(_, token)| token.as_str().unwrap()).collect();
    assert_eq!(tokens, format!("\n{here}/w?x=1\ncold"));
}

#[test]
fn the_model_writes_a_body_as_well() {
    let inputs = json!({ "apiDocs": "HERE", "urlPrompt": "U {question}", "headers": "" });
    let asks = "{\"url\":\"HERE/p\",\"data\":{\"a\":1}}";
    let (predicted, heard, here) = asked("postApiChain", &inputs, &[asks, "cold"]);
    let sent = heard.try_recv().unwrap();
    let body = "\r\n\r\n{\"a\":1}";
    let kind = "\r\ncontent-type: text/plain;charset=UTF-8\r\n";
    assert!(sent.starts_with("POST /p HTTP/1.1\r\n") && sent.contains(kind) && sent.ends_with(body), "{sent}");
    assert_eq!(predicted.asked[0], said("U What is {x}?"));
    let second = predicted.asked[1][0]["content"].as_str().unwrap();
    let end = format!(
        "json string: {}\n\nHere is the response from the API:\n\n{{\"temp\":{{\"c\":3}}}}\n\nSummarize this response to \
         answer the original question.\n\nSummary:",
        asks.replace("HERE", &here)
    );
    assert!(second.starts_with("You are given the below API Documentation:\n") && second.ends_with(&end), "{second}");
}

#[test]
fn only_servers_that_the_documentation_names_are_asked() {
    for url in ["https://elsewhere.example/w", "HERE.evil.example/", "http://127.0.0.1:1/", "no url", "//x"] {
        let (predicted, heard, _) = asked("getApiChain", &json!({ "apiDocs": "see HERE." }), &[url, "x"]);
        assert!(predicted.reply.is_err() && predicted.asked.len() == 1, "{url}");
        assert!(heard.try_recv().is_err(), "{url}");
    }
    let refused = |docs: &str| load("getApiChain", &json!({ "apiDocs": docs })).unwrap_err();
    assert!(refused("no server").contains("input apiDocs: it names no server"));
    let place = load("postApiChain", &json!({ "apiDocs": "http://x.example", "ansPrompt": "{api_url}" })).unwrap_err();
    assert!(place.contains("there is no value for {api_url}"), "{place}");
}
