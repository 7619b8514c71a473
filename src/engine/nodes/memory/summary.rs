//! Memories that a model sums up: all of a chat, or what of it has too many tokens.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::super::words::{rendered, words};
use super::kept;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{HistoryStrategy, messages_of, recalled};
use crate::engine::contract::message::{Message, Role};
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::text::javascript::parse_float;
use crate::engine::text::template::Template;
use crate::engine::text::tokens::surplus::surplus;

/// What a model is told that sums up; `LangChain`'s words (`@langchain/classic`, `memory/prompt`).
static SUMMARY: LazyLock<Template> = LazyLock::new(|| words(include_str!("summary.txt")));
/// Where the node says nothing.
const MOST_TOKENS: f64 = 2000.0;

/// The node `conversationSummaryMemory`.
pub(super) struct ConversationSummaryMemory;

impl NodeKind for ConversationSummaryMemory {
    fn names(&self) -> &'static [&'static str] {
        &["conversationSummaryMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        memory(inputs, None)
    }
}

/// The node `conversationSummaryBufferMemory`.
pub(super) struct ConversationSummaryBufferMemory;

impl NodeKind for ConversationSummaryBufferMemory {
    fn names(&self) -> &'static [&'static str] {
        &["conversationSummaryBufferMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let limit = match inputs.value("maxTokenLimit") {
            Some(Value::Number(number)) => number.as_f64().filter(|number| *number != 0.0),
            Some(Value::String(text)) => Some(parse_float(&text).trunc()),
            _ => None,
        };
        let most = limit.unwrap_or(MOST_TOKENS);
        // What is no number limits nothing.
        memory(inputs, Some(if most.is_nan() { f64::INFINITY } else { most }))
    }
}

fn memory(inputs: &mut Inputs<'_, '_, '_>, most: Option<f64>) -> Option<Part> {
    let model = inputs.model("model");
    kept::kept_here(inputs);
    let node = inputs.node.id.clone();
    Some(kept::kept_by(inputs, SummedUp { model: model?, most, node }))
}

#[derive(Debug)]
struct SummedUp {
    model: Arc<dyn ChatModel>,
    /// So many tokens are told word by word; `None`: nothing is.
    most: Option<f64>,
    /// The node's id.
    node: String,
}

impl HistoryStrategy for SummedUp {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let turns = messages_of(run, recalled(run).await?);
            match self.most {
                None => self.whole(&turns, run).await,
                Some(most) => self.surplus_of(turns, most, run).await,
            }
        })
    }

    fn is_made_anew(&self) -> bool {
        true
    }
}

impl SummedUp {
    /// As Flowise: of the last exchange, whatever was before it.
    async fn whole(&self, turns: &[Message], run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        let last = turns.get(turns.len().saturating_sub(2)..).unwrap_or_default();
        let summary = if last.is_empty() { String::new() } else { self.summed(last, "", run).await? };
        Ok(vec![self.told(&summary)])
    }

    /// What has too many tokens goes into the summary, again and again while a request is answered.
    async fn surplus_of(&self, mut turns: Vec<Message>, most: f64, run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        let before = run.request.outcomes.get(&self.node);
        let mut summary = before.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        if !summary.is_empty() {
            turns.insert(0, Message::system(summary.as_str()));
        }
        let lines: Vec<String> = turns.iter().map(line).collect();
        let gone = surplus(&lines, most, self.model.has_token_table());
        if gone > 0 {
            let rest = turns.split_off(gone);
            summary = self.summed(&turns, &summary, run).await?;
            run.request.outcomes.put(&self.node, summary.as_str().into());
            turns = rest;
        }
        if !summary.is_empty() {
            turns.insert(0, self.told(&summary));
        }
        Ok(turns)
    }

    async fn summed(&self, turns: &[Message], before: &str, run: &Run<'_>) -> Result<String, Failure> {
        let lines = turns.iter().map(line).collect::<Vec<_>>().join("\n");
        let prompt = rendered(&SUMMARY, &[("summary", before), ("new_lines", &lines)])?;
        let prompt = [Message::user(prompt)];
        Ok(run.ask(&*self.model, ModelRequest::of(&prompt)).await?.text)
    }

    /// Anthropic knows one system.
    fn told(&self, summary: &str) -> Message {
        if self.model.provider() == "anthropic" {
            return Message::user(format!("Below is the summarized conversation:\n\n{summary}"));
        }
        Message::system(summary)
    }
}

fn line(turn: &Message) -> String {
    let who = match turn.role {
        Role::User => "Human",
        Role::Assistant => "AI",
        Role::System | Role::Developer => "System",
        Role::Tool => "Tool",
    };
    format!("{who}: {}", turn.content.plain())
}

#[cfg(test)]
mod tests;
