use serde_json::{Value, json};

use super::{ChatMistral, nine};
use crate::engine::contract::message::{Message, ToolCall};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::lab::{HERE, IMAGE, asked, built, calculator, city, conversation};

const STREAM: &str = r#"data: {"id":"1","model":"mistral-small","choices":[{"index":0,"delta":{"role":"assistant","content":"Salut"},"finish_reason":null}]}

data: {"id":"1","model":"mistral-small","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"total_tokens":5,"completion_tokens":2}}

data: [DONE]

"#;

fn inputs() -> Value {
    json!({ "modelName": "mistral-small", "overrideEndpoint": format!("{HERE}/v1"), "temperature": 0.5,
        "maxOutputTokens": "100", "randomSeed": 3 })
}

#[tokio::test]
async fn requests_are_flowises() {
    let (conversation, tools) = (conversation(), [calculator()]);
    let asked = asked(&ChatMistral, inputs(), ModelRequest::of(&conversation).with_tools(&tools), 200, STREAM).await;
    assert_eq!(asked.received.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(asked.received.headers["authorization"], "Bearer a-mistralAIAPIKey");
    let function = json!({ "name": "calculator", "description": "Computes.", "parameters": calculator().parameters });
    let called = json!({ "name": "calculator", "arguments": "{\"input\":\"6*7\"}" });
    let expected = json!({
        "model": "mistral-small",
        "temperature": 0.5,
        "top_p": 1,
        "max_tokens": 100,
        "stream": true,
        "random_seed": 3,
        "safe_prompt": false,
        "tools": [{ "type": "function", "function": function }],
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [
                { "type": "image_url", "image_url": { "url": IMAGE } },
                { "type": "text", "text": "What is 6*7?" },
            ] },
            { "role": "assistant", "prefix": false, "tool_calls": [
                { "id": "0001uz2UM", "type": "function", "function": called, "index": 0 },
            ] },
            { "role": "tool", "content": "42", "tool_call_id": "0001uz2UM", "name": "calculator" },
            { "role": "user", "content": "And now?" },
        ],
    });
    assert_eq!(asked.received.body, expected);
    let answered = asked.answered.unwrap();
    assert_eq!((answered.text.as_str(), answered.usage.input, answered.usage.output), ("Salut", 3, 2));
    assert_eq!(answered.response_metadata["finish_reason"], "stop");
}

#[tokio::test]
async fn schemas_are_the_one_tool() {
    let (conversation, city) = (conversation(), city());
    let mut inputs = inputs();
    inputs["streaming"] = false.into();
    inputs["safeMode"] = true.into();
    inputs["temperature"] = "".into();
    let ask = ModelRequest::of(&conversation).with_schema("extract", &city);
    let answer = r#"{"choices":[{"message":{"content":"","tool_calls":[{"id":"a","function":{"name":"extract","arguments":{"city":"Bern"}}}]},"finish_reason":"tool_calls"}]}"#;
    let asked = asked(&ChatMistral, inputs, ask, 200, answer).await;
    let body = asked.received.body;
    assert_eq!((&body["tool_choice"], &body["safe_prompt"]), (&json!("any"), &json!(true)));
    assert_eq!((&body["temperature"], &body["stream"]), (&json!(0.7), &json!(false)));
    assert_eq!(asked.answered.unwrap().text, r#"{"city":"Bern"}"#);
}

#[tokio::test]
async fn refusals_are_mistrals_words() {
    let conversation = conversation();
    let answer = r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","code":1500}"#;
    let asked = asked(&ChatMistral, inputs(), ModelRequest::of(&conversation), 400, answer).await;
    assert_eq!(asked.answered.unwrap_err().to_string(), "400 Invalid model: x");
}

#[test]
fn calls_without_results_are_left_out() {
    let call = ToolCall::new("abcdefgh9", "calculator", json!({}));
    let turns = [Message::calling("", vec![call.clone()]), Message::calling("Text", vec![call])];
    let body = super::body(&serde_json::Map::new(), true, ModelRequest::of(&turns));
    assert_eq!(body["messages"], json!([{ "role": "assistant", "content": "Text", "prefix": false }]));
}

#[test]
fn names_of_calls_have_nine_letters() {
    for (id, name) in [("call_1", "0001uz2UM"), ("abcdefgh9", "abcdefgh9"), ("", "000000000")] {
        assert_eq!(nine(id), name);
    }
}

#[test]
fn without_a_credential_nothing_is_sent() {
    let model = built(&ChatMistral, inputs(), false).unwrap().into_model().unwrap();
    assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
}
