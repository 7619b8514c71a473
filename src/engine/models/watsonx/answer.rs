//! What goes on with a text.

use serde::Deserialize;
use serde_json::Value;

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Usage;
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::models::gathering::{AnswerProgress, Gathering, parsed, usage_metadata};
use crate::engine::provider::failure_in_stream;

#[derive(Deserialize)]
struct WatsonxPiece {
    errors: Option<Vec<Value>>,
    results: Option<Vec<WatsonxResult>>,
}

#[derive(Deserialize)]
struct WatsonxResult {
    #[serde(default)]
    generated_text: String,
    #[serde(default)]
    generated_token_count: u64,
    #[serde(default)]
    input_token_count: u64,
    stop_reason: Option<String>,
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct WatsonxText {
    answered: ModelAnswer,
    progress: AnswerProgress,
}

impl Gathering for WatsonxText {
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let piece: WatsonxPiece = parsed(piece)?;
        if let Some(error) = piece.errors.iter().flatten().next() {
            return Err(failure_in_stream(error));
        }
        for result in piece.results.into_iter().flatten() {
            self.progress.is_begun = true;
            self.progress.is_ended |=
                result.stop_reason.is_some_and(|reason| !reason.eq_ignore_ascii_case("not_finished"));
            let Usage { input, output } = &mut self.answered.usage;
            // Counts of what was made are of the whole so far.
            *input += result.input_token_count;
            *output = (*output).max(result.generated_token_count);
            self.answered.say(&result.generated_text, ask);
        }
        Ok(())
    }

    fn done(mut self, _ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        let Usage { input, output } = self.answered.usage;
        self.answered.usage_metadata = usage_metadata(input, output, input + output);
        self.progress.done(self.answered)
    }
}
