//! Flows of the second generation, Agentflow V2: nodes run one after the other along the edges, on a state and a
//! history that they share.
//!
//! [`nodes`] knows every kind of node: a type that implements [`Kind`], one file a family. [`compile`] makes an
//! [`Agentflow`] of an export, [`walk`] runs it and tells clients of each step, and [`values`] is what `{{...}}` in its
//! texts stands for. [`executions`] keeps runs that wait for their user, as [`written`] writes them, and
//! [`shown`] says what clients see of it all.

mod answer;
mod changes;
mod compile;
mod executions;
#[cfg(test)]
mod fuzz;
mod graph;
mod html;
mod knowledge;
mod markdown;
mod nodes;
mod pattern;
mod plain;
mod runtime;
mod shown;
mod structured;
mod talk;
#[cfg(test)]
mod tests;
mod tools;
mod values;
mod walk;
mod written;

pub(crate) use answer::Executed;
pub(crate) use compile::compile;
pub(crate) use executions::Executions;

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};

use self::graph::Graph;
use self::runtime::{Iteration, Runtime};
use super::Task;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::run::Run;
use crate::engine::text::mustache::JsonTemplate;

/// One flow, ready to run.
#[derive(Debug)]
pub(crate) struct Agentflow {
    nodes: Vec<Node>,
    whole: Graph,
    /// What is inside of iterations, by the iteration's place.
    inside: HashMap<usize, Graph>,
    /// Whether it starts with a form.
    has_form: bool,
    /// Whether its state outlives a run.
    keeps_state: bool,
    /// Whether it may stop for its user.
    may_wait: bool,
}

#[derive(Debug)]
struct Node {
    id: String,
    label: String,
    kind: &'static str,
    /// The iteration that it is in, by its id.
    parent: Option<String>,
    /// Whether only some of what follows it is run.
    decides: bool,
    /// As its author set them, in Markdown where they were in HTML.
    inputs: Map<String, Value>,
    /// Inputs whose texts refer to values.
    templates: Vec<(String, JsonTemplate)>,
    step: Box<dyn Step>,
}

/// A kind of node.
trait Kind: Sync {
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
trait Step: fmt::Debug + Send + Sync {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Outcome>;
}

/// One run of a node.
struct Visit<'a> {
    node: &'a Node,
    /// Filled in.
    inputs: Map<String, Value>,
    run: &'a Run<'a>,
    runtime: &'a Runtime,
    iteration: Option<&'a Iteration>,
    scope: &'a values::Scope<'a>,
    /// What the user said: the question with its files, or the form.
    said: Option<&'a str>,
    /// Whether nothing comes after it, so that its tokens are the client's.
    is_last: bool,
    /// What the user answered, if the run waited here for it.
    answer: Option<&'a Value>,
    /// How far it came before it failed, for when the user answers again; as what it [waits](Then::Wait) for.
    progress: &'a Cell<Option<Value>>,
}

impl Visit<'_> {
    /// An input as a text; empty: none.
    fn text(&self, name: &str) -> String {
        self.inputs.get(name).filter(|value| !value.is_null()).map(values::shown).unwrap_or_default()
    }

    fn list(&self, name: &str) -> &[Value] {
        self.inputs.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn flag(&self, name: &str) -> bool {
        self.inputs.get(name).is_some_and(|value| *value == true || *value == "true")
    }

    /// Whether nobody has said anything in this run.
    fn is_first(&self) -> bool {
        self.runtime.history.is_empty()
    }

    /// What the node says, as others remember it.
    fn turn(&self, as_input: &str, content: &str) -> Value {
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
struct Outcome {
    input: Value,
    output: Map<String, Value>,
    /// `None`: as it was.
    state: Option<Map<String, Value>>,
    /// What is remembered of it; `None`: it says nothing.
    history: Option<Vec<Value>>,
    then: Then,
}

/// How it goes on after a node.
#[derive(Debug, Default)]
enum Then {
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

impl Outcome {
    fn new(input: Value, output: Value) -> Self {
        let output = if let Value::Object(output) = output { output } else { Map::new() };
        Self { input, output, ..Self::default() }
    }

    fn with_state(self, state: Map<String, Value>) -> Self {
        Self { state: Some(state), ..self }
    }

    fn saying(self, turns: Vec<Value>) -> Self {
        Self { history: Some(turns), ..self }
    }

    fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }
}
