//! As Cohere's library was seen to ask for Flowise's node.

use serde_json::{Value, json};

use super::{CHAT_COHERE, ChatCohere, CohereReply};
use crate::engine::contract::message::{Message, ToolCall, Usage};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::gathering::AnswerFraming;
use crate::engine::models::gathering::tests::told;
use crate::engine::models::lab::{HERE, asked, built, calculator, city};

const HERE_NODE: ChatCohere = ChatCohere { address_input: "here" };

const STREAM: &str = "{\"is_finished\":false,\"event_type\":\"stream-start\",\"generation_id\":\"g1\"}\n\
    {\"is_finished\":false,\"event_type\":\"text-generation\",\"text\":\"Grü\"}\n\
    {\"is_finished\":false,\"event_type\":\"text-generation\",\"text\":\"ezi\"}\n\
    {\"is_finished\":true,\"event_type\":\"stream-end\",\"finish_reason\":\"COMPLETE\",\"response\":{\"response_id\":\"r1\",\
    \"text\":\"Grüezi\",\"generation_id\":\"g1\",\"finish_reason\":\"COMPLETE\",\"tool_calls\":[{\"name\":\"calculator\",\
    \"parameters\":{\"input\":\"1\"}}],\"meta\":{\"tokens\":{\"input_tokens\":71,\"output_tokens\":3}}}}\n";

fn inputs(more: Value) -> Value {
    let mut inputs = json!({ "here": HERE, "modelName": "command-r", "temperature": "0.7" });
    let Value::Object(more) = more else { panic!() };
    inputs.as_object_mut().unwrap().extend(more);
    inputs
}

fn turns() -> Vec<Message> {
    let call = ToolCall::new("call_1", "calculator", json!({ "input": "6*7" }));
    vec![
        Message::system("Be brief."),
        Message::user("What is 6*7?"),
        Message::calling("", vec![call.clone()]),
        Message::tool(&call, "42"),
        Message::user("And now?"),
    ]
}

#[tokio::test]
async fn requests_are_flowises() {
    let (turns, tools) = (turns(), [calculator()]);
    let ask = ModelRequest::of(&turns).with_tools(&tools);
    let seen = asked(&HERE_NODE, inputs(json!({})), ask, 200, STREAM).await;
    assert_eq!(seen.received.line, "POST /v1/chat HTTP/1.1");
    assert_eq!(seen.received.headers["authorization"], "Bearer a-cohereApiKey");
    let call = json!({ "name": "calculator", "parameters": { "input": "6*7" } });
    let result = json!({ "call": call, "outputs": [{ "output": "42" }] });
    let history = json!([
        { "role": "SYSTEM", "message": "Be brief." },
        { "role": "USER", "message": "What is 6*7?" },
        { "role": "CHATBOT", "message": "", "tool_calls": [call] },
        { "role": "TOOL", "message": "42", "tool_results": [result] },
    ]);
    let parameters = json!({ "input": { "type": "string", "required": false } });
    let tool = json!({ "name": "calculator", "description": "Computes.", "parameter_definitions": parameters });
    let body = json!({ "message": "And now?", "chat_history": history, "tool_results": null, "model": "command-r",
        "temperature": 0.7, "tools": [tool], "stream": true });
    assert_eq!(seen.received.body, body);
    assert!(seen.events.contains("\"ezi\""), "{}", seen.events);
    let answer = seen.answered.unwrap();
    assert_eq!((answer.text.as_str(), answer.calls[0].name.as_str()), ("Grüezi", "calculator"));
    assert_eq!(answer.usage, Usage { input: 71, output: 3 });
}

#[tokio::test]
async fn results_of_this_turn_stand_beside_an_empty_message() {
    let mut turns = turns();
    turns.pop();
    let whole = r#"{"response_id":"r1","text":"","finish_reason":"COMPLETE","tool_calls":[{"name":"extract","parameters":{"city":"Bern"}}],
        "meta":{"tokens":{"input_tokens":7,"output_tokens":3}}}"#;
    let city = city();
    let ask = ModelRequest::of(&turns).with_schema("extract", &city);
    let seen = asked(&HERE_NODE, inputs(json!({ "streaming": false })), ask, 200, whole).await;
    let body = seen.received.body;
    assert_eq!((&body["message"], &body["stream"]), (&json!(""), &json!(false)));
    assert_eq!(body["tool_results"][0]["outputs"], json!([{ "output": "42" }]));
    assert_eq!(body["chat_history"].as_array().unwrap().len(), 3);
    let required = json!({ "type": "string", "description": "The city", "required": true });
    assert_eq!(body["tools"][0]["parameter_definitions"]["city"], required);
    let answer = seen.answered.unwrap();
    assert_eq!(answer.text, r#"{"city":"Bern"}"#);
    let counted = json!({ "input_tokens": 7, "output_tokens": 3, "total_tokens": 10 });
    assert_eq!(Value::Object(answer.usage_metadata), counted);
}

#[test]
fn streams_are_read_wherever_they_are_cut() {
    let told = |stream: &str| told(|| CohereReply::new(true), AnswerFraming::Lines, stream, ModelRequest::of(&[]));
    assert_eq!(told(STREAM).unwrap().text, "Grüezi");
    let (cut, _) = STREAM.split_once("{\"is_finished\":true").unwrap();
    assert_eq!(told(cut).unwrap_err().to_string(), "The provider broke off.");
    let ended = "{\"event_type\":\"stream-end\",\"finish_reason\":\"ERROR_TOXIC\",\"response\":{}}";
    assert!(told(ended).unwrap_err().to_string().contains("ERROR_TOXIC"));
    assert!(told("{\"message\":\"no such model\"}").unwrap_err().to_string().contains("no such model"));
}

#[test]
fn without_a_credential_nothing_is_sent() {
    let model = built(&CHAT_COHERE, json!({ "modelName": "m" }), false).unwrap().into_model().unwrap();
    assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
}
