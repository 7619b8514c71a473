use serde_json::{Value, json};

use super::{ChatOllama, OllamaReply};
use crate::engine::contract::message::Usage;
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::gathering::AnswerFraming;
use crate::engine::models::gathering::tests::told;
use crate::engine::models::lab::{HERE, asked, built, calculator, city, conversation, problems};

const STREAM: &str = r#"{"model":"llama3","created_at":"2026","message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}
{"model":"llama3","created_at":"2026","message":{"role":"assistant","content":"Grü"},"done":false}
{"model":"llama3","created_at":"2026","message":{"role":"assistant","content":"ezi"},"done":false}
{"model":"llama3","created_at":"2026","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":9,"prompt_eval_count":6,"eval_count":4}
"#;

fn inputs() -> Value {
    json!({ "baseUrl": HERE, "modelName": "llama3", "temperature": 0.5, "topP": "0.9", "numCtx": 2048,
        "keepAlive": "5m", "think": false, "allowImageUploads": true, "stop": "a, b", "jsonMode": true })
}

#[tokio::test]
async fn requests_are_flowises_with_its_omissions_mended() {
    let (conversation, tools) = (conversation(), [calculator()]);
    let asked = asked(&ChatOllama, inputs(), ModelRequest::of(&conversation).with_tools(&tools), 200, STREAM).await;
    let received = asked.received;
    assert_eq!(received.line, "POST /api/chat HTTP/1.1");
    assert_eq!(received.headers["authorization"], "Bearer a-ollamaApiKey");
    let function = json!({ "name": "calculator", "description": "Computes.", "parameters": calculator().parameters });
    let expected = json!({
        "model": "llama3",
        "format": "json",
        "keep_alive": "5m",
        "think": false,
        "options": { "num_ctx": 2048, "top_p": 0.9, "temperature": 0.5, "stop": ["a", "b"] },
        "tools": [{ "type": "function", "function": function }],
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "", "images": ["iVBORw0KGgo="] },
            { "role": "user", "content": "What is 6*7?" },
            { "role": "assistant", "content": "",
              "tool_calls": [{ "function": { "name": "calculator", "arguments": { "input": "6*7" } } }] },
            { "role": "tool", "content": "42", "tool_name": "calculator" },
            { "role": "user", "content": "And now?" },
        ],
        "stream": true,
    });
    assert_eq!(received.body, expected);
    assert_eq!(asked.answered.unwrap().text, "Grüezi");
    assert_eq!(asked.events.matches("\"token\"").count(), 2);
}

#[tokio::test]
async fn schemas_are_tools() {
    let (conversation, city) = (conversation(), city());
    let answer = r#"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"extract","arguments":{"city":"Bern"}}}]},"done":false}
{"message":{"role":"assistant","content":""},"done":true}"#;
    let ask = ModelRequest::of(&conversation).with_schema("extract", &city);
    let asked = asked(&ChatOllama, inputs(), ask, 200, answer).await;
    let tool = json!({ "type": "function", "function": { "name": "extract", "parameters": city } });
    assert_eq!(asked.received.body["tools"], json!([tool]));
    assert_eq!(asked.answered.unwrap().text, r#"{"city":"Bern"}"#);
}

#[tokio::test]
async fn refusals_are_ollamas_words() {
    let conversation = conversation();
    let answer = r#"{"error":"model 'llama3' not found"}"#;
    let asked = asked(&ChatOllama, inputs(), ModelRequest::of(&conversation), 404, answer).await;
    assert_eq!(asked.answered.unwrap_err().to_string(), "model 'llama3' not found");
}

#[test]
fn streams_are_read_wherever_they_are_cut() {
    let told = |stream: &str| told(OllamaReply::default, AnswerFraming::Lines, stream, ModelRequest::of(&[]));
    let answered = told(STREAM).unwrap();
    assert_eq!((answered.text.as_str(), answered.thinking.as_str()), ("Grüezi", "Hm"));
    assert_eq!(answered.usage, Usage { input: 6, output: 4 });
    assert_eq!(answered.usage_metadata["total_tokens"], 10);
    assert_eq!(answered.response_metadata["done_reason"], "stop");
    let calls = r#"{"message":{"content":"","tool_calls":[{"function":{"name":"a","arguments":{"x":1}}},{"function":{"name":"b"}}]},"done":true}"#;
    let calls = told(calls).unwrap().calls;
    assert_eq!((calls[0].id.as_str(), &calls[0].arguments), ("call_0", &json!({ "x": 1 })));
    assert_eq!((calls[1].id.as_str(), &calls[1].arguments), ("call_1", &json!({})));
    let cut: String = STREAM.lines().take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(told(&cut).unwrap_err().to_string(), "The provider broke off.");
    let error = format!("{cut}\n{{\"error\":\"out of memory\"}}\n");
    assert_eq!(told(&error).unwrap_err().to_string(), "500 out of memory");
}

#[test]
fn what_is_not_ollamas_is_refused() {
    let mut inputs = inputs();
    inputs["cache"] = "{{redisCache_0.data.instance}}".into();
    assert!(problems(&ChatOllama, inputs)[0].contains("a node redisCache_0 that"));
}

#[test]
fn an_address_may_lack_its_scheme() {
    let mut inputs = inputs();
    inputs["baseUrl"] = "localhost:11434".into();
    assert!(built(&ChatOllama, inputs, true).is_ok());
}
