use serde_json::{Value, json};

use super::answer::AnthropicReply;
use super::{ChatAnthropic, build, most_tokens, takes_sampling};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::message::{Message, Usage};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::gathering::AnswerFraming;
use crate::engine::models::gathering::tests::told;
use crate::engine::models::lab::{HERE, asked, calculator, city, conversation, problems};

/// The node at another address, which Flowise's own cannot be told.
struct Elsewhere;

impl NodeKind for Elsewhere {
    fn names(&self) -> &'static [&'static str] {
        &["chatAnthropic"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let address = inputs.text("address").unwrap();
        build(inputs, &address)
    }
}

const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[],"stop_reason":null,"usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grü"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"ezi"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"extract","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"city\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"Bern\"}"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}

event: message_stop
data: {"type":"message_stop"}

"#;

fn inputs(more: Value) -> Value {
    let mut inputs = json!({ "address": HERE, "modelName": "claude-haiku-4-5", "temperature": 0.5, "topP": "0.9",
        "allowImageUploads": true, "budgetTokens": "1024", "extendedThinking": "" });
    let Value::Object(more) = more else { panic!() };
    inputs.as_object_mut().unwrap().extend(more);
    inputs
}

#[tokio::test]
async fn requests_are_flowises() {
    let (conversation, tools) = (conversation(), [calculator()]);
    let asked =
        asked(&Elsewhere, inputs(json!({})), ModelRequest::of(&conversation).with_tools(&tools), 200, STREAM).await;
    let received = asked.received;
    assert_eq!(received.line, "POST /v1/messages HTTP/1.1");
    assert_eq!(received.headers["x-api-key"], "a-anthropicApiKey");
    assert_eq!(received.headers["anthropic-version"], "2023-06-01");
    let image = json!({ "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=" });
    let expected = json!({
        "model": "claude-haiku-4-5",
        "stream": true,
        "max_tokens": 16384,
        "tools": [{ "name": "calculator", "description": "Computes.", "input_schema": calculator().parameters }],
        "thinking": { "type": "disabled" },
        "temperature": 0.5,
        "top_p": 0.9,
        "system": "Be brief.",
        "messages": [
            { "role": "user", "content": [
                { "type": "image", "source": image },
                { "type": "text", "text": "What is 6*7?" },
            ] },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "call_1", "name": "calculator", "input": { "input": "6*7" } },
            ] },
            { "role": "user", "content": [{ "type": "tool_result", "content": "42", "tool_use_id": "call_1" }] },
            { "role": "user", "content": "And now?" },
        ],
    });
    assert_eq!(received.body, expected);
    assert_eq!(asked.answered.unwrap().text, "Grüezi");
    assert_eq!(asked.events.matches("\"token\"").count(), 2);
}

#[tokio::test]
async fn thinking_and_schemas_are_flowises() {
    let (conversation, city) = (conversation(), city());
    let ask = ModelRequest::of(&conversation).with_schema("extract", &city);
    let answer = r#"{"id":"msg_1","type":"message","model":"m","content":[{"type":"tool_use","id":"t","name":"extract","input":{"city":"Bern"}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}"#;
    let asked_plainly = asked(&Elsewhere, inputs(json!({ "streaming": false })), ask, 200, answer).await;
    let body = asked_plainly.received.body;
    let tool = json!({ "name": "extract", "description": "A function available to call.", "input_schema": city });
    assert_eq!((&body["tools"], &body["stream"]), (&json!([tool]), &json!(false)));
    assert_eq!(body["tool_choice"], json!({ "type": "tool", "name": "extract" }));
    assert_eq!(asked_plainly.answered.unwrap().text, r#"{"city":"Bern"}"#);

    let more = json!({ "modelName": "claude-sonnet-4-5", "extendedThinking": true, "topP": "", "streaming": false,
        "maxTokensToSample": "4000" });
    let body = asked(&Elsewhere, inputs(more), ask, 200, answer).await.received.body;
    assert_eq!(body["thinking"], json!({ "type": "enabled", "budget_tokens": 1024 }));
    assert_eq!((body.get("tool_choice"), body.get("temperature"), &body["max_tokens"]), (None, None, &json!(4000)));

    let more = json!({ "modelName": "claude-opus-4-7", "adaptiveThinking": true, "thinkingEffort": "low" });
    let body = asked(&Elsewhere, inputs(more), ModelRequest::of(&conversation), 200, STREAM).await.received.body;
    assert_eq!(body["thinking"], json!({ "type": "adaptive" }));
    assert_eq!((&body["output_config"], body.get("top_p")), (&json!({ "effort": "low" }), None));
}

#[tokio::test]
async fn refusals_are_anthropics_words() {
    let conversation = conversation();
    let answer = r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}}"#;
    let asked = asked(&Elsewhere, inputs(json!({})), ModelRequest::of(&conversation), 400, answer).await;
    assert_eq!(asked.answered.unwrap_err().to_string(), "400 max_tokens: too large");
}

#[test]
fn streams_are_read_wherever_they_are_cut() {
    let told = |stream: &str, ask: ModelRequest<'_>| told(AnthropicReply::default, AnswerFraming::Events, stream, ask);
    let answered = told(STREAM, ModelRequest::of(&[])).unwrap();
    assert_eq!((answered.text.as_str(), answered.thinking.as_str()), ("Grüezi", "Hm"));
    assert_eq!(answered.usage, Usage { input: 7, output: 9 });
    assert_eq!(answered.usage_metadata["input_token_details"], json!({ "cache_creation": 0, "cache_read": 2 }));
    assert_eq!(answered.response_metadata["stop_reason"], "tool_use");
    assert_eq!(answered.calls[0].arguments, json!({ "city": "Bern" }));

    // Thoughts go back with the result, signed as they came.
    let turn = Message::calling(answered.text, answered.calls);
    let body = super::request::body(&serde_json::Map::new(), true, ModelRequest::of(&[turn]));
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0], json!({ "type": "thinking", "thinking": "Hm", "signature": "sig" }));
    assert_eq!((&content[1]["text"], &content[2]["type"]), (&json!("Grüezi"), &json!("tool_use")));

    let schema = json!({});
    let structured = told(STREAM, ModelRequest::of(&[]).with_schema("extract", &schema)).unwrap();
    assert_eq!(structured.text, "{\"city\":\"Bern\"}");
    let (cut, _) = STREAM.split_once("event: message_delta").unwrap();
    assert_eq!(told(cut, ModelRequest::of(&[])).unwrap_err().to_string(), "The provider broke off.");
    let error = r#"event: error
data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}
"#;
    let error = format!("{cut}{error}\n");
    assert_eq!(told(&error, ModelRequest::of(&[])).unwrap_err().to_string(), "529 Overloaded");
}

#[test]
fn systems_and_results_are_brought_together() {
    let conversation = conversation();
    let (call, result) = (&conversation[2], &conversation[3]);
    let turns = [Message::system("One."), call.clone(), result.clone(), result.clone(), Message::system("Two.")];
    let body = super::request::body(&serde_json::Map::new(), true, ModelRequest::of(&turns));
    assert_eq!(body["system"], "One.\n\nTwo.");
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
    assert_eq!(body["messages"][1]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn models_have_their_limits() {
    for (model, most) in [("claude-opus-4-6", 16384), ("claude-3-haiku-20240307", 4096), ("claude-2", 2048)] {
        assert_eq!(most_tokens(model), most);
    }
    for (model, takes) in
        [("claude-opus-4-7", false), ("claude-opus-4-6", true), ("claude-opus-5-0", false), ("claude-sonnet-4-5", true)]
    {
        assert_eq!(takes_sampling(model), takes, "{model}");
    }
    let refused =
        problems(&ChatAnthropic, json!({ "modelName": "claude-sonnet-4-5", "extendedThinking": true, "topP": 1 }));
    assert!(refused[0].contains("input topP"));
}
