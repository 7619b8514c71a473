//! As Flowise's libraries were seen to ask.

use serde_json::{Value, json};

use super::{CLOUDFLARE, HUGGING_FACE, NEMO, PlainKind, TONGYI};
use crate::engine::contract::message::Message;
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::lab::{Asked, HERE, asked, built, conversation, needs, problems};
use crate::engine::models::row::ProviderRow;

async fn answered(kind: PlainKind, mut inputs: Value, answer: &str) -> Asked {
    let kind = match kind.row.address_input {
        "" => PlainKind { row: ProviderRow { address_input: "here", ..kind.row }, ..kind },
        _ => kind,
    };
    inputs[kind.row.address_input] = HERE.into();
    let messages = [Message::system("Be brief."), Message::user("Hi"), Message::assistant("Ho"), Message::user("So?")];
    asked(&kind, inputs, ModelRequest::of(&messages), 200, answer).await
}

fn turns(system: &str) -> Value {
    let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
    json!([turn(system, "Be brief."), turn("user", "Hi"), turn("assistant", "Ho"), turn("user", "So?")])
}

#[tokio::test]
async fn cloudflare_runs_models_of_an_account() {
    let stream = "data: {\"response\":\"He\"}\n\ndata: {\"response\":\"llo\",\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";
    let seen = answered(CLOUDFLARE, json!({ "model": "@cf/meta/llama" }), stream).await;
    assert_eq!(seen.received.line, "POST /@cf/meta/llama HTTP/1.1");
    assert_eq!(seen.received.headers["authorization"], "Bearer a-cloudflareApiToken");
    assert_eq!(seen.received.body, json!({ "messages": turns("system"), "stream": true }));
    let answer = seen.answered.unwrap();
    assert_eq!((answer.text.as_str(), answer.usage.input), ("Hello", 1));
    let own = built(&CLOUDFLARE, json!({ "model": "m" }), true).unwrap().into_model().unwrap();
    assert!(format!("{own:?}").contains("/client/v4/accounts/a-cloudflareAccountId/ai/run/m"));
    assert!(problems(&CLOUDFLARE, json!({ "model": "a?b" }))[0].contains("input model"));
}

#[tokio::test]
async fn hugging_face_is_told_one_text() {
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"He\"}}]}\n\n\
                  data: {\"choices\":[{\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let inputs = json!({ "model": "m", "temperature": "0.5", "maxTokens": "9", "topP": "0.9", "hfTopK": "3",
        "frequencyPenalty": "1", "stop": "a,b" });
    let seen = answered(HUGGING_FACE, inputs, stream).await;
    assert_eq!(seen.received.line, "POST /v1/chat/completions HTTP/1.1");
    let content = "System: Be brief.\nHuman: Hi\nAI: Ho\nHuman: So?";
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": content }], "temperature": 0.5,
        "max_tokens": 9, "stop": ["a", "b"], "top_p": 0.9, "top_k": 3, "frequency_penalty": 1, "stream": true });
    assert_eq!((seen.received.body, seen.answered.unwrap().text), (body, "Hello".to_owned()));
    for (endpoint, path) in [("http://h/v1/", "http://h:80/v1"), ("http://h/x/chat/completions", "/x/chat/completions")]
    {
        let model = built(&HUGGING_FACE, json!({ "model": "m", "endpoint": endpoint }), true).unwrap();
        let told = format!("{:?}", model.into_model());
        assert!(told.contains(path.trim_start_matches("http://")) && !told.contains("/v1/v1"), "{told}");
    }
    for (model, endpoint) in [("x/y:novita", HERE), ("m", "http://here/v1/chat/completions")] {
        let model = built(&HUGGING_FACE, json!({ "model": model, "endpoint": endpoint }), true).unwrap();
        assert!(format!("{:?}", model.into_model()).contains("router.huggingface.co"));
    }
}

#[tokio::test]
async fn nemo_has_no_system() {
    let answer = r#"{"messages":[{"role":"assistant","content":"Hello"}]}"#;
    let seen = answered(NEMO, json!({ "configurationId": "cfg" }), answer).await;
    assert_eq!(seen.received.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(seen.received.body, json!({ "config_id": "cfg", "messages": turns("user") }));
    assert_eq!(seen.answered.unwrap().text, "Hello");
    assert_eq!(needs(&NEMO, json!({ "configurationId": "c" })), ["baseUrl"]);
}

#[tokio::test]
async fn tongyi_tells_pieces_or_all() {
    let stream = "id:0\nevent:result\n:HTTP_STATUS/200\n\
                  data:{\"output\":{\"text\":\"He\",\"finish_reason\":\"null\"},\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}\n\n\
                  data:{\"output\":{\"text\":\"llo\",\"finish_reason\":\"stop\"},\"usage\":{\"input_tokens\":3,\"output_tokens\":4,\
                  \"total_tokens\":7},\"request_id\":\"r\"}\n\n";
    let inputs = json!({ "modelName": "qwen-plus", "temperature": "0.9" });
    let seen = answered(TONGYI, inputs, stream).await;
    assert_eq!(seen.received.line, "POST /api/v1/services/aigc/text-generation/generation HTTP/1.1");
    assert_eq!(seen.received.headers["accept"], "text/event-stream");
    let parameters = json!({ "stream": true, "temperature": 0.9, "result_format": "text", "incremental_output": true });
    let body = json!({ "model": "qwen-plus", "parameters": parameters, "input": { "messages": turns("system") } });
    assert_eq!(seen.received.body, body);
    let answer = seen.answered.unwrap();
    assert_eq!((answer.text.as_str(), answer.usage.output), ("Hello", 4));
    assert_eq!(answer.response_metadata["request_id"], "r");

    let whole = r#"{"output":{"text":"Hello","finish_reason":"stop"},"usage":{"total_tokens":7,"input_tokens":3,"output_tokens":4}}"#;
    let seen = answered(TONGYI, json!({ "modelName": "q", "streaming": false }), whole).await;
    let counted = json!({ "promptTokens": 3, "completionTokens": 4, "totalTokens": 7 });
    assert_eq!(seen.answered.unwrap().response_metadata["tokenUsage"], counted);
    assert_eq!(seen.received.body["parameters"], json!({ "stream": false, "result_format": "text" }));
    let cut =
        answered(TONGYI, json!({ "modelName": "q" }), stream.split("data:{\"output\":{\"text\":\"llo").next().unwrap());
    assert!(cut.await.answered.is_err());
    let refused = "data:{\"code\":\"Throttling\",\"message\":\"Slowly\",\"request_id\":\"r\"}\n\n";
    let refused = answered(TONGYI, json!({ "modelName": "q" }), refused).await;
    assert!(refused.answered.unwrap_err().to_string().contains("Slowly"));
}

#[tokio::test]
async fn without_a_credential_nothing_is_sent() {
    for kind in [&CLOUDFLARE, &HUGGING_FACE, &TONGYI] {
        let model = built(kind, json!({ kind.row.model_input: "m" }), false).unwrap().into_model().unwrap();
        assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
    }
    let conversation = conversation();
    let inputs = json!({ "configurationId": "c", "baseUrl": HERE });
    let answer = r#"{"messages":[{"content":"Hello"}]}"#;
    let seen = asked(&NEMO, inputs, ModelRequest::of(&conversation), 200, answer).await;
    assert_eq!(seen.received.body["messages"][3], json!({ "role": "assistant", "content": "42" }));
}
