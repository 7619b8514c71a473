//! What goes on with a text, whole or piece by piece.

use serde::Deserialize;
use serde_json::Value;

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Usage;
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::models::gathering::{AnswerFraming, AnswerProgress, Gathering, parsed, usage_metadata};
use crate::engine::provider::failure_in_stream;

/// A piece, or the whole, of any of the providers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    /// As Hugging Face answers.
    Listed(Vec<Generated>),
    One(Box<SaidPiece>),
}

#[derive(Deserialize)]
struct Generated {
    #[serde(alias = "text")]
    generated_text: Option<String>,
}

#[derive(Deserialize)]
struct SaidPiece {
    error: Option<Value>,
    /// As `OpenAI`, and whoever speaks the same.
    choices: Option<Vec<SaidChoice>>,
    /// As Together has them, of old.
    output: Option<SaidOutput>,
    /// As Cohere.
    generations: Option<Vec<Generated>>,
    generated_text: Option<String>,
    /// As Ollama.
    response: Option<String>,
    thinking: Option<String>,
    done: Option<bool>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    usage: Option<Counted>,
}

#[derive(Deserialize)]
struct SaidOutput {
    choices: Option<Vec<SaidChoice>>,
}

#[derive(Deserialize)]
struct SaidChoice {
    text: Option<String>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

#[derive(Debug)]
pub(super) struct Continuation {
    answered: ModelAnswer,
    progress: AnswerProgress,
}

impl Continuation {
    pub(super) fn new(framing: AnswerFraming) -> Self {
        Self { answered: ModelAnswer::default(), progress: AnswerProgress::new(framing != AnswerFraming::Whole) }
    }

    fn count(&mut self, input: u64, output: u64) {
        self.answered.usage = Usage { input, output };
        self.answered.usage_metadata = usage_metadata(input, output, input + output);
    }
}

impl Gathering for Continuation {
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let said: SaidPiece = match parsed(piece)? {
            Said::One(said) => *said,
            Said::Listed(listed) => {
                let text = listed.into_iter().next().and_then(|generated| generated.generated_text);
                self.progress.is_begun |= text.is_some();
                self.answered.say(&text.unwrap_or_default(), ask);
                return Ok(());
            }
        };
        if let Some(error) = said.error.filter(|error| !error.is_null()) {
            return Err(failure_in_stream(&error));
        }
        let choices = said.choices.or(said.output.and_then(|output| output.choices));
        let choice = choices.and_then(|choices| choices.into_iter().next());
        self.progress.is_ended |=
            choice.as_ref().is_some_and(|choice| choice.finish_reason.is_some()) || said.done == Some(true);
        let generation = said.generations.and_then(|all| all.into_iter().next()?.generated_text);
        // Flowise's library gives what Ollama's models think for the answer, as long as they think.
        let response = said.thinking.filter(|thought| !thought.is_empty()).or(said.response);
        let text = choice.and_then(|choice| choice.text).or(generation).or(said.generated_text).or(response);
        if let Some(text) = text {
            self.progress.is_begun = true;
            self.answered.say(&text, ask);
        }
        match (said.usage, said.prompt_eval_count, said.eval_count) {
            (Some(Counted { prompt_tokens, completion_tokens }), ..) => self.count(prompt_tokens, completion_tokens),
            (None, input, Some(output)) => self.count(input.unwrap_or_default(), output),
            _ => {}
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
