//! What is told of an answer while it comes: events, each a name and a value.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::wire::json::read_str;

/// What an event tells. Names are Flowise's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventName {
    Start,
    /// A piece of the answer.
    Token,
    /// A piece of what the model thinks.
    Thinking,
    /// It has thought, for so many seconds.
    Thought,
    AgentTrace,
    CalledTools,
    UsedTools,
    UsageMetadata,
    AgentFlowEvent,
    /// The step that an agentflow has come to.
    NextAgentFlow,
    /// Its steps so far.
    AgentFlowExecutedData,
    /// What agents have done so far.
    AgentReasoning,
    /// Who is next of them.
    NextAgent,
    /// What a flow that waits asks its user.
    Action,
    SourceDocuments,
    Artifacts,
    FileAnnotations,
    Metadata,
    Abort,
    Error,
    End,
}

impl EventName {
    pub(super) const ALL: [Self; 21] = [
        Self::Token,
        Self::Start,
        Self::Thinking,
        Self::Thought,
        Self::AgentTrace,
        Self::CalledTools,
        Self::UsedTools,
        Self::UsageMetadata,
        Self::AgentFlowEvent,
        Self::NextAgentFlow,
        Self::AgentFlowExecutedData,
        Self::AgentReasoning,
        Self::NextAgent,
        Self::Action,
        Self::SourceDocuments,
        Self::Artifacts,
        Self::FileAnnotations,
        Self::Metadata,
        Self::Abort,
        Self::Error,
        Self::End,
    ];

    /// `None`: there is none that the gateway knows.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Token => "token",
            Self::Thinking | Self::Thought => "thinking",
            Self::AgentTrace => "agent_trace",
            Self::CalledTools => "calledTools",
            Self::UsedTools => "usedTools",
            Self::UsageMetadata => "usageMetadata",
            Self::AgentFlowEvent => "agentFlowEvent",
            Self::NextAgentFlow => "nextAgentFlow",
            Self::AgentFlowExecutedData => "agentFlowExecutedData",
            Self::AgentReasoning => "agentReasoning",
            Self::NextAgent => "nextAgent",
            Self::Action => "action",
            Self::SourceDocuments => "sourceDocuments",
            Self::Artifacts => "artifacts",
            Self::FileAnnotations => "fileAnnotations",
            Self::Metadata => "metadata",
            Self::Abort => "abort",
            Self::Error => "error",
            Self::End => "end",
        }
    }
}

/// One event, which need not outlive its telling.
#[derive(Debug)]
pub(crate) struct AnswerEvent<'a> {
    pub(crate) name: EventName,
    pub(crate) data: AnswerValue<'a>,
}

/// A value, as whoever answers has it.
#[derive(Debug)]
pub(crate) enum AnswerValue<'a> {
    Text(&'a str),
    Value(Cow<'a, Value>),
    /// JSON that nobody has looked into.
    Raw(Cow<'a, RawValue>),
}

impl AnswerValue<'_> {
    /// Of the event that ends a stream.
    pub(crate) const DONE: Self = Self::Text("[DONE]");

    /// A text as it is, anything else as JSON; nothing for null.
    pub(crate) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Value(value) => match &**value {
                Value::Null => Cow::Borrowed(""),
                Value::String(text) => Cow::Borrowed(text),
                value => Cow::Owned(value.to_string()),
            },
            Self::Raw(raw) => match raw.get() {
                "null" => Cow::Borrowed(""),
                text if text.starts_with('"') => Cow::Owned(read_str(text).unwrap_or_default()),
                other => Cow::Borrowed(other),
            },
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Value(value) => value.is_null(),
            Self::Raw(raw) => raw.get() == "null",
        }
    }

    /// About how long it is as JSON.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Text(text) => length_of_text(text),
            Self::Value(value) => length(value),
            Self::Raw(raw) => raw.get().len(),
        }
    }
}

/// About how long a value is as text: a text that grows is copied, and for a moment twice as large.
fn length(json: &Value) -> usize {
    match json {
        Value::String(text) => length_of_text(text),
        Value::Array(items) => items.iter().map(length).sum::<usize>() + 2,
        Value::Object(fields) => fields.iter().map(|(name, field)| name.len() + 4 + length(field)).sum::<usize>() + 2,
        _ => 8,
    }
}

fn length_of_text(text: &str) -> usize {
    text.len() + text.len() / 32 + 4
}

impl Serialize for AnswerValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Value(value) => value.serialize(serializer),
            Self::Raw(raw) => raw.serialize(serializer),
        }
    }
}

impl<'a> From<&'a str> for AnswerValue<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Value> for AnswerValue<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Value(Cow::Borrowed(value))
    }
}

impl From<Value> for AnswerValue<'_> {
    fn from(value: Value) -> Self {
        Self::Value(Cow::Owned(value))
    }
}

impl<'a> From<&'a RawValue> for AnswerValue<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self::Raw(Cow::Borrowed(raw))
    }
}

impl From<Box<RawValue>> for AnswerValue<'_> {
    fn from(raw: Box<RawValue>) -> Self {
        Self::Raw(Cow::Owned(raw))
    }
}
