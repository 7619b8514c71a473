//! Expected: what `LlamaIndex`'s library sent for Flowise 3.1.4's own nodes.

use serde_json::{Map, Value, json};

use super::{DATED, GROQ, LlamaModel, LlamaOllama, LlamaOpenAi, MISTRAL, TOGETHER, Vendor, merged};
use crate::engine::compile::kind::NodeKind as _;
use crate::engine::contract::message::{Message, ToolCall};
use crate::engine::contract::model::ModelRequest;
use crate::engine::contract::sink::Sink;
use crate::engine::models::lab::{HERE, asked, built, calculator};
use crate::engine::provider::Targets;
use crate::telemetry::metrics::Metrics;

fn talk() -> Vec<Message> {
    vec![Message::user("Sys"), Message::user("hi"), Message::assistant("yo"), Message::user("Q")]
}

#[tokio::test]
async fn openai_is_asked_for_a_stream_where_it_is_told() {
    let answer = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"}}]}\n\ndata: \
                  {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let inputs = json!({ "modelName": "gpt-4o-mini", "temperature": "0.9", "basepath": format!("{HERE}/v1") });
    let turns = talk();
    let asked = asked(&LlamaOpenAi, inputs, ModelRequest::of(&turns), 200, answer).await;
    assert_eq!(asked.received.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(asked.received.headers["authorization"], "Bearer a-openAIApiKey");
    let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
    let messages = [turn("user", "Sys"), turn("user", "hi"), turn("assistant", "yo"), turn("user", "Q")];
    let expected =
        json!({ "model": "gpt-4o-mini", "temperature": 0.9, "messages": messages, "top_p": 1, "stream": true });
    assert_eq!(asked.received.body, expected);
    assert_eq!(asked.answered.unwrap().text, "Hi");
}

#[test]
fn anthropic_is_told_turns_of_two_and_one_system() {
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let endpoint = targets.endpoint("https://api.anthropic.com", None).unwrap();
    let fields = Map::from_iter([("model".to_owned(), Value::from("m"))]);
    let (path, model, vendor) = ("/v1/messages".into(), "m".to_owned(), Vendor::Anthropic);
    let model = LlamaModel { endpoint, path, headers: Vec::new(), model, fields, vendor };
    let turn = |role: &str, content: &str| json!({ "content": content, "role": role });
    let expected = json!([turn("user", "Sys\nhi"), turn("assistant", "yo"), turn("user", "Q")]);
    assert_eq!(merged(&talk()), expected);
    let turns = talk();
    let ask = ModelRequest::of(&turns);
    assert_eq!(model.body(ask, false), json!({ "model": "m", "messages": expected }));
    let sink = Sink::flowise();
    assert!(sink.streams());
    let turns = [Message::system("S"), Message::user("Q")];
    let streamed = json!({ "model": "m", "system": "S", "messages": [turn("user", "Q")], "stream": true });
    assert_eq!(model.body(ModelRequest::of(&turns), true), streamed);
    assert!(DATED.iter().all(|(name, dated)| dated.starts_with(name)));
}

#[test]
fn agents_tell_what_may_be_called_and_what_was() {
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let model = |vendor: Vendor| {
        let endpoint = targets.endpoint("https://a.example", None).unwrap();
        let (path, model) = ("/".into(), "m".to_owned());
        LlamaModel { endpoint, path, headers: Vec::new(), model, fields: Map::new(), vendor }
    };
    let call = ToolCall::new("1", "calculator", json!({ "input": "1+1" }));
    let turns = [Message::user("Q"), Message::calling("", vec![call.clone()]), Message::tool(&call, "2")];
    let tools = [calculator()];
    let ask = ModelRequest::of(&turns).with_tools(&tools);
    let body = model(Vendor::OpenAi).body(ask, false);
    assert_eq!(body["tools"][0]["function"]["name"], "calculator");
    assert_eq!(body["messages"][1]["tool_calls"][0]["function"]["arguments"], "{\"input\":\"1+1\"}");
    assert_eq!(body["messages"][2], json!({ "tool_call_id": "1", "role": "tool", "content": "2" }));
    let body = model(Vendor::Anthropic).body(ask, false);
    assert_eq!(body["tools"][0]["input_schema"], calculator().parameters);
    assert_eq!(body["messages"][1]["content"][0]["type"], "tool_use");
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], "1");
}

#[tokio::test]
async fn ollama_is_asked_its_own_way() {
    let lines = "{\"message\":{\"role\":\"assistant\",\"content\":\"He\"},\"done\":false}\n\
                 {\"message\":{\"role\":\"assistant\",\"content\":\"llo\"},\"done\":true}\n";
    let inputs = json!({ "modelName": "m", "baseUrl": HERE, "temperature": "0.9", "topK": "3", "numGpu": "1",
        "stop": "a,b" });
    let turns = talk();
    let asked = asked(&LlamaOllama, inputs, ModelRequest::of(&turns), 200, lines).await;
    assert_eq!(asked.received.line, "POST /api/chat HTTP/1.1");
    let options = json!({ "num_ctx": 4096, "top_p": 0.9, "temperature": 0.9, "top_k": 3, "main_gpu": 1,
        "stop": ["a", "b"] });
    assert_eq!(asked.received.body["options"], options);
    assert_eq!((&asked.received.body["stream"], &asked.received.body["model"]), (&json!(true), &json!("m")));
    assert_eq!(asked.answered.unwrap().text, "Hello");
}

#[test]
fn relatives_want_their_own_keys() {
    for kind in [&GROQ, &MISTRAL, &TOGETHER] {
        let inputs = json!({ "modelName": "m", "temperature": "0.9", kind.most_input: "5" });
        let model = built(kind, inputs.clone(), true).unwrap().into_model().unwrap();
        let told = format!("{model:?}");
        for part in ["\"temperature\": Number(0.9)", "\"max_tokens\": Number(5)", "\"top_p\": Number(1)"] {
            assert!(told.contains(part), "{:?}: {told}", kind.names());
        }
        let model = built(kind, inputs, false).unwrap().into_model().unwrap();
        assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
    }
}
