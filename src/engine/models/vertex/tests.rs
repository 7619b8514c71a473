//! As Flowise's library was seen to ask.

use serde_json::{Value, json};

use super::access::account;
use super::{CHAT_VERTEX, VERTEX, VertexKind};
use crate::engine::contract::message::{Message, Usage};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::lab::{
    CREDENTIALS, HERE, Received, at_provider, built, calculator, city, conversation, model, problems,
};

const HERE_CHAT: VertexKind = VertexKind { address_input: "here", ..CHAT_VERTEX };
const HERE_TEXT: VertexKind = VertexKind { address_input: "here", ..VERTEX };

fn inputs(more: Value) -> Value {
    let credential =
        json!({ "googleVertexAuth": { "googleApplicationCredential": account(&format!("{HERE}/token")) } });
    let mut inputs = json!({ "here": HERE, "modelName": "gemini-2.5-flash", CREDENTIALS: credential });
    let Value::Object(more) = more else { panic!() };
    inputs.as_object_mut().unwrap().extend(more);
    inputs
}

fn token() -> Value {
    json!({ "access_token": "tok", "expires_in": 3600, "token_type": "Bearer" })
}

fn said(text: &str) -> Value {
    json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": text }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 6, "candidatesTokenCount": 4, "totalTokenCount": 10 } })
}

/// Whether a token was asked for with signed claims.
fn is_signed(received: &Received) -> bool {
    let Some(form) = received.body.as_str() else { return false };
    let (grant, assertion) = form.split_once("&assertion=").unwrap();
    received.line == "POST /token HTTP/1.1"
        && grant == "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
        && assertion.split('.').count() == 3
}

#[tokio::test]
async fn requests_are_flowises_and_one_token_is_enough() {
    let inputs = inputs(json!({ "temperature": "0.9", "maxOutputTokens": "100", "topK": "3", "streaming": false,
        "thinkingBudget": "100" }));
    let answers = [token(), said("Hi"), said("Ho")];
    let (received, (answer, second)) = at_provider(inputs, &answers, async |inputs, run| {
        let (model, turns, tools) = (model(&HERE_CHAT, inputs), conversation(), [calculator()]);
        let first = model.chat(ModelRequest::of(&turns).with_tools(&tools), run).await.unwrap();
        (first, model.chat(ModelRequest::of(&turns), run).await.unwrap().text)
    })
    .await;
    assert!(is_signed(&received[0]), "{:?}", received[0]);
    let place = "/v1/projects/proj/locations/us-central1/publishers/google/models/gemini-2.5-flash";
    assert_eq!(received[1].line, format!("POST {place}:generateContent HTTP/1.1"));
    assert_eq!(received[1].headers["authorization"], "Bearer tok");
    let function = json!({ "name": "calculator", "description": "Computes.",
        "parameters": { "type": "object", "properties": { "input": { "type": "string" } } } });
    let body = json!({
        "generationConfig": { "temperature": 0.9, "topK": 3, "maxOutputTokens": 100, "stopSequences": [] },
        "tools": [{ "functionDeclarations": [function] }],
        "systemInstruction": { "role": "system", "parts": [{ "text": "Be brief." }] },
        "contents": [
            { "role": "user", "parts": [
                { "inlineData": { "data": "iVBORw0KGgo=", "mimeType": "image/png" } }, { "text": "What is 6*7?" } ] },
            { "role": "model", "parts": [{ "functionCall": { "name": "calculator", "args": { "input": "6*7" } } }] },
            { "role": "function", "parts": [
                { "functionResponse": { "name": "calculator", "response": { "content": 42 } } } ] },
            { "role": "user", "parts": [{ "text": "And now?" }] },
        ],
    });
    assert_eq!(received[1].body, body);
    assert_eq!((answer.text.as_str(), second.as_str()), ("Hi", "Ho"));
    assert_eq!(answer.usage, Usage { input: 6, output: 4 });
    assert_eq!(answer.response_metadata["finish_reason"], "STOP");
}

#[tokio::test]
async fn schemas_are_those_of_the_answer_and_places_are_the_nodes() {
    let inputs = inputs(json!({ "customModelName": "gemini-3-pro", "region": "global", "streaming": false }));
    let (received, text) = at_provider(inputs, &[token(), said("{\"city\":\"Bern\"}")], async |inputs, run| {
        let city = city();
        let ask = ModelRequest::of(&[]).with_schema("extract", &city);
        model(&HERE_CHAT, inputs).chat(ask, run).await.unwrap().text
    })
    .await;
    assert!(received[1].line.contains("/locations/global/publishers/google/models/gemini-3-pro:"), "{:?}", received[1]);
    let generation = &received[1].body["generationConfig"];
    assert_eq!((&generation["responseMimeType"], text.as_str()), (&json!("application/json"), r#"{"city":"Bern"}"#));
    assert_eq!(generation["responseSchema"]["required"], json!(["city"]));
    assert!(
        received[1].body.get("tools").is_none() && generation["responseSchema"].get("additionalProperties").is_none()
    );
}

#[tokio::test]
async fn anthropics_models_are_asked_their_way() {
    let events = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let inputs = inputs(json!({ "modelName": "claude-sonnet-4@20250514", "temperature": "0.9" }));
    let (received, answer) = at_provider(inputs, &[token(), events.into()], async |inputs, run| {
        let turns = [Message::system("Be brief."), Message::user("Hi")];
        model(&HERE_CHAT, inputs).chat(ModelRequest::of(&turns), run).await.unwrap()
    })
    .await;
    let place = "/v1/projects/proj/locations/us-east5/publishers/anthropic/models/claude-sonnet-4@20250514";
    assert_eq!(received[1].line, format!("POST {place}:streamRawPredict HTTP/1.1"));
    let body = json!({ "anthropic_version": "vertex-2023-10-16", "max_tokens": 8192, "temperature": 0.9,
        "stop_sequences": [], "stream": true, "system": "Be brief.",
        "messages": [{ "role": "user", "content": "Hi" }] });
    assert_eq!(received[1].body, body);
    assert_eq!((answer.text.as_str(), answer.usage), ("Hi", Usage { input: 3, output: 4 }));
}

#[tokio::test]
async fn a_text_goes_as_one_turn() {
    let inputs = inputs(json!({ "modelName": "gemini-pro", "temperature": "0.7" }));
    let stream = format!("data: {}\r\n\r\n", said("Hi"));
    let (received, text) = at_provider(inputs, &[token(), stream.into()], async |inputs, run| {
        let turns = [Message::system("S"), Message::user("Q")];
        model(&HERE_TEXT, inputs).chat(ModelRequest::of(&turns), run).await.unwrap().text
    })
    .await;
    assert_eq!(received[1].body["contents"], json!([{ "role": "user", "parts": [{ "text": "System: S\nHuman: Q" }] }]));
    assert!(received[1].line.ends_with(":streamGenerateContent?alt=sse HTTP/1.1") && text == "Hi");
}

#[test]
fn what_cannot_stand_in_an_address_is_refused() {
    assert!(problems(&CHAT_VERTEX, json!({ "modelName": "a/b" }))[0].contains("input modelName"));
    let region = json!({ "modelName": "m", "region": "evil.com/" });
    assert!(problems(&CHAT_VERTEX, region)[0].contains("input region"));
    let model = built(&CHAT_VERTEX, json!({ "modelName": "m" }), false).unwrap().into_model().unwrap();
    assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
}
