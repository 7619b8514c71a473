//! As Flowise's library was seen to ask.

use serde_json::{Value, json};

use super::answer::BedrockReply;
use super::{BEDROCK, CHAT_BEDROCK, ChatBedrock, geos_of, host_of, plain};
use crate::engine::contract::message::{Message, Usage};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::lab::{HERE, at_provider, built, calculator, city, conversation, model, problems};
use crate::engine::provider::EventFrame;

const HERE_NODE: ChatBedrock = ChatBedrock { address_input: "here", ..CHAT_BEDROCK };

fn inputs(more: Value) -> Value {
    let mut inputs = json!({ "here": HERE, "region": "eu-west-1", "model": "anthropic.claude-3-haiku-v1:0",
        "streaming": false });
    let Value::Object(more) = more else { panic!() };
    inputs.as_object_mut().unwrap().extend(more);
    inputs
}

fn whole(content: &Value) -> Value {
    json!({ "output": { "message": { "role": "assistant", "content": content } }, "stopReason": "end_turn",
        "usage": { "inputTokens": 3, "outputTokens": 4, "totalTokens": 7 }, "metrics": { "latencyMs": 5 } })
}

#[tokio::test]
async fn the_llm_is_asked_for_one_text_at_once() {
    let kind = ChatBedrock { address_input: "here", ..BEDROCK };
    let inputs =
        json!({ "here": HERE, "model": "none", "customModel": "mistral.mistral-7b", "max_tokens_to_sample": 50 });
    let answers = [json!({}), whole(&json!([{ "text": "Hi" }]))];
    let (received, text) = at_provider(inputs, &answers, async |inputs, run| {
        let model = model(&kind, inputs);
        model.chat(ModelRequest::of(&[Message::user("Say hi.")]), run).await.unwrap().text
    })
    .await;
    let asked = received.last().unwrap();
    assert_eq!(asked.line, "POST /model/mistral.mistral-7b/converse HTTP/1.1");
    assert_eq!(asked.body["inferenceConfig"], json!({ "maxTokens": 50, "temperature": 0.7 }));
    assert_eq!(asked.body["messages"], json!([{ "role": "user", "content": [{ "text": "Say hi." }] }]));
    assert_eq!(text, "Hi");
}

#[tokio::test]
async fn requests_are_flowises_and_profiles_are_looked_up_once() {
    let profiles = json!({ "inferenceProfileSummaries": [
        { "inferenceProfileId": "eu.anthropic.claude-3-haiku-v1:0" }, { "inferenceProfileId": "eu.amazon.nova" } ] });
    let answers = [profiles, whole(&json!([{ "text": "Hi" }])), whole(&json!([{ "text": "Ho" }]))];
    let (received, (answer, second)) = at_provider(inputs(json!({})), &answers, async |inputs, run| {
        let (turns, tools) = (conversation(), [calculator()]);
        let model = model(&HERE_NODE, inputs);
        let ask = ModelRequest::of(&turns).with_tools(&tools).ending_before(&["x"]);
        let first = model.chat(ask, run).await.unwrap();
        (first, model.chat(ModelRequest::of(&[Message::user("c")]), run).await.unwrap().text)
    })
    .await;
    assert_eq!(received[0].line, "GET /inference-profiles?maxResults=100&type=SYSTEM_DEFINED HTTP/1.1");
    let line = "POST /model/eu.anthropic.claude-3-haiku-v1%3A0/converse HTTP/1.1";
    assert_eq!((received[1].line.as_str(), received[2].line.as_str()), (line, line));
    let signed = &received[1].headers["authorization"];
    let beginning = "AWS4-HMAC-SHA256 Credential=a-awsKey/";
    assert!(signed.starts_with(beginning) && signed.contains("/eu-west-1/bedrock/aws4_request, "), "{signed}");
    let schema = calculator().parameters;
    let tool =
        json!({ "toolSpec": { "name": "calculator", "description": "Computes.", "inputSchema": { "json": schema } } });
    let body = json!({
        "messages": [
            { "role": "user", "content": [
                { "image": { "format": "png", "source": { "bytes": "iVBORw0KGgo=" } } }, { "text": "What is 6*7?" } ] },
            { "role": "assistant", "content": [
                { "toolUse": { "toolUseId": "call_1", "name": "calculator", "input": { "input": "6*7" } } } ] },
            { "role": "user", "content": [{ "toolResult": { "toolUseId": "call_1", "content": [{ "text": "42" }] } }] },
            { "role": "user", "content": [{ "text": "And now?" }] },
        ],
        "system": [{ "text": "Be brief." }],
        "inferenceConfig": { "maxTokens": 200, "temperature": 0.7, "stopSequences": ["x"] },
        "toolConfig": { "tools": [tool] },
    });
    assert_eq!(received[1].body, body);
    assert_eq!((answer.text.as_str(), second.as_str()), ("Hi", "Ho"));
    assert_eq!(answer.usage, Usage { input: 3, output: 4 });
    let metadata = json!({ "usage": { "inputTokens": 3, "outputTokens": 4, "totalTokens": 7 },
        "stopReason": "end_turn", "metrics": { "latencyMs": 5 }, "model_provider": "bedrock-converse" });
    assert_eq!(Value::Object(answer.response_metadata), metadata);
}

#[tokio::test]
async fn schemas_are_the_one_tool_and_profiles_may_be_named() {
    let call = json!([{ "toolUse": { "toolUseId": "t1", "name": "extract", "input": { "city": "Bern" } } }]);
    let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-x";
    let inputs = inputs(json!({ "customModel": arn }));
    let (received, text) = at_provider(inputs, &[whole(&call)], async |inputs, run| {
        let city = city();
        let ask = ModelRequest::of(&[]).with_schema("extract", &city);
        model(&HERE_NODE, inputs).chat(ask, run).await.unwrap().text
    })
    .await;
    assert_eq!(text, r#"{"city":"Bern"}"#);
    let place = "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.claude-3-x";
    assert_eq!(received[0].line, format!("POST /model/{place}/converse HTTP/1.1"));
    assert_eq!(received[0].body["toolConfig"]["toolChoice"], json!({ "tool": { "name": "extract" } }));
}

#[test]
fn events_become_an_answer() {
    let frame = |event: &str, payload: Value| EventFrame {
        event: event.to_owned(),
        is_failure: event.ends_with("Exception"),
        payload: payload.to_string().into(),
    };
    let ask = ModelRequest::of(&[]);
    let frames = [
        frame("messageStart", json!({ "role": "assistant" })),
        frame(
            "contentBlockDelta",
            json!({ "contentBlockIndex": 0, "delta": { "reasoningContent": { "text": "Hm" } } }),
        ),
        frame("contentBlockDelta", json!({ "contentBlockIndex": 1, "delta": { "text": "Grü" } })),
        frame("contentBlockDelta", json!({ "contentBlockIndex": 1, "delta": { "text": "ezi" } })),
        frame("contentBlockStop", json!({ "contentBlockIndex": 1 })),
        frame(
            "contentBlockStart",
            json!({ "contentBlockIndex": 2, "start": { "toolUse": { "toolUseId": "t1", "name": "f" } } }),
        ),
        frame("contentBlockDelta", json!({ "contentBlockIndex": 2, "delta": { "toolUse": { "input": "{\"a\":" } } })),
        frame("contentBlockDelta", json!({ "contentBlockIndex": 2, "delta": { "toolUse": { "input": "1}" } } })),
        frame("messageStop", json!({ "stopReason": "tool_use" })),
        frame("metadata", json!({ "usage": { "inputTokens": 3, "outputTokens": 4, "totalTokens": 7 }, "metrics": {} })),
    ];
    let mut reply = BedrockReply::default();
    for frame in &frames {
        reply.take(frame, ask).unwrap();
    }
    let answer = reply.done(ask).unwrap();
    assert_eq!((answer.text.as_str(), answer.thinking.as_str()), ("Grüezi", "Hm"));
    assert_eq!((answer.calls[0].id.as_str(), &answer.calls[0].arguments), ("t1", &json!({ "a": 1 })));
    assert_eq!((answer.usage.output, &answer.response_metadata["messageStop"]["stopReason"]), (4, &json!("tool_use")));

    let mut cut = BedrockReply::default();
    cut.take(&frames[2], ask).unwrap();
    let refused = cut.take(&frame("throttlingException", json!({ "message": "Slowly" })), ask).unwrap_err();
    assert_eq!(refused.to_string(), "429 Slowly");
    assert_eq!(cut.done(ask).unwrap_err().to_string(), "The provider broke off.");
}

#[test]
fn places_and_models_are_read() {
    assert_eq!(geos_of("ap-northeast-1", false), ["jp", "apac", "global", "us"]);
    assert_eq!(geos_of("us-west-2", true), ["global", "us", "global", "us"]);
    assert_eq!((plain("us.deepseek.r1"), plain("deepseek.r1")), ("deepseek.r1", "deepseek.r1"));
    assert_eq!((host_of("https://a.b/c"), host_of("a.b")), ("a.b", "a.b"));
    let unconfigured = built(&CHAT_BEDROCK, json!({}), false).unwrap().into_model().unwrap();
    assert!(format!("{unconfigured:?}").starts_with("ModelWithoutCredential"));
    let imported = json!({ "customModel": "arn:aws:bedrock:us-east-1:1:imported-model/x" });
    assert!(problems(&CHAT_BEDROCK, imported)[0].contains("input customModel"));
    assert!(problems(&CHAT_BEDROCK, json!({ "region": "x.evil.com/" }))[0].contains("input region"));
}
