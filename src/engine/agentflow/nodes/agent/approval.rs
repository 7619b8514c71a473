//! A turn of a model's calls that its user has a say in: which calls he was shown, and how far the turn has come.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::engine::agentflow::step::StepContext;
use crate::engine::contract::node::Document;

/// Where a model's turn stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ModelTurn {
    /// Its place among what was said.
    pub(super) at: usize,
    /// Calls that are answered, from the first on.
    pub(super) done: usize,
    /// Places of the calls that the user was shown.
    pub(super) asked: Vec<usize>,
}

/// What an agent needs to go on where it stopped.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pending {
    pub(super) turn: ModelTurn,
    /// What was said: by the model with its calls, and by the tools that were called so far.
    pub(super) talk: Vec<Value>,
    /// Tells the tools that he was asked about from others of the same names.
    pub(super) tools: String,
    pub(super) used: Vec<Value>,
    pub(super) sources: Vec<Document>,
    pub(super) tokens: u64,
    pub(super) thoughts: Vec<String>,
}

impl Pending {
    pub(super) fn written(&self) -> Value {
        json!({
            "at": self.turn.at,
            "done": self.turn.done,
            "asked": self.turn.asked,
            "talk": self.talk,
            "tools": self.tools,
            "used": self.used,
            "sources": self.sources.iter().map(Document::to_json).collect::<Value>(),
            "tokens": self.tokens,
            "thoughts": self.thoughts,
        })
    }

    /// `None`: it is not what an agent waits for.
    pub(super) fn read(written: &Value) -> Option<Self> {
        let place = |value: &Value| usize::try_from(value.as_u64()?).ok();
        let list = |name: &str| written.get(name)?.as_array();
        let source = |source: &Value| {
            let metadata = source.get("metadata").and_then(Value::as_object).cloned();
            Some(Document {
                text: source.get("pageContent")?.as_str()?.into(),
                metadata: metadata.unwrap_or_else(Map::new),
            })
        };
        Some(Self {
            turn: ModelTurn {
                at: place(written.get("at")?)?,
                done: place(written.get("done")?)?,
                asked: list("asked")?.iter().map(place).collect::<Option<_>>()?,
            },
            talk: list("talk")?.clone(),
            tools: written.get("tools")?.as_str()?.to_owned(),
            used: list("used")?.clone(),
            sources: list("sources")?.iter().map(source).collect::<Option<_>>()?,
            tokens: written.get("tokens")?.as_u64()?,
            thoughts: list("thoughts")?
                .iter()
                .map(|thought| thought.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
        })
    }
}

/// What is the same as long as nobody changes the node's tools.
pub(super) fn tools_of(visit: &StepContext<'_>) -> String {
    let tools = visit.node.inputs.get("agentTools").map(Value::to_string).unwrap_or_default();
    STANDARD.encode(digest(&SHA256, tools.as_bytes()))
}

/// What the user said to the calls that he was shown.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) proceeds: bool,
    /// Whether the tools are those that he was shown.
    pub(super) is_of_these_tools: bool,
    feedback: String,
}

impl Decision {
    pub(super) fn new(answer: &Value, is_of_these_tools: bool) -> Self {
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        Self { proceeds: text("type") == "proceed", is_of_these_tools, feedback: text("feedback").trim().to_owned() }
    }

    /// What the model is told of a call that he does not want.
    pub(super) fn rejection(&self) -> String {
        if self.feedback.is_empty() {
            return "The user rejected this call: it was not made.".to_owned();
        }
        format!("The user rejected this call: it was not made. The user says: {}", self.feedback)
    }
}

/// What becomes of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Call,
    /// The user is asked first.
    Ask,
    /// The model is told why not.
    Refuse(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_read_as_it_was_written() {
        let source = Document { text: "x".into(), metadata: Map::from_iter([("a".to_owned(), 1.into())]) };
        let pending = Pending {
            turn: ModelTurn { at: 2, done: 1, asked: vec![1, 3] },
            talk: vec![json!({ "role": "user" })],
            tools: "t".to_owned(),
            used: vec![json!(1)],
            sources: vec![source],
            tokens: 7,
            thoughts: vec!["hm".to_owned()],
        };
        assert_eq!(Pending::read(&pending.written()), Some(pending));
        assert_eq!(Pending::read(&json!({ "messages": [] })), None);
    }
}
