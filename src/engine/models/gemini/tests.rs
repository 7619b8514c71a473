use serde_json::{Map, Value, json};

use super::ChatGemini;
use super::answer::GeminiReply;
use crate::engine::contract::message::{Message, Usage};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::gathering::AnswerFraming;
use crate::engine::models::gathering::tests::told;
use crate::engine::models::lab::{HERE, asked, calculator, city, conversation, problems};

const STREAM: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hm\",\"thought\":true}],\"role\":\"model\"}}],\
\"usageMetadata\":{\"promptTokenCount\":6,\"totalTokenCount\":6},\"modelVersion\":\"gemini-2.5-flash\",\"responseId\":\"r1\"}\r\n\r\n\
data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Grü\"},{\"text\":\"ezi\"}],\"role\":\"model\"}}]}\r\n\r\n\
data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"extract\",\"args\":{\"city\":\"Bern\"}},\
\"thoughtSignature\":\"sig\"}],\"role\":\"model\"},\"finishReason\":\"STOP\"}],\
\"usageMetadata\":{\"promptTokenCount\":6,\"candidatesTokenCount\":4,\"totalTokenCount\":12,\"cachedContentTokenCount\":2}}\r\n\r\n";

fn inputs(more: Value) -> Value {
    let mut inputs = json!({ "baseUrl": HERE, "modelName": "gemini-2.5-flash", "temperature": 0.5, "topK": "3",
        "maxOutputTokens": 100, "thinkingBudget": "100", "allowImageUploads": true,
        "safetySettings": [
            { "harmCategory": "HARM_CATEGORY_HARASSMENT", "harmBlockThreshold": "BLOCK_NONE" },
            { "harmCategory": "HARM_CATEGORY_HARASSMENT", "harmBlockThreshold": "BLOCK_ONLY_HIGH" },
        ] });
    let Value::Object(more) = more else { panic!() };
    inputs.as_object_mut().unwrap().extend(more);
    inputs
}

#[tokio::test]
async fn requests_are_flowises() {
    let (conversation, tools) = (conversation(), [calculator()]);
    let asked =
        asked(&ChatGemini, inputs(json!({})), ModelRequest::of(&conversation).with_tools(&tools), 200, STREAM).await;
    let received = asked.received;
    assert_eq!(received.line, "POST /v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse HTTP/1.1");
    assert_eq!(received.headers["x-goog-api-key"], "a-googleGenerativeAPIKey");
    let parameters = json!({ "type": "object", "properties": { "input": { "type": "string" } } });
    let function = json!({ "name": "calculator", "description": "Computes.", "parameters": parameters });
    let expected = json!({
        "generationConfig": { "stopSequences": [], "maxOutputTokens": 100, "temperature": 0.5, "topK": 3,
            "thinkingConfig": { "thinkingBudget": 100, "includeThoughts": true } },
        "safetySettings": [{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE" }],
        "tools": [{ "functionDeclarations": [function] }],
        "systemInstruction": { "role": "system", "parts": [{ "text": "Be brief." }] },
        "contents": [
            { "role": "user", "parts": [
                { "inlineData": { "data": "iVBORw0KGgo=", "mimeType": "image/png" } },
                { "text": "What is 6*7?" },
            ] },
            { "role": "model", "parts": [{ "functionCall": { "name": "calculator", "args": { "input": "6*7" } } }] },
            { "role": "user", "parts": [
                { "functionResponse": { "name": "calculator", "response": { "result": "42" } } },
            ] },
            { "role": "user", "parts": [{ "text": "And now?" }] },
        ],
    });
    assert_eq!(received.body, expected);
    assert_eq!(asked.answered.unwrap().text, "Grüezi");
}

#[tokio::test]
async fn schemas_are_the_one_function() {
    let (conversation, city) = (conversation(), city());
    let ask = ModelRequest::of(&conversation).with_schema("extract", &city);
    let answer = STREAM.split("data: ").last().unwrap().trim();
    let more = json!({ "streaming": false, "customModelName": "models/gemini-3-pro" });
    let asked = asked(&ChatGemini, inputs(more), ask, 200, answer).await;
    assert_eq!(asked.received.line, "POST /v1beta/models/gemini-3-pro:generateContent HTTP/1.1");
    let body = asked.received.body;
    let calling = json!({ "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["extract"] } });
    assert_eq!(body["toolConfig"], calling);
    let declared = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(
        (&declared["description"], declared["parameters"].get("additionalProperties")),
        (&json!("A function available to call."), None)
    );
    // Models of the third generation want calls to be signed.
    assert_eq!(body["contents"][1]["parts"][0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(asked.answered.unwrap().text, r#"{"city":"Bern"}"#);
}

#[tokio::test]
async fn refusals_are_googles_words() {
    let conversation = conversation();
    let answer = r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]"#;
    let asked = asked(&ChatGemini, inputs(json!({})), ModelRequest::of(&conversation), 400, answer).await;
    assert_eq!(asked.answered.unwrap_err().to_string(), "400 API key not valid.");
}

#[test]
fn streams_are_read_wherever_they_are_cut() {
    let told = |stream: &str| told(GeminiReply::default, AnswerFraming::Events, stream, ModelRequest::of(&[]));
    let answered = told(STREAM).unwrap();
    assert_eq!((answered.text.as_str(), answered.thinking.as_str()), ("Grüezi", "Hm"));
    assert_eq!(answered.usage, Usage { input: 6, output: 4 });
    let usage = json!({ "input_tokens": 6, "output_tokens": 4, "total_tokens": 12,
        "input_token_details": { "cache_read": 2 }, "output_token_details": {} });
    assert_eq!(Value::Object(answered.usage_metadata), usage);
    assert_eq!(
        (&answered.response_metadata["finishReason"], &answered.response_metadata["index"]),
        (&"STOP".into(), &0.into())
    );
    let turn = Message::calling("", answered.calls);
    let body =
        super::request::body(&Map::new(), "gemini-3-pro", super::GeminiDialect::Gemini, ModelRequest::of(&[turn]))
            .unwrap();
    assert_eq!(body["contents"][0]["parts"][0]["thoughtSignature"], "sig");

    let (cut, _) = STREAM.split_once("data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall").unwrap();
    assert_eq!(told(cut).unwrap_err().to_string(), "The provider broke off.");
    let error = format!("{cut}data: {{\"error\":{{\"code\":503,\"message\":\"Overloaded\"}}}}\r\n\r\n");
    assert_eq!(told(&error).unwrap_err().to_string(), "503 Overloaded");
    let blocked = "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\r\n\r\n";
    assert!(told(blocked).unwrap_err().to_string().contains("SAFETY"));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    assert!(problems(&ChatGemini, inputs(json!({ "modelName": "a/b?c" })))[0].contains("input modelName"));
    assert!(problems(&ChatGemini, inputs(json!({ "cache": "{{x.data.instance}}" })))[0].contains("a node x that"));
}
