//! Chat models, as those know them that ask one.

use std::fmt;

use serde_json::{Map, Value};

use super::Task;
use super::message::{Message, ToolCall, ToolSpec, Usage};
use super::run::Run;
use super::sink::Sink;

/// A model that is ready to be asked.
pub(crate) trait ChatModel: fmt::Debug + Send + Sync {
    /// One call. Tokens go to `ask.tokens` as they come.
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer>;

    /// The model's name, for metrics.
    fn name(&self) -> &str;

    /// Who answers, by OpenTelemetry's name.
    fn provider(&self) -> &'static str {
        "other"
    }

    /// Whether images of the request go to it.
    fn sees_images(&self) -> bool {
        false
    }

    /// Whether Flowise has a table to count its tokens with. `LangChain` counts with GPT-2's for every model that does
    /// not tell its name the old way, and finds none for one that does and is not `OpenAI`'s.
    fn has_token_table(&self) -> bool {
        true
    }
}

/// What a model is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelRequest<'a> {
    pub(crate) messages: &'a [Message],
    pub(crate) tools: &'a [ToolSpec],
    /// JSON Schema of the answer, with its name.
    pub(crate) schema: Option<(&'a str, &'a Value)>,
    /// Words before which the answer ends, where a provider takes them; empty: those of the node.
    pub(crate) stop: &'a [&'a str],
    /// Where tokens go as they come; `None`: only the whole answer counts.
    pub(crate) tokens: Option<&'a Sink>,
    /// There is no other answer than a call of one of the tools, where a provider can be told so.
    pub(crate) must_call: bool,
    /// As agentflows tell: no `start`, empty pieces too, and what a model thinks.
    pub(crate) bare: bool,
    /// Whether what the provider says beside the answer is wanted, which takes longer to write down than most answers.
    pub(crate) described: bool,
}

impl<'a> ModelRequest<'a> {
    pub(crate) fn of(messages: &'a [Message]) -> Self {
        Self {
            messages,
            tools: &[],
            schema: None,
            stop: &[],
            tokens: None,
            must_call: false,
            bare: false,
            described: true,
        }
    }

    /// For a chain or an agent, which shows no metadata.
    pub(crate) fn telling(self, tokens: Option<&'a Sink>) -> Self {
        Self { tokens, bare: false, described: false, ..self }
    }

    /// As [`telling`](Self::telling), the way agentflows do.
    pub(crate) fn telling_bare(self, tokens: Option<&'a Sink>) -> Self {
        Self { tokens, bare: true, described: true, ..self }
    }

    /// Ends the answer before any of these words.
    pub(crate) fn ending_before(self, stop: &'a [&'a str]) -> Self {
        Self { stop, ..self }
    }

    #[cfg(test)]
    pub(crate) fn with_tools(self, tools: &'a [ToolSpec]) -> Self {
        Self { tools, ..self }
    }

    #[cfg(test)]
    pub(crate) fn with_schema(self, name: &'a str, schema: &'a Value) -> Self {
        Self { schema: Some((name, schema)), ..self }
    }

    /// A piece of the answer as the provider sent it, which may be empty.
    pub(crate) fn tell(&self, text: &str) {
        match self.tokens {
            Some(tokens) if self.bare => tokens.bare_token(text),
            Some(tokens) if text.is_empty() => tokens.begin(),
            Some(tokens) => tokens.token(text),
            None => {}
        }
    }

    /// A piece of what the model thinks.
    pub(crate) fn think(&self, thought: &str) {
        if let Some(tokens) = self.tokens.filter(|_| self.bare) {
            tokens.thought(thought);
        }
    }
}

/// What a model answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ModelAnswer {
    /// With a schema asked for: JSON, as the model wrote it.
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) usage: Usage,
    /// The provider's name of the answer.
    pub(crate) id: Option<String>,
    /// What a model that reasons thought, as far as its provider tells.
    pub(crate) thinking: String,
    /// Whether that stands among the pieces of its answer, where Flowise looks for it in the last node only.
    pub(crate) thinks_in_pieces: bool,
    /// Flowise's `usageMetadata`: token counts with their details; empty if the provider counts none. Where the answer need
    /// not be described, it and the next may be empty.
    pub(crate) usage_metadata: Map<String, Value>,
    /// Flowise's `responseMetadata`: finish reason, model name and what else the provider says.
    pub(crate) response_metadata: Map<String, Value>,
    /// Flowise's `additional_kwargs` of an answer that calls tools; `None`: the calls again, as `OpenAI` writes them.
    pub(crate) extra: Option<Map<String, Value>>,
}

impl ModelAnswer {
    /// A piece of the answer has come, and is told.
    pub(crate) fn say(&mut self, text: &str, ask: ModelRequest<'_>) {
        ask.tell(text);
        self.text.push_str(text);
    }

    /// The seconds for which it thought, as Flowise guesses them where they were not measured.
    pub(crate) fn thinking_time(&self) -> u64 {
        let tokens =
            self.usage_metadata.get("output_token_details").and_then(|details| details.get("reasoning")?.as_u64());
        tokens.filter(|tokens| *tokens > 0).map_or(2, |tokens| (tokens + 25) / 50)
    }

    /// A piece of what the model thinks.
    pub(crate) fn think(&mut self, thought: &str, ask: ModelRequest<'_>) {
        if !thought.is_empty() {
            ask.think(thought);
            self.thinking.push_str(thought);
        }
    }
}
