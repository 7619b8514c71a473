//! Answers: events that are each as a whole answer.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Usage;
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::models::gathering::{CallPart, CallParts, Gathering, broken_off, parsed, usage_metadata};
use crate::engine::provider::failure_in_stream;
use crate::predict::chat_id;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GeminiChunk {
    error: Option<Value>,
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<GeminiUsage>,
    response_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<GeminiContent>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct GeminiContent {
    #[serde(default)]
    parts: Vec<GeminiPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GeminiPart {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    thought_signature: Option<Value>,
    function_call: Option<Called>,
}

#[derive(Deserialize)]
struct Called {
    id: Option<String>,
    name: String,
    #[serde(default)]
    args: Value,
}

/// Of the whole so far.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GeminiUsage {
    #[serde(rename = "promptTokenCount")]
    prompt: u64,
    #[serde(rename = "candidatesTokenCount")]
    candidates: u64,
    #[serde(rename = "totalTokenCount")]
    total: u64,
    #[serde(rename = "cachedContentTokenCount")]
    cached: u64,
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(in crate::engine::models) struct GeminiReply {
    answered: ModelAnswer,
    calls: CallParts,
    count: u64,
    counts: Option<GeminiUsage>,
    finish: Option<String>,
}

impl Gathering for GeminiReply {
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let chunk: GeminiChunk = parsed(piece)?;
        if let Some(error) = chunk.error {
            return Err(failure_in_stream(&error));
        }
        if let Some(reason) = chunk.prompt_feedback.and_then(|feedback| feedback.block_reason) {
            return Err(Failure::flow(format!("The provider blocked the question: {reason}")));
        }
        if let Some(counts) = chunk.usage_metadata {
            self.counts = Some(counts);
        }
        self.answered.id = self.answered.id.take().or(chunk.response_id);
        if let Some(candidate) = chunk.candidates.into_iter().next() {
            self.take_parts(candidate.content.map(|content| content.parts).unwrap_or_default(), ask);
            self.finish = candidate.finish_reason.or(self.finish.take());
        }
        Ok(())
    }

    fn done(mut self, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        let finish = self.finish.ok_or_else(broken_off)?;
        self.answered.thinks_in_pieces = true;
        self.answered.response_metadata.insert("model_provider".to_owned(), "google-genai".into());
        self.answered.response_metadata.insert("finishReason".to_owned(), finish.into());
        self.answered.response_metadata.insert("index".to_owned(), 0.into());
        if let Some(counts) = self.counts {
            let (input, output) = (counts.prompt, counts.candidates);
            self.answered.usage = Usage { input, output };
            self.answered.usage_metadata = usage_metadata(input, output, counts.total);
            if counts.cached > 0 {
                let details = json!({ "cache_read": counts.cached });
                self.answered.usage_metadata.insert("input_token_details".to_owned(), details);
            }
        }
        self.answered.calls = self.calls.into_calls();
        // What the signatures are is nobody's business but the model's.
        let signatures = ("__gemini_function_call_thought_signatures__".to_owned(), json!({}));
        self.answered.extra = Some(Map::from_iter([signatures]));
        Ok(self.answered.structured(ask))
    }
}

impl GeminiReply {
    fn take_parts(&mut self, parts: Vec<GeminiPart>, ask: ModelRequest<'_>) {
        let mut text = String::new();
        for part in parts {
            match part.text {
                Some(thought) if part.thought => self.answered.think(&thought, ask),
                Some(more) => text.push_str(&more),
                None => {}
            }
            if let Some(called) = part.function_call {
                let id = called.id.or_else(chat_id::random).unwrap_or_default();
                let arguments = called.args.to_string();
                let opaque = part.thought_signature;
                *self.calls.at(self.count) = CallPart { id, name: called.name, arguments, opaque };
                self.count += 1;
            }
        }
        self.answered.say(&text, ask);
    }
}
