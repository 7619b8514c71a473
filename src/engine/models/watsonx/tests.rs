//! As Flowise's library was seen to ask.

use serde_json::{Value, json};

use super::{CHAT_WATSONX, WATSONX, WatsonxKind};
use crate::engine::contract::message::{Message, ToolCall};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::lab::{CREDENTIALS, HERE, at_provider, built, calculator, city, model, problems};

const HERE_CHAT: WatsonxKind = WatsonxKind { tokens_input: "here", ..CHAT_WATSONX };
const HERE_TEXT: WatsonxKind = WatsonxKind { tokens_input: "here", ..WATSONX };

fn inputs(credential: &Value, more: Value) -> Value {
    let mut all = json!({ "version": "2023-05-29", "serviceUrl": HERE, "projectId": "pid" });
    all.as_object_mut().unwrap().extend(credential.as_object().unwrap().clone());
    let mut inputs = json!({ "here": HERE, CREDENTIALS: { "ibmWatsonx": all } });
    let Value::Object(more) = more else { panic!() };
    inputs.as_object_mut().unwrap().extend(more);
    inputs
}

fn token() -> Value {
    json!({ "access_token": "tok", "expires_in": 3600 })
}

const STREAM: &str = "id: 0\nevent: message\ndata: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"He\"}}]}\n\n\
    id: 1\nevent: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}\n\n\
    id: 2\nevent: message\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n";

#[tokio::test]
async fn chats_are_flowises_and_a_key_is_for_a_token() {
    let settings = json!({ "modelName": "mistralai/mistral-large", "temperature": "0.9", "maxTokens": "9",
        "frequencyPenalty": "1", "presencePenalty": "1", "topP": "0.5" });
    let key = json!({ "watsonxAIAuthType": "iam", "watsonxAIApikey": "key" });
    let (answer, received) = {
        let answers = [token(), STREAM.into()];
        let (received, answer) = at_provider(inputs(&key, settings), &answers, async |inputs, run| {
            let call = ToolCall::new("call_1", "calculator", json!({ "input": "6*7" }));
            let turns = [Message::user("Q"), Message::calling("", vec![call.clone()]), Message::tool(&call, "42")];
            let tools = [calculator()];
            model(&HERE_CHAT, inputs).chat(ModelRequest::of(&turns).with_tools(&tools), run).await.unwrap()
        })
        .await;
        (answer, received)
    };
    assert_eq!(received[0].line, "POST /identity/token HTTP/1.1");
    let form = "apikey=key&grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&response_type=cloud_iam";
    assert_eq!(received[0].body, form);
    assert_eq!(received[1].line, "POST /ml/v1/text/chat_stream?version=2023-05-29 HTTP/1.1");
    assert_eq!(received[1].headers["authorization"], "Bearer tok");
    let function = json!({ "name": "calculator", "description": "Computes.", "parameters": calculator().parameters });
    let called = json!({ "name": "calculator", "arguments": "{\"input\":\"6*7\"}" });
    let body = json!({
        "model_id": "mistralai/mistral-large",
        "messages": [
            { "role": "user", "content": "Q" },
            { "role": "assistant", "content": "", "tool_calls": [
                { "id": "0001uz2UM", "type": "function", "function": called } ] },
            { "role": "tool", "content": "42", "name": "calculator", "tool_call_id": "0001uz2UM" },
        ],
        "project_id": "pid", "tools": [{ "type": "function", "function": function }],
        "frequency_penalty": 1, "max_tokens": 9, "presence_penalty": 1, "temperature": 0.9, "top_p": 0.5,
    });
    assert_eq!(received[1].body, body);
    assert_eq!((answer.text.as_str(), answer.usage.output), ("Hello", 2));
}

#[tokio::test]
async fn a_token_is_used_as_it_is_and_schemas_are_the_one_tool() {
    let call =
        json!({ "id": "c", "type": "function", "function": { "name": "extract", "arguments": "{\"city\":\"Bern\"}" } });
    let message = json!({ "role": "assistant", "content": "", "tool_calls": [call] });
    let answers = [json!({ "id": "c1", "choices": [{ "message": message, "finish_reason": "tool_calls" }] })];
    let bearer = json!({ "watsonxAIAuthType": "bearertoken", "watsonxAIBearerToken": "bt" });
    let settings = json!({ "modelName": "mm", "streaming": false });
    let (received, text) = at_provider(inputs(&bearer, settings), &answers, async |inputs, run| {
        let city = city();
        let ask = ModelRequest::of(&[]).with_schema("extract", &city);
        model(&HERE_CHAT, inputs).chat(ask, run).await.unwrap().text
    })
    .await;
    assert_eq!((received[0].headers["authorization"].as_str(), text.as_str()), ("Bearer bt", r#"{"city":"Bern"}"#));
    assert_eq!(received[0].body["tool_choice"], json!({ "type": "function", "function": { "name": "extract" } }));
}

#[tokio::test]
async fn texts_are_gone_on_with() {
    let stream = "data: {\"results\":[{\"generated_text\":\"He\",\"generated_token_count\":1,\"input_token_count\":3,\"stop_reason\":\"not_finished\"}]}\n\n\
        data: {\"results\":[{\"generated_text\":\"llo\",\"generated_token_count\":2,\"input_token_count\":0,\"stop_reason\":\"eos_token\"}]}\n\n";
    let settings = json!({ "modelId": "ibm/granite", "decodingMethod": "sample", "topK": "50", "topP": "0.7",
        "temperature": "0.7", "repetitionPenalty": "1", "maxNewTokens": "100", "minNewTokens": "1",
        "stopSequence": "a, b", "randomSeed": "5", "includeStopSequence": true });
    let bearer = json!({ "watsonxAIAuthType": "bearertoken", "watsonxAIBearerToken": "bt" });
    let answers = [stream.into()];
    let (received, answer) = at_provider(inputs(&bearer, settings), &answers, async |inputs, run| {
        let turns = [Message::user("Hi")];
        model(&HERE_TEXT, inputs).chat(ModelRequest::of(&turns), run).await.unwrap()
    })
    .await;
    assert_eq!(received[0].line, "POST /ml/v1/text/generation_stream?version=2023-05-29 HTTP/1.1");
    let parameters = json!({ "stop_sequences": ["a", "b"], "temperature": 0.7, "top_p": 0.7, "max_new_tokens": 100,
        "decoding_method": "sample", "min_new_tokens": 1, "random_seed": 5, "top_k": 50, "repetition_penalty": 1,
        "include_stop_sequence": true });
    let body = json!({ "input": "Hi", "model_id": "ibm/granite", "project_id": "pid", "parameters": parameters });
    assert_eq!(received[0].body, body);
    assert_eq!((answer.text.as_str(), answer.usage.input, answer.usage.output), ("Hello", 3, 2));
}

#[test]
fn without_a_credential_nothing_is_sent() {
    let model = built(&CHAT_WATSONX, json!({ "modelName": "m" }), false).unwrap().into_model().unwrap();
    assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
    let credential = json!({ "version": "1", "serviceUrl": "nowhere", "projectId": "p", "watsonxAIApikey": "k" });
    let wrong = json!({ "modelName": "m", CREDENTIALS: { "ibmWatsonx": credential } });
    assert!(problems(&CHAT_WATSONX, wrong)[0].contains("input credential"));
}
