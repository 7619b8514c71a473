//! How models of each provider are asked, and how they answer.

use serde_json::{Value, json};

use super::StubResponse;
use super::heard::StubRequest;
use super::model::{Prompted, Said};

/// `None`: it is no model that is asked.
pub(super) fn answer(heard: &StubRequest) -> Option<StubResponse> {
    if let Some(told) = vectors(heard) {
        return Some(told);
    }
    let body = &heard.body;
    if heard.is_for("/chat/completions") || heard.is_for("/openai/v1/chat") {
        return Some(openai(body, &openai_prompt(body)));
    }
    if heard.is_for("/responses") {
        return Some(responses(body));
    }
    if heard.is_for("/v1/messages") {
        return Some(anthropic(body));
    }
    if heard.path.contains(":generateContent") || heard.path.contains(":streamGenerateContent") {
        return Some(gemini(heard));
    }
    if heard.is_for("/api/chat") {
        return Some(ollama(body));
    }
    if let Some(prompt) = ["prompt", "inputs"].iter().find_map(|field| body.get(*field)).filter(|_| is_text(heard)) {
        return Some(completed(heard, &text_of(prompt)));
    }
    heard.is_for("/moderations").then(|| StubResponse::json(&json!({ "results": [{ "flagged": false }] })))
}

fn is_text(heard: &StubRequest) -> bool {
    ["/completions", "/api/generate", "/generate", "/inference"].iter().any(|end| heard.is_for(end))
        || heard.host.contains("huggingface")
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join("\n"),
        Value::Object(fields) => fields.get("text").or_else(|| fields.get("content")).map(text_of).unwrap_or_default(),
        _ => String::new(),
    }
}

fn list<'v>(body: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    body.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn is_role(turn: &Value, role: &str) -> bool {
    turn.get("role").and_then(Value::as_str) == Some(role)
}

fn prompt_of(body: &Value, turns: &str) -> Prompted {
    let all: Vec<String> = list(body, turns).map(text_of).collect();
    let last = list(body, turns).filter(|turn| is_role(turn, "user")).last().map(text_of).unwrap_or_default();
    Prompted { text: all.join("\n"), last, ..Prompted::default() }
}

fn function(tool: &Value) -> Option<(String, Value)> {
    let own = tool.get("function").unwrap_or(tool);
    let schema = own.get("parameters").or_else(|| own.get("input_schema"));
    Some((own.get("name")?.as_str()?.to_owned(), schema.cloned().unwrap_or_default()))
}

fn openai_prompt(body: &Value) -> Prompted {
    let bound = body.pointer("/tool_choice/function/name").or_else(|| body.pointer("/tool_choice/name"));
    let any = body.get("tool_choice").filter(|choice| matches!(choice.as_str(), Some("any" | "required")));
    let tools: Vec<_> = list(body, "tools").filter_map(function).collect();
    let bound = bound.and_then(Value::as_str).map(str::to_owned);
    Prompted {
        bound: bound.or_else(|| any.and_then(|_| tools.first().map(|(name, _)| name.clone()))),
        tools,
        has_called: list(body, "messages").any(|turn| is_role(turn, "tool")),
        schema: body.pointer("/response_format/json_schema/schema").cloned(),
        ..prompt_of(body, "messages")
    }
}

fn events(events: &[Value]) -> StubResponse {
    let lines: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    StubResponse::text("text/event-stream", lines.concat())
}

fn streams(body: &Value) -> bool {
    body.get("stream") == Some(&Value::Bool(true)) || body.get("stream_tokens") == Some(&Value::Bool(true))
}

fn openai(body: &Value, prompt: &Prompted) -> StubResponse {
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 });
    let (content, calls) = match prompt.said() {
        Said::Text(text) => (Value::from(text), Vec::new()),
        Said::Calls(calls) => (Value::Null, calls),
    };
    let call = |(index, (name, arguments)): (usize, &(String, Value))| {
        let function = json!({ "name": name, "arguments": arguments.to_string() });
        json!({ "index": index, "id": format!("callstage{index}"), "type": "function", "function": function })
    };
    let calls: Vec<Value> = calls.iter().enumerate().map(call).collect();
    let finish = if calls.is_empty() { "stop" } else { "tool_calls" };
    let mut message = json!({ "role": "assistant", "content": content });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let frame = json!({ "id": "stage", "created": 1, "model": body.get("model"), "object": "chat.completion" });
    let with = |mut frame: Value, choices: Value| {
        frame["choices"] = choices;
        frame["usage"] = usage.clone();
        frame
    };
    if !streams(body) {
        return StubResponse::json(&with(frame, json!([{ "index": 0, "message": message, "finish_reason": finish }])));
    }
    let piece = |delta: Value, finish: Value| {
        with(frame.clone(), json!([{ "index": 0, "delta": delta, "finish_reason": finish }]))
    };
    let mut told = events(&[piece(message, Value::Null), piece(json!({}), finish.into())]);
    told.body.extend_from_slice(b"data: [DONE]\n\n");
    told
}

fn responses(body: &Value) -> StubResponse {
    let bound = body.pointer("/tool_choice/name").and_then(Value::as_str).map(str::to_owned);
    let prompt = Prompted {
        bound,
        tools: list(body, "tools").filter_map(function).collect(),
        has_called: list(body, "input").any(|item| item.get("type").is_some_and(|kind| kind == "function_call_output")),
        schema: body.pointer("/text/format/schema").cloned(),
        ..prompt_of(body, "input")
    };
    let output: Vec<Value> = match prompt.said() {
        Said::Text(text) => {
            let content = json!([{ "type": "output_text", "text": text, "annotations": [] }]);
            vec![json!({ "type": "message", "id": "m", "role": "assistant", "content": content })]
        }
        Said::Calls(calls) => {
            let call = |(name, arguments): (String, Value)| json!({ "type": "function_call", "id": "f", "call_id": "c", "name": name, "arguments": arguments.to_string() });
            calls.into_iter().map(call).collect()
        }
    };
    let usage = json!({ "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 });
    let whole = json!({ "id": "r", "object": "response", "status": "completed", "model": "m", "created_at": 1,
        "output": output, "usage": usage });
    if !streams(body) {
        return StubResponse::json(&whole);
    }
    let mut told = Vec::new();
    for (index, item) in output.iter().enumerate() {
        told.push(json!({ "type": "response.output_item.added", "output_index": index, "item": item }));
        if let Some(text) = item.pointer("/content/0/text") {
            told.push(json!({ "type": "response.output_text.delta", "output_index": index, "delta": text }));
        }
    }
    told.push(json!({ "type": "response.completed", "response": whole }));
    events(&told)
}

fn anthropic(body: &Value) -> StubResponse {
    let is_result = |turn: &Value| list(turn, "content").any(|block| block["type"] == "tool_result");
    let bound = body.pointer("/tool_choice/name").and_then(Value::as_str).map(str::to_owned);
    let mut prompt = Prompted {
        bound,
        tools: list(body, "tools").filter_map(function).collect(),
        has_called: list(body, "messages").any(is_result),
        ..prompt_of(body, "messages")
    };
    prompt.text = format!("{}\n{}", body.get("system").map(text_of).unwrap_or_default(), prompt.text);
    let blocks: Vec<Value> = match prompt.said() {
        Said::Text(text) => vec![json!({ "type": "text", "text": text })],
        Said::Calls(calls) => {
            let call = |(at, (name, input)): (usize, (String, Value))| json!({ "type": "tool_use", "id": format!("t{at}"), "name": name, "input": input });
            calls.into_iter().enumerate().map(call).collect()
        }
    };
    let usage = json!({ "input_tokens": 1, "output_tokens": 1 });
    let stop = if blocks.iter().any(|block| block["type"] == "tool_use") { "tool_use" } else { "end_turn" };
    let message = |content: &[Value]| {
        json!({ "type": "message", "id": "m", "role": "assistant", "model": "m", "content": content, "usage": usage,
            "stop_reason": stop })
    };
    if !streams(body) {
        return StubResponse::json(&message(&blocks));
    }
    let mut told = vec![json!({ "type": "message_start", "message": message(&[]) })];
    for (index, block) in blocks.iter().enumerate() {
        let (empty, delta) = if block["type"] == "text" {
            (json!({ "type": "text", "text": "" }), json!({ "type": "text_delta", "text": block["text"] }))
        } else {
            let delta = json!({ "type": "input_json_delta", "partial_json": block["input"].to_string() });
            (json!({ "type": "tool_use", "id": block["id"], "name": block["name"], "input": {} }), delta)
        };
        told.push(json!({ "type": "content_block_start", "index": index, "content_block": empty }));
        told.push(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
        told.push(json!({ "type": "content_block_stop", "index": index }));
    }
    told.push(json!({ "type": "message_delta", "delta": { "stop_reason": stop }, "usage": { "output_tokens": 1 } }));
    told.push(json!({ "type": "message_stop" }));
    events(&told)
}

fn gemini(heard: &StubRequest) -> StubResponse {
    let body = &heard.body;
    let parts = |turn: &Value| list(turn, "parts").map(text_of).collect::<Vec<_>>().join("\n");
    let turns: Vec<String> = list(body, "contents").map(parts).collect();
    let is_result = |turn: &Value| list(turn, "parts").any(|part| part.get("functionResponse").is_some());
    let system = ["systemInstruction", "system_instruction"].iter().find_map(|field| body.get(*field)).map(parts);
    let tools = list(body, "tools").flat_map(|tool| list(tool, "functionDeclarations"));
    let bound = body.pointer("/toolConfig/functionCallingConfig/allowedFunctionNames/0");
    let prompt = Prompted {
        text: format!("{}\n{}", system.unwrap_or_default(), turns.join("\n")),
        last: turns.last().cloned().unwrap_or_default(),
        tools: tools.filter_map(function).collect(),
        has_called: list(body, "contents").any(is_result),
        bound: bound.and_then(Value::as_str).map(str::to_owned),
        schema: body.pointer("/generationConfig/responseSchema").cloned(),
    };
    let parts: Vec<Value> = match prompt.said() {
        Said::Text(text) => vec![json!({ "text": text })],
        Said::Calls(calls) => {
            calls.into_iter().map(|(name, args)| json!({ "functionCall": { "name": name, "args": args } })).collect()
        }
    };
    let usage = json!({ "promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2 });
    let content = json!({ "role": "model", "parts": parts });
    let whole =
        json!({ "candidates": [{ "content": content, "finishReason": "STOP", "index": 0 }], "usageMetadata": usage });
    if heard.path.contains(":stream") { events(&[whole]) } else { StubResponse::json(&whole) }
}

fn ollama(body: &Value) -> StubResponse {
    let prompt =
        Prompted { schema: body.get("format").filter(|format| format.is_object()).cloned(), ..openai_prompt(body) };
    let message = match prompt.said() {
        Said::Text(text) => json!({ "role": "assistant", "content": text }),
        Said::Calls(calls) => {
            let call =
                |(name, arguments): (String, Value)| json!({ "function": { "name": name, "arguments": arguments } });
            let calls: Vec<Value> = calls.into_iter().map(call).collect();
            json!({ "role": "assistant", "content": "", "tool_calls": calls })
        }
    };
    let end = json!({ "message": { "role": "assistant", "content": "" }, "done": true, "eval_count": 1, "prompt_eval_count": 1 });
    StubResponse::text("application/x-ndjson", format!("{}\n{end}\n", json!({ "message": message, "done": false })))
}

/// A text that is gone on with.
fn completed(heard: &StubRequest, prompt: &str) -> StubResponse {
    let asked = Prompted { text: prompt.to_owned(), last: prompt.to_owned(), ..Prompted::default() };
    let Said::Text(text) = asked.said() else { unreachable!("it has no tools") };
    if heard.is_for("/api/generate") {
        let end = json!({ "response": "", "done": true, "eval_count": 1, "prompt_eval_count": 1 });
        return StubResponse::text(
            "application/x-ndjson",
            format!("{}\n{end}\n", json!({ "response": text, "done": false })),
        );
    }
    if heard.host.contains("huggingface") {
        return StubResponse::json(&json!([{ "generated_text": text }]));
    }
    let choice = json!([{ "index": 0, "text": text, "finish_reason": "stop" }]);
    if streams(&heard.body) {
        let mut told = events(&[json!({ "choices": choice })]);
        told.body.extend_from_slice(b"data: [DONE]\n\n");
        return told;
    }
    StubResponse::json(&json!({ "choices": choice, "generations": [{ "id": "1", "text": text }] }))
}

const DIMENSIONS: usize = 8;

/// A text as how often it has some letters.
fn vector(text: &str) -> Value {
    let count = |letter: u8| text.bytes().filter(|byte| byte.to_ascii_lowercase() == letter).count();
    (b'a'..).take(DIMENSIONS).map(|letter| json!(count(letter) + 1)).collect()
}

/// Embeddings, of whoever is asked.
fn vectors(heard: &StubRequest) -> Option<StubResponse> {
    let body = &heard.body;
    let all = |value: &Value| match value {
        Value::Array(items) => items.iter().map(|item| vector(&text_of(item))).collect::<Vec<_>>(),
        one => vec![vector(&text_of(one))],
    };
    if heard.path.ends_with(":batchEmbedContents") {
        let texts = list(body, "requests").map(|one| json!({ "values": vector(&one.to_string()) }));
        return Some(StubResponse::json(&json!({ "embeddings": texts.collect::<Vec<_>>() })));
    }
    if heard.path.ends_with(":embedContent") {
        return Some(StubResponse::json(&json!({ "embedding": { "values": vector(&body.to_string()) } })));
    }
    if heard.path.contains("feature-extraction") {
        return Some(StubResponse::json(&all(body.get("inputs")?).into()));
    }
    if heard.is_for("/api/embeddings") {
        return Some(StubResponse::json(&json!({ "embedding": vector(&text_of(body.get("prompt")?)) })));
    }
    if !(heard.is_for("/embeddings") || heard.is_for("/embed")) {
        return None;
    }
    if let Some(texts) = body.get("texts") {
        return Some(StubResponse::json(&json!({ "embeddings": { "float": all(texts) } })));
    }
    let vectors = all(body.get("input")?);
    let item = |(index, vector): (usize, &Value)| json!({ "index": index, "embedding": vector });
    let data: Vec<Value> = vectors.iter().enumerate().map(item).collect();
    Some(StubResponse::json(
        &json!({ "data": data, "embeddings": vectors, "usage": { "prompt_tokens": 1, "total_tokens": 1 } }),
    ))
}
