//! What these say, whole or piece by piece.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Usage;
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::models::gathering::{AnswerProgress, Gathering, parsed, picked};
use crate::engine::provider::failure_in_stream;

/// A piece, or the whole, of any of them.
#[derive(Deserialize)]
struct PlainPiece {
    error: Option<Value>,
    /// Cloudflare's: a piece, or a whole.
    response: Option<String>,
    result: Option<PlainResult>,
    /// Nemo's.
    messages: Option<Vec<PlainTurn>>,
    /// Tongyi's.
    output: Option<PlainOutput>,
    /// Its word for what is wrong.
    code: Option<Value>,
    message: Option<String>,
    usage: Option<Value>,
    request_id: Option<Value>,
}

#[derive(Deserialize)]
struct PlainResult {
    response: Option<String>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct PlainTurn {
    content: Option<String>,
}

#[derive(Deserialize)]
struct PlainOutput {
    text: Option<String>,
    finish_reason: Option<String>,
}

/// What has been told so far.
#[derive(Debug)]
pub(super) struct PlainReply {
    answered: ModelAnswer,
    streams: bool,
    progress: AnswerProgress,
}

impl PlainReply {
    pub(super) fn new(streams: bool) -> Self {
        Self { answered: ModelAnswer::default(), streams, progress: AnswerProgress::new(streams) }
    }

    fn count(&mut self, usage: &Value) {
        let count = |names: [&str; 2]| names.iter().find_map(|name| usage.get(*name)?.as_u64()).unwrap_or_default();
        let input = count(["prompt_tokens", "input_tokens"]);
        self.answered.usage = Usage { input, output: count(["completion_tokens", "output_tokens"]) };
    }

    fn note(&mut self, finish: String, usage: Option<&Value>, id: Option<Value>) {
        let fields = &mut self.answered.response_metadata;
        if self.streams {
            fields.insert("finish_reason".to_owned(), finish.into());
            fields.extend(id.map(|id| ("request_id".to_owned(), id)));
            fields.extend(usage.map(|usage| ("usage".to_owned(), usage.clone())));
        } else {
            let names = [
                ("input_tokens", "promptTokens"),
                ("output_tokens", "completionTokens"),
                ("total_tokens", "totalTokens"),
            ];
            *fields = Map::from_iter([("tokenUsage".to_owned(), picked(usage, &names).into())]);
        }
    }
}

impl Gathering for PlainReply {
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let said: PlainPiece = parsed(piece)?;
        if let Some(error) = said.error.filter(|error| !error.is_null()) {
            return Err(failure_in_stream(&error));
        }
        if let (Some(code), Some(message)) = (&said.code, &said.message)
            && said.output.is_none()
        {
            return Err(failure_in_stream(&json!({ "type": code, "message": message })));
        }
        let (result, of_result) = said.result.map_or((None, None), |result| (result.response, result.usage));
        let turn = said.messages.and_then(|turns| turns.into_iter().next()?.content);
        let usage = said.usage.or(of_result);
        if let Some(usage) = &usage {
            self.count(usage);
        }
        let mut text = said.response.or(result).or(turn);
        if let Some(output) = said.output {
            text = text.or(output.text);
            if let Some(finish) = output.finish_reason.filter(|finish| finish != "null") {
                self.progress.is_ended = true;
                self.note(finish, usage.as_ref(), said.request_id);
            }
        }
        if let Some(text) = text {
            self.progress.is_begun = true;
            self.answered.say(&text, ask);
        }
        Ok(())
    }

    fn end(&mut self) {
        self.progress.is_ended = true;
    }

    fn done(self, _ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        self.progress.done(self.answered)
    }
}
