//! What agents say, as the state of a flow keeps it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::engine::contract::memory::Turn;
use crate::engine::contract::message::{Message, ToolCall};
use crate::engine::contract::model::ModelAnswer;
use crate::engine::text::size::bytes_of;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Speaker {
    /// The user, and agents whose work is done: what they found is told to the next as a user's words.
    #[default]
    Human,
    Model,
    Tool,
}

/// One message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AgentMessage {
    pub(super) speaker: Speaker,
    pub(super) content: String,
    /// The agent or the tool that speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// Of a model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) calls: Vec<ToolCall>,
    /// Of a tool: the call that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answers: Option<String>,
    /// The node that said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<String>,
    /// What came of its work; `None`: nothing is told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) used_tools: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sources: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifacts: Option<Vec<Value>>,
    /// Of a tool: what it was called with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_worker: bool,
    /// Of a model whose answer had to have a form.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_form: bool,
    /// Of a tool that the user did not want to be called.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_denied: bool,
}

impl AgentMessage {
    pub(super) fn human(content: impl Into<String>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }

    pub(super) fn model(content: impl Into<String>) -> Self {
        Self { speaker: Speaker::Model, ..Self::human(content) }
    }

    /// What a model answered.
    pub(super) fn answered(answer: ModelAnswer) -> Self {
        Self { calls: answer.calls, ..Self::model(answer.text) }
    }

    pub(super) fn of_turn(turn: Turn) -> Self {
        if turn.by_user { Self::human(turn.text) } else { Self::model(turn.text) }
    }

    /// Says who said it.
    pub(super) fn by(self, name: &str, node: &str) -> Self {
        Self { name: Some(name.to_owned()), node: Some(node.to_owned()), ..self }
    }

    /// As a model is told.
    pub(super) fn told(&self) -> Message {
        let mut message = match self.speaker {
            Speaker::Human => Message::user(self.content.as_str()),
            Speaker::Model => Message::calling(self.content.as_str(), self.calls.clone()),
            Speaker::Tool => {
                let name = self.name.clone().unwrap_or_default();
                let call = ToolCall::new(self.answers.clone().unwrap_or_default(), name, Value::Null);
                Message::tool(&call, self.content.as_str())
            }
        };
        message.name.clone_from(&self.name);
        message
    }

    /// As texts and programs of the flow's author look into it.
    pub(super) fn view(&self) -> Value {
        let mut more = Map::new();
        if let Some(node) = &self.node {
            more.insert("nodeId".to_owned(), node.as_str().into());
        }
        let told =
            [("usedTools", &self.used_tools), ("sourceDocuments", &self.sources), ("artifacts", &self.artifacts)];
        for (name, values) in told {
            if let Some(values) = values {
                more.insert(name.to_owned(), values.clone().into());
            }
        }
        let mut view = json!({ "content": self.content, "additional_kwargs": more });
        let Some(fields) = view.as_object_mut() else { return view };
        if let Some(name) = &self.name {
            fields.insert("name".to_owned(), name.as_str().into());
        }
        if self.speaker == Speaker::Model {
            fields.insert("tool_calls".to_owned(), self.calls_view());
        }
        if let Some(id) = &self.answers {
            fields.insert("tool_call_id".to_owned(), id.as_str().into());
        }
        view
    }

    /// Its calls, as clients are told of them.
    pub(super) fn calls_view(&self) -> Value {
        let call =
            |call: &ToolCall| json!({ "name": call.name, "args": call.arguments, "type": "tool_call", "id": call.id });
        self.calls.iter().map(call).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        let lists = [&self.used_tools, &self.sources];
        let told: usize = lists.into_iter().flatten().flatten().map(bytes_of).sum();
        let calls: usize = self.calls.iter().map(|call| call.name.len() + bytes_of(&call.arguments)).sum();
        self.content.len() + told + calls
    }
}
