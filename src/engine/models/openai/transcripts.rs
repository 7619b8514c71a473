//! Every request that Flowise was recorded to send, said again word for word.

use serde_json::{Value, json};

use super::request::Style;
use crate::engine::contract::message::{Content, ContentPart, Message, Role, ToolCall, ToolSpec};
use crate::engine::contract::model::ModelRequest;

/// What the model was sent in a transcript, word for word.
fn recorded(transcript: &str) -> Vec<Value> {
    let requests = transcript.split(" POST /v1/chat/completions ").skip(1);
    let bodies = requests.filter_map(|request| request.split_once("\n{\n"));
    bodies
        .filter_map(|(_, rest)| Some(format!("{{\n{}\n}}", rest.split_once("\n}\n")?.0)))
        .map(|body| serde_json::from_str(&body).unwrap())
        .collect()
}

/// A recorded message, as the engine holds it.
fn turn(message: &Value) -> Message {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let role = match message["role"].as_str() {
        Some("system") => Role::System,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        _ => Role::User,
    };
    let content = match &message["content"] {
        Value::Array(pieces) => Content::Pieces(
            pieces
                .iter()
                .map(|piece| match piece["type"].as_str() {
                    Some("text") => ContentPart::Text(text(&piece["text"])),
                    _ => ContentPart::Image(text(&piece["image_url"]["url"])),
                })
                .collect(),
        ),
        content => Content::Text(text(content)),
    };
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let function = &call["function"];
        let arguments = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
        ToolCall::new(text(&call["id"]), text(&function["name"]), arguments)
    });
    Message {
        role,
        content,
        calls: calls.collect(),
        answers: message.get("tool_call_id").map(|id| (text(id), "calculator".to_owned())),
        name: message.get("name").map(text),
    }
}

#[test]
fn recorded_requests_are_said_again_word_for_word() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flowise/wire");
    let mut count = 0;
    for number in ["02", "09", "10", "11", "12", "13", "14", "15", "16", "17"] {
        let file = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let file = file.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(number));
        for body in recorded(&std::fs::read_to_string(file.unwrap()).unwrap()) {
            let turns: Vec<Message> = body["messages"].as_array().unwrap().iter().map(turn).collect();
            let tools = body["tools"].as_array().into_iter().flatten().map(|tool| ToolSpec {
                name: tool["function"]["name"].as_str().unwrap().to_owned(),
                description: tool["function"]["description"].as_str().unwrap().to_owned(),
                parameters: tool["function"]["parameters"].clone(),
            });
            let tools: Vec<ToolSpec> = tools.collect();
            let fields = json!({ "model": body["model"], "temperature": body["temperature"] });
            let Value::Object(fields) = fields else { panic!() };
            let style = Style { streams: true, counts: true, ..Style::default() };
            let ask = ModelRequest::of(&turns).with_tools(&tools);
            let said = super::ChatBody { fields: &fields, style, ask };
            assert_eq!(serde_json::to_value(said).unwrap(), body, "in {number}");
            count += 1;
        }
    }
    assert!(count > 25, "{count} requests");
}
