//! As Flowise's libraries were seen to ask.

use serde_json::{Value, json};

use super::*;
use crate::engine::models::lab::{Asked, HERE, asked, built, conversation, problems};

const STREAM: &str = "data: {\"choices\":[{\"index\":0,\"text\":\"He\",\"finish_reason\":null}]}\n\n\
data: {\"choices\":[{\"index\":0,\"text\":\"llo\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

async fn answered(kind: TextModel, mut inputs: Value, answer: &str) -> Asked {
    let kind = match kind.row.address_input {
        "" => TextModel { row: ProviderRow { address_input: "here", ..kind.row }, ..kind },
        _ => kind,
    };
    inputs[kind.row.address_input] = HERE.into();
    let messages = [Message::user("Hi")];
    asked(&kind, inputs, ModelRequest::of(&messages), 200, answer).await
}

#[tokio::test]
async fn openai_goes_on_with_a_text() {
    let inputs = json!({ "modelName": "gpt-3.5-turbo-instruct", "temperature": 0.7, "batchSize": "3" });
    let seen = answered(OPENAI, inputs, STREAM).await;
    assert_eq!(seen.received.line, "POST /completions HTTP/1.1");
    let body =
        json!({ "model": "gpt-3.5-turbo-instruct", "temperature": 0.7, "n": 1, "stream": true, "prompt": ["Hi"] });
    assert_eq!((seen.received.body, seen.answered.unwrap().text), (body, "Hello".to_owned()));
    assert!(seen.events.contains("\"llo\""), "{}", seen.events);

    let inputs = json!({ "modelName": "x", "streaming": false, "maxTokens": "5", "topP": "0.5", "frequencyPenalty": "1",
        "presencePenalty": "2", "bestOf": "2" });
    let whole =
        r#"{"choices":[{"text":"Hello","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let seen = answered(OPENAI, inputs, whole).await;
    let body = json!({ "model": "x", "max_tokens": 5, "top_p": 0.5, "frequency_penalty": 1, "presence_penalty": 2,
        "best_of": 2, "n": 1, "stream": false, "prompt": ["Hi"] });
    assert_eq!((seen.received.body, seen.answered.unwrap().usage.output), (body, 2));
    assert!(problems(&OPENAI, json!({ "modelName": "gpt-4" }))[0].contains("a model for chats"));
}

#[tokio::test]
async fn others_are_asked_their_way() {
    let seen = answered(FIREWORKS, json!({ "modelName": "m" }), r#"{"choices":[{"text":"Hello"}]}"#).await;
    assert_eq!(seen.received.body, json!({ "model": "m", "n": 1, "stream": false, "prompt": "Hi" }));

    let inputs = json!({ "modelName": "M", "temperature": 0.9, "stop": "a,b" });
    let seen = answered(TOGETHER, inputs, r#"{"output":{"choices":[{"text":"Hello"}]}}"#).await;
    let body = json!({ "model": "M", "prompt": "Hi", "temperature": 0.9, "top_k": 50, "top_p": 0.7,
        "repetition_penalty": 1, "stream_tokens": false, "stop": ["a", "b"] });
    assert_eq!((seen.received.body, seen.answered.unwrap().text), (body, "Hello".to_owned()));

    let seen = answered(COHERE, json!({}), r#"{"id":"x","generations":[{"id":"1","text":"Hello"}]}"#).await;
    let body = json!({ "prompt": "Hi", "model": "command", "max_tokens": 250, "temperature": 0, "stream": false });
    assert_eq!((seen.received.body, seen.answered.unwrap().text), (body, "Hello".to_owned()));

    let inputs = json!({ "model": "gpt2", "temperature": "0.5", "maxTokens": "9", "hfTopK": "3" });
    let seen = answered(HUGGING_FACE, inputs, r#"{"choices":[{"text":"Hello"}]}"#).await;
    assert!(seen.received.line.ends_with("/v1/completions HTTP/1.1"), "{}", seen.received.line);
    let mut sent = seen.received.body;
    // The address that the test has for it.
    assert!(sent["model"].take().is_string());
    let body = json!({ "model": null, "prompt": "Hi", "return_full_text": false, "temperature": 0.5, "max_tokens": 9,
        "top_k": 3 });
    assert_eq!(sent, body);
    assert_eq!(seen.answered.unwrap().text, "Hello");

    let lines = "{\"response\":\"He\",\"done\":false}\n{\"response\":\"llo\",\"done\":false}\n\
                 {\"response\":\"\",\"done\":true,\"eval_count\":2,\"prompt_eval_count\":1}\n";
    let inputs = json!({ "modelName": "llama2", "temperature": 0.9, "numGpu": "0", "stop": "a,b", "topK": "4" });
    let seen = answered(OLLAMA, inputs, lines).await;
    let options = json!({ "temperature": 0.9, "num_gpu": 0, "stop": ["a", "b"], "top_k": 4 });
    let body = json!({ "model": "llama2", "prompt": "Hi", "stream": true, "options": options });
    let answer = seen.answered.unwrap();
    assert_eq!((seen.received.body, answer.text.as_str(), answer.usage.input), (body, "Hello", 1));
}

#[tokio::test]
async fn what_breaks_off_or_says_nothing_is_no_answer() {
    let half = STREAM.split("data: {\"choices\":[{\"index\":0,\"text\":\"llo\"").next().unwrap();
    for answer in [half, "data: [DONE]\n\n", "data: {\"error\":{\"message\":\"no\"}}\n\n"] {
        assert!(answered(OPENAI, json!({ "modelName": "m" }), answer).await.answered.is_err(), "{answer}");
    }
}

#[test]
fn chats_become_one_text() {
    let text = prompt_of(&conversation());
    assert!(text.starts_with("System: Be brief.\nHuman: What is 6*7?\nAI: "), "{text}");
    assert_eq!(prompt_of(&[Message::user("Hi")]), "Hi");
}

#[test]
fn without_a_credential_nothing_is_sent() {
    for kind in [&OPENAI, &AZURE, &FIREWORKS, &SAMBANOVA, &TOGETHER, &COHERE, &HUGGING_FACE] {
        let model = built(kind, json!({ kind.row.model_input: "m" }), false).unwrap().into_model().unwrap();
        assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
    }
}
