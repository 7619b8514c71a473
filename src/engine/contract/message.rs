//! What is said to and by models, whatever the provider's format.

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    /// As [`System`](Self::System), where a provider knows the word.
    Developer,
    User,
    Assistant,
    /// The result of a call that the assistant made.
    Tool,
}

impl Role {
    /// Whether it says how the model is to be.
    pub(crate) fn instructs(self) -> bool {
        matches!(self, Self::System | Self::Developer)
    }
}

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) content: Content,
    /// Of an assistant.
    pub(crate) calls: Vec<ToolCall>,
    /// Of a tool: the call that it answers, and the tool's name.
    pub(crate) answers: Option<(String, String)>,
    /// Who speaks, where Flowise tells the model: nodes of agentflows, and the tools of their agents.
    pub(crate) name: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Text(String),
    /// In order.
    Pieces(Vec<ContentPart>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ContentPart {
    Text(String),
    /// A data URI, or an address that the provider fetches.
    Image(String),
}

/// A tool that a model wants to be called.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
    /// What the provider wants back with the call when it is told the result, such as a signature of its thoughts.
    pub(crate) opaque: Option<Value>,
}

/// A tool as a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ToolSpec {
    pub(crate) name: String,
    pub(crate) description: String,
    /// JSON Schema of the arguments.
    pub(crate) parameters: Value,
}

/// What a provider counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

impl Message {
    pub(crate) fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: Content::Text(text.into()), calls: Vec::new(), answers: None, name: None }
    }

    pub(crate) fn system(text: impl Into<String>) -> Self {
        Self::text(Role::System, text)
    }

    pub(crate) fn user(text: impl Into<String>) -> Self {
        Self::text(Role::User, text)
    }

    pub(crate) fn assistant(text: impl Into<String>) -> Self {
        Self::text(Role::Assistant, text)
    }

    pub(crate) fn tool(call: &ToolCall, result: impl Into<String>) -> Self {
        Self { answers: Some((call.id.clone(), call.name.clone())), ..Self::text(Role::Tool, result) }
    }

    /// An assistant's turn with the tools that it calls.
    pub(crate) fn calling(text: impl Into<String>, calls: Vec<ToolCall>) -> Self {
        Self { calls, ..Self::assistant(text) }
    }

    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

impl ToolCall {
    pub(crate) fn new(id: impl Into<String>, name: impl Into<String>, arguments: Value) -> Self {
        Self { id: id.into(), name: name.into(), arguments, opaque: None }
    }
}

impl Content {
    /// Without images.
    pub(crate) fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Pieces(pieces) => pieces.iter().filter_map(ContentPart::text).collect::<Vec<_>>().join("\n"),
        }
    }

    /// As providers take it: a text as it is, or a list of what each piece becomes.
    pub(crate) fn to_json(&self, piece: impl Fn(&ContentPart) -> Value) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Pieces(pieces) => pieces.iter().map(piece).collect(),
        }
    }
}

impl ContentPart {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Image(_) => None,
        }
    }
}
