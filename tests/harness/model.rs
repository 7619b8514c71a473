//! A scripted model that speaks as `OpenAI`'s chat completions do, and flows that ask it.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::upstream::{Reply, Seen, Upstream};

/// A credential of the engine in [`config`]; must never be seen outside.
pub(crate) const MODEL_KEY: &str = "sk-model-0123456789abcdef";

/// Answers every question with these words, streamed word by word where that is asked for.
pub(crate) fn saying(text: &str) -> Upstream {
    let text = text.to_owned();
    Upstream::start(move |seen, reply| answer(seen, reply, &text))
}

/// Answers one request, in the way that it asks for.
pub(crate) fn answer(seen: &Seen, reply: &mut Reply, text: &str) {
    if seen.json()["stream"] == true {
        reply.stream_head();
        // As OpenAI does: first comes nothing.
        token(reply, "");
        text.split_inclusive(' ').for_each(|word| token(reply, word));
        end(reply, 7, 3);
    } else {
        reply.json("200 OK", &whole(text, 7, 3));
    }
}

/// A whole answer, with the tokens that it took.
pub(crate) fn whole(text: &str, input: u64, output: u64) -> String {
    let message = json!({ "role": "assistant", "content": text });
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "stub-model",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output },
    })
    .to_string()
}

/// One token of a stream; [`Reply::stream_head`] comes first.
pub(crate) fn token(reply: &mut Reply, text: &str) {
    chunk(reply, &json!([{ "index": 0, "delta": { "content": text }, "finish_reason": null }]), &Value::Null);
}

/// The end of a stream, with the tokens that it took.
pub(crate) fn end(reply: &mut Reply, input: u64, output: u64) {
    chunk(reply, &json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]), &Value::Null);
    let usage = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
    chunk(reply, &json!([]), &usage);
    // In one piece, as providers send them.
    let done = "data: [DONE]\n\n";
    reply.raw(format!("{:x}\r\n{done}\r\n0\r\n\r\n", done.len()));
}

fn chunk(reply: &mut Reply, choices: &Value, usage: &Value) {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "stub-model",
        "choices": choices, "usage": usage,
    });
    reply.chunk(format!("data: {chunk}\n\n"));
}

/// The words of a provider that refuses, as `OpenAI` puts them.
pub(crate) fn refusing(status: &'static str, message: &str) -> Upstream {
    let body = json!({ "error": { "message": message, "type": "stub", "param": null, "code": null } }).to_string();
    Upstream::start(move |_, reply| reply.json(status, &body))
}

/// What the model was told, role and content of each message.
pub(crate) fn told(seen: &Seen) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let messages = seen.json()["messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

/// One of the exports in `tests/flowise/flows`, its models at that address.
pub(crate) fn export(name: &str, model: SocketAddr) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/flowise/flows/{name}.json"));
    let text = std::fs::read_to_string(path).expect("an export");
    text.replace("LLM_BASE_PATH_PLACEHOLDER", &model.to_string())
}

/// A configuration with an engine called `local`; `server` and `chatflow` as in
/// [`gateway::config`](super::gateway::config), `more` as well. The chatflow is `support`, and its flow
/// `flows/support.json`.
pub(crate) fn config(server: &str, chatflow: &str, more: &str) -> String {
    let ids = if chatflow.contains("isolate_sessions") { "" } else { ", isolate_sessions: false" };
    format!(
        "server: {{ listen: '127.0.0.1:0', workers: 1{server} }}\n\
         admin: {{ listen: '127.0.0.1:0' }}\n\
         upstreams:\n  local: {{ engine: {{ credentials: {{ openAIApi: {{ openAIApiKey: {MODEL_KEY} }} }} }} }}\n\
         chatflows:\n  support: {{ upstream: local{ids}{chatflow} }}\n\
         {more}\n"
    )
}

/// Writes a flow where [`config`]'s engine looks for it.
pub(crate) fn write(dir: &Path, name: &str, flow: &str) {
    let flows = dir.join("flows");
    std::fs::create_dir_all(&flows).expect("a folder for flows");
    std::fs::write(flows.join(format!("{name}.json")), flow).expect("flow written");
}
