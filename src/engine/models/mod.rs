//! Chat models by provider: one file each, all behind [`ChatModel`].

mod anthropic;
mod configured;
pub(crate) mod connection;
mod gathering;
mod gemini;
#[cfg(test)]
pub(crate) mod lab;
mod mistral;
pub(crate) mod ollama;
pub(crate) mod openai;

pub(crate) use configured::{from_config, part_from_config};

use std::fmt;

use serde_json::{Map, Value};

use super::Task;
use crate::engine::contract::message::{Message, ToolCall, ToolSpec, Usage};
use crate::engine::contract::run::{Run, Sink};

/// A model that is ready to be asked.
pub(crate) trait ChatModel: fmt::Debug + Send + Sync {
    /// One call. Tokens go to `ask.tokens` as they come.
    fn chat<'a>(&'a self, ask: Ask<'a>, run: &'a Run<'a>) -> Task<'a, Answered>;

    /// The model's name, for metrics.
    fn name(&self) -> &str;

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
pub(crate) struct Ask<'a> {
    pub(crate) messages: &'a [Message],
    pub(crate) tools: &'a [ToolSpec],
    /// JSON Schema of the answer, with its name.
    pub(crate) schema: Option<(&'a str, &'a Value)>,
    /// Where tokens go as they come; `None`: only the whole answer counts.
    pub(crate) tokens: Option<&'a Sink>,
    /// As agentflows tell: no `start`, empty pieces too, and what a model thinks.
    pub(crate) bare: bool,
}

impl<'a> Ask<'a> {
    pub(crate) fn of(messages: &'a [Message]) -> Self {
        Self { messages, tools: &[], schema: None, tokens: None, bare: false }
    }

    pub(crate) fn telling(self, tokens: Option<&'a Sink>) -> Self {
        Self { tokens, bare: false, ..self }
    }

    /// As [`telling`](Self::telling), the way agentflows do.
    pub(crate) fn telling_bare(self, tokens: Option<&'a Sink>) -> Self {
        Self { tokens, bare: true, ..self }
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
    fn tell(&self, text: &str) {
        match self.tokens {
            Some(tokens) if self.bare => tokens.bare_token(text),
            Some(tokens) if text.is_empty() => tokens.begin(),
            Some(tokens) => tokens.token(text),
            None => {}
        }
    }

    /// A piece of what the model thinks.
    fn think(&self, thought: &str) {
        if let Some(tokens) = self.tokens.filter(|_| self.bare) {
            tokens.thought(thought);
        }
    }
}

/// What a model answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answered {
    /// With a schema asked for: JSON, as the model wrote it.
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) usage: Usage,
    /// The provider's name of the answer.
    pub(crate) id: Option<String>,
    /// What a model that reasons thought, as far as its provider tells.
    pub(crate) thinking: String,
    /// Flowise's `usageMetadata`: token counts with their details; empty if the provider counts none.
    pub(crate) usage_metadata: Map<String, Value>,
    /// Flowise's `responseMetadata`: finish reason, model name and what else the provider says.
    pub(crate) response_metadata: Map<String, Value>,
    /// Flowise's `additional_kwargs` of an answer that calls tools; `None`: the calls again, as `OpenAI` writes them.
    pub(crate) extra: Option<Map<String, Value>>,
}

/// The kinds of nodes that are chat models.
pub(crate) fn kinds() -> &'static [&'static dyn super::nodes::Kind] {
    &[
        &anthropic::ChatAnthropic,
        &gemini::ChatGemini,
        &mistral::ChatMistral,
        &ollama::ChatOllama,
        &openai::AzureChatOpenAi,
        &openai::ChatLocalAi,
        &openai::ChatOpenAi,
        &openai::ChatOpenAiCustom,
        &openai::relatives::DEEPSEEK,
        &openai::relatives::GROQ,
        &openai::relatives::LITELLM,
        &openai::relatives::OPEN_ROUTER,
    ]
}
