//! A node of an agentflow, and what is known while it runs.

use std::cell::Cell;
use std::fmt;

use serde_json::{Map, Value};

use super::runtime::{self, Runtime};
use super::values::{StepScope, text_of};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::unset::Unset;
use crate::engine::contract::Task;
use crate::engine::contract::run::Run;
use crate::engine::text::mustache::JsonTemplate;

#[derive(Debug)]
pub(super) struct StepNode {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) kind: &'static str,
    /// The iteration that it is in, by its id.
    pub(super) parent: Option<String>,
    /// Whether only some of what follows it is run.
    pub(super) decides: bool,
    /// As its author set them, in Markdown where they were in HTML.
    pub(super) inputs: Map<String, Value>,
    /// Inputs whose texts refer to values.
    pub(super) templates: Vec<(String, JsonTemplate)>,
    pub(super) step: Box<dyn Step>,
}

/// A kind of node.
pub(super) trait StepKind: Sync {
    /// Flowise's name of it, such as `llmAgentflow`.
    fn name(&self) -> &'static str;

    /// Whether only some of what follows it is run.
    fn decides(&self) -> bool {
        false
    }

    /// Looks at all inputs; what is wrong is told to them.
    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>>;
}

/// What a node does.
pub(super) trait Step: fmt::Debug + Send + Sync {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome>;
}

impl Step for Unset {
    fn run<'a>(&'a self, _: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async { Err(self.failure()) })
    }
}

/// One run of a node.
pub(super) struct StepContext<'a> {
    pub(super) node: &'a StepNode,
    /// Filled in.
    pub(super) inputs: Map<String, Value>,
    pub(super) run: &'a Run<'a>,
    pub(super) runtime: &'a Runtime,
    pub(super) scope: &'a StepScope<'a>,
    /// What the user said: the question with its files, or the form.
    pub(super) said: Option<&'a str>,
    /// Whether nothing comes after it, so that its tokens are the client's.
    pub(super) is_last: bool,
    /// What the user answered, if the run waited here for it.
    pub(super) answer: Option<&'a Value>,
    /// How far it came before it failed, for when the user answers again; as what it [waits](NextStep::Wait) for.
    pub(super) progress: &'a Cell<Option<Value>>,
}

impl StepContext<'_> {
    /// An input as a text; empty: none.
    pub(super) fn text(&self, name: &str) -> String {
        self.inputs.get(name).filter(|value| !value.is_null()).map(text_of).unwrap_or_default()
    }

    pub(super) fn list(&self, name: &str) -> &[Value] {
        self.inputs.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.inputs.get(name).is_some_and(|value| *value == true || *value == "true")
    }

    /// Whether nobody has said anything in this run.
    pub(super) fn is_first(&self) -> bool {
        self.runtime.history.is_empty()
    }

    /// What the node says, as others remember it.
    pub(super) fn turn(&self, as_input: &str, content: &str) -> Value {
        let role = if self.text(as_input) == "assistantMessage" { "assistant" } else { "user" };
        let mut turn = runtime::turn(role, content);
        if let Some(turn) = turn.as_object_mut() {
            let name: String =
                self.node.label.to_lowercase().chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
            turn.insert("name".to_owned(), name.into());
        }
        turn
    }
}

/// What a node gave.
#[derive(Debug, Default)]
pub(super) struct StepOutcome {
    pub(super) input: Value,
    pub(super) output: Map<String, Value>,
    /// `None`: as it was.
    pub(super) state: Option<Map<String, Value>>,
    /// What is remembered of it; `None`: it says nothing.
    pub(super) history: Option<Vec<Value>>,
    pub(super) then: NextStep,
}

/// How it goes on after a node.
#[derive(Debug, Default)]
pub(super) enum NextStep {
    #[default]
    Next,
    /// Along those outputs that are chosen.
    Choose(Vec<bool>),
    /// When the user has answered.
    Wait {
        /// What the node needs to go on, which nobody is shown.
        pending: Value,
        /// The calls of tools that the user decides on; null: it is about none.
        calls: Value,
    },
    /// What is inside is run for each of these first.
    Each(Vec<Value>),
    /// At the node of that id, so many times.
    Back { to: String, most: u64, fallback: String },
}

impl StepOutcome {
    pub(super) fn new(input: Value, output: Value) -> Self {
        let output = if let Value::Object(output) = output { output } else { Map::new() };
        Self { input, output, ..Self::default() }
    }

    pub(super) fn with_state(self, state: Map<String, Value>) -> Self {
        Self { state: Some(state), ..self }
    }

    pub(super) fn saying(self, turns: Vec<Value>) -> Self {
        Self { history: Some(turns), ..self }
    }

    pub(super) fn then(self, then: NextStep) -> Self {
        Self { then, ..self }
    }
}
