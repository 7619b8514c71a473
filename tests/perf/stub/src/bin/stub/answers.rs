//! What is answered: bytes of heads, bodies and events.

use std::io::Write;

pub const JSON_BODY: &str = concat!(
    r#"{"text":"The quick brown fox answers the question in one short sentence, as a chat flow would.","#,
    r#""question":"Hello, who are you?","chatId":"7d0b9f0e-5a1c-4c5e-9a51-0f4a7f2c1b11","#,
    r#""chatMessageId":"1f1b3c2a-9f0d-4c39-8a77-2d9f3e6b7c55","isStreamValid":false,"#,
    r#""sessionId":"7d0b9f0e-5a1c-4c5e-9a51-0f4a7f2c1b11"}"#
);

pub const SSE_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\nVary: Origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One piece of a model's stream, and what comes after the last.
pub const PIECE: &str = r#"data: {"id":"chatcmpl-stub","created":1700000000,"model":"stub-model","system_fingerprint":"fp_stub","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]}"#;
pub const FIRST_PIECE: &str = r#"data: {"id":"chatcmpl-stub","created":1700000000,"model":"stub-model","system_fingerprint":"fp_stub","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}"#;
pub const LAST_PIECES: &str = concat!(
    r#"data: {"id":"chatcmpl-stub","created":1700000000,"model":"stub-model","system_fingerprint":"fp_stub","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-stub","created":1700000000,"model":"stub-model","system_fingerprint":"fp_stub","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":17,"completion_tokens":16,"total_tokens":33}}"#,
    "\n\ndata: [DONE]\n\n"
);
pub const COMPLETION: &str = r#"{"id":"chatcmpl-stub","created":1700000000,"model":"stub-model","system_fingerprint":"fp_stub","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"The quick brown fox answers.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":17,"completion_tokens":16,"total_tokens":33}}"#;

pub fn chunk(out: &mut Vec<u8>, text: &str) {
    let _ = write!(out, "{:x}\r\n{}\r\n", text.len(), text);
}

pub const END_EVENT: &[u8] = b"2f\r\nmessage:\ndata:{\"event\":\"end\",\"data\":\"[DONE]\"}\n\n\r\n0\r\n\r\n";

pub fn json_response(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\nETag: W/\"12c-perflab\"\r\nVary: Origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: keep-alive\r\n\r\n{}",
        body.len(),
        body
    )
    .into_bytes()
}
