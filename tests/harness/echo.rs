//! The lab's stub model (`tests/flowise/lab/stub-llm.mjs`) once more, so that what Flowise's transcripts recorded can
//! be had without Node: it echoes the question, and marks in it steer it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::md5::md5;
use super::upstream::{Reply, Seen, Upstream};

/// A model that answers as the lab's does.
pub(crate) fn start() -> Upstream {
    Upstream::start(answer)
}

fn answer(seen: &Seen, reply: &mut Reply) {
    let body = seen.json();
    if seen.path.ends_with("/embeddings") {
        return reply.json("200 OK", &embeddings(&body).to_string());
    }
    let plan = Plan::of(&body);
    if let Some(status) = plan.error {
        let code = if status == 401 { json!("invalid_api_key") } else { Value::Null };
        let message = format!("stub error {status}");
        let error = json!({ "error": { "message": message, "type": "stub_error", "param": null, "code": code } });
        return reply.json(&format!("{status} Stubbed"), &error.to_string());
    }
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let prompt: usize = messages.iter().map(|message| count(&text_of(&message["content"]))).sum();
    let completion = if plan.call.is_some() { 1 } else { count(&plan.text) };
    let usage =
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
    if body["stream"] == true {
        stream(&plan, &body, &usage, reply);
    } else {
        let mut message = json!({ "role": "assistant", "content": plan.text, "refusal": null });
        if let Some(call) = &plan.call {
            message["content"] = Value::Null;
            message["tool_calls"] = json!([call]);
        }
        let finish = plan.finish_reason();
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish });
        let mut whole = base(&body, "chat.completion");
        whole["choices"] = json!([choice]);
        whole["usage"] = usage;
        reply.json("200 OK", &whole.to_string());
    }
}

fn stream(plan: &Plan, body: &Value, usage: &Value, reply: &mut Reply) {
    let chunk = |reply: &mut Reply, choices: Value, usage: Option<&Value>| {
        let mut chunk = base(body, "chat.completion.chunk");
        chunk["choices"] = choices;
        if let Some(usage) = usage {
            chunk["usage"] = usage.clone();
        }
        reply.chunk(format!("data: {chunk}\n\n"));
    };
    let choice = |delta: Value, finish: Option<&str>| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
    reply.stream_head();
    let content = if plan.call.is_some() { Value::Null } else { json!("") };
    chunk(reply, choice(json!({ "role": "assistant", "content": content, "refusal": null }), None), None);
    if let Some(call) = &plan.call {
        chunk(reply, choice(json!({ "tool_calls": [call] }), None), None);
    } else {
        for (index, word) in words(&plan.text).into_iter().enumerate() {
            if plan.cut == Some(index) {
                return reply.cut();
            }
            chunk(reply, choice(json!({ "content": word }), None), None);
        }
    }
    chunk(reply, choice(json!({}), Some(plan.finish_reason())), None);
    if body["stream_options"]["include_usage"] == true {
        chunk(reply, json!([]), Some(usage));
    }
    reply.chunk("data: [DONE]\n\n");
    reply.finish();
}

fn base(body: &Value, object: &str) -> Value {
    json!({
        "id": "chatcmpl-stub-1", "created": 1_700_000_000, "model": body["model"], "system_fingerprint": "fp_stub",
        "object": object,
    })
}

/// What the last question asks of the model.
struct Plan {
    text: String,
    call: Option<Value>,
    error: Option<u16>,
    /// Breaks off after so many words.
    cut: Option<usize>,
}

impl Plan {
    fn of(body: &Value) -> Self {
        let messages = body["messages"].as_array().cloned().unwrap_or_default();
        let last = messages.last().cloned().unwrap_or_default();
        let by_user = messages.iter().rfind(|message| message["role"] == "user").unwrap_or(&last);
        let raw = text_of(&by_user["content"]);
        let clean = without_marks(&raw);
        let tool = mark(&raw, "tool").and_then(|tool| tool.split_once(':'));
        let offered = |name: &str| {
            body["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["function"]["name"] == name))
        };
        let mut plan = Self {
            text: format!("Stub answer to: {clean}"),
            call: None,
            error: mark(&raw, "error").and_then(|status| status.parse().ok()),
            cut: mark(&raw, "cut").and_then(|words| words.parse().ok()),
        };
        if last["role"] == "tool" {
            plan.text = format!("Tool said: {}", text_of(&last["content"]));
        } else if let Some((name, arguments)) = tool.filter(|(name, _)| offered(name)) {
            let function = json!({ "name": name, "arguments": arguments });
            plan.call = Some(json!({ "index": 0, "id": "call_stub_1", "type": "function", "function": function }));
        } else if let Some(text) = mark(&raw, "say") {
            text.clone_into(&mut plan.text);
        } else if let Some(count) = mark(&raw, "words").and_then(|count| count.parse::<usize>().ok()) {
            plan.text = (0..count).map(|index| format!("w{index}")).collect::<Vec<_>>().join(" ");
        }
        let schema = &body["response_format"]["json_schema"]["schema"];
        if schema.is_object() && plan.call.is_none() {
            plan.text = example(schema, &clean, messages.len()).to_string();
        }
        plan
    }

    fn finish_reason(&self) -> &'static str {
        if self.call.is_some() { "tool_calls" } else { "stop" }
    }
}

/// A value that fits a schema.
fn example(schema: &Value, seed: &str, turn: usize) -> Value {
    if let Some(choices) = schema["enum"].as_array() {
        return choices[turn % choices.len()].clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            Value::Object(
                fields.into_iter().map(|(name, field)| (name, example(&field, seed, turn))).collect::<Map<_, _>>(),
            )
        }
        Some("array") => json!([example(&schema["items"], seed, turn)]),
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        _ => format!("stub {seed}").chars().take(60).collect::<String>().into(),
    }
}

/// `[[name=text]]`.
fn mark<'a>(raw: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = raw.split_once(&format!("[[{name}="))?;
    rest.split_once("]]").map(|(text, _)| text)
}

fn without_marks(raw: &str) -> String {
    let mut rest = raw;
    let mut clean = String::new();
    while let Some((before, inside)) = rest.split_once("[[") {
        let name_ends = inside.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(0);
        match inside[name_ends..].split_once("]]") {
            Some((text, after)) if name_ends > 0 && text.starts_with('=') => {
                clean.push_str(before);
                rest = after;
            }
            _ => {
                clean.push_str(before);
                clean.push_str("[[");
                rest = inside;
            }
        }
    }
    clean.push_str(rest);
    clean.trim().to_owned()
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| part["text"].as_str().unwrap_or("<image>")).collect(),
        _ => String::new(),
    }
}

/// Each with the spaces before it.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_inside = false;
    for letter in text.chars() {
        let is_space = letter.is_whitespace();
        if words.is_empty() || (is_space && is_inside) {
            words.push(String::new());
        }
        is_inside = !is_space;
        words.last_mut().expect("one at least").push(letter);
    }
    if words.len() > 1 && words.last().is_some_and(|word| word.trim().is_empty()) {
        words.pop();
    }
    words
}

fn count(text: &str) -> usize {
    words(text).len()
}

fn embeddings(body: &Value) -> Value {
    let texts: Vec<String> = match &body["input"] {
        Value::Array(texts) => texts.iter().map(text_of).collect(),
        text => vec![text_of(text)],
    };
    let in_base64 = body["encoding_format"] == "base64";
    let embedding = |text: &String| {
        let vector = embed(text);
        if in_base64 {
            #[expect(clippy::cast_possible_truncation, reason = "as the lab's model does")]
            let bytes: Vec<u8> = vector.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
            json!(STANDARD.encode(bytes))
        } else {
            json!(vector)
        }
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": embedding(text) }))
        .collect();
    let tokens: usize = texts.iter().map(|text| count(text)).sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    json!({ "object": "list", "data": data, "model": body["model"], "usage": usage })
}

/// A bag of words: equal words make vectors alike.
fn embed(text: &str) -> Vec<f64> {
    let mut vector = vec![0.0; 64];
    let lower = text.to_lowercase();
    for word in lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let hash = md5(word.as_bytes());
        vector[usize::from(hash[0]) % 64] += 1.0;
        vector[usize::from(hash[1]) % 64] += 0.5;
    }
    let length = vector.iter().map(|value: &f64| value * value).sum::<f64>().sqrt();
    let length = if length == 0.0 { 1.0 } else { length };
    vector.iter().map(|value| value / length).collect()
}
