//! A node's inputs, read with types. What somebody has set and a kind of node does not read is refused, not passed over.

mod credentials;
mod filling;
mod nested;
mod numbers;
mod overridden;
mod overriding;
mod places;
mod wanting;

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::export::ExportNode;
use super::kind::NodeKind;
use super::part::Part;
use super::unset::Unset;
use crate::engine::compile::{Compiler, flowise};
use crate::engine::contract::model::ChatModel;
use crate::engine::text::mustache::Dialect;
use crate::engine::text::overrides::FilledPaths;
use crate::wire::json;

pub(crate) use overridden::overridden;
pub(crate) use overriding::Overriding;

/// See the module.
pub(crate) struct Inputs<'n, 'c, 'a> {
    pub(crate) node: &'n ExportNode,
    values: Map<String, Value>,
    read: HashSet<String>,
    /// In these, `{{...}}` is filled in for each request, or means nothing.
    filled: HashSet<String>,
    /// What another flow filled in.
    settled: FilledPaths,
    accepts: Accepts,
    /// Parts that stand for inputs, where the node stands in another's inputs.
    given: Vec<(&'static str, Part)>,
    /// Why the node cannot be made although nothing is wrong with it.
    unset: Option<Arc<Unset>>,
    /// Inputs in which nothing stands, or that lead to a node which lacks something.
    lacking: HashSet<String>,
    pub(crate) compiler: &'c mut Compiler<'a>,
}

/// In which inputs texts refer to values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepts {
    /// In those that the node fills in: a node of a chatflow.
    Filled,
    /// In those that say so of themselves: a node of an agentflow.
    Declared,
    /// In all: a tool of such a node.
    All,
}

impl<'n, 'c, 'a> Inputs<'n, 'c, 'a> {
    pub(crate) fn new(node: &'n ExportNode, values: Map<String, Value>, compiler: &'c mut Compiler<'a>) -> Self {
        let (read, filled, settled) =
            (HashSet::new(), HashSet::new(), compiler.overrides.settled.of(&node.id, &node.data.inputs));
        Self {
            node,
            values,
            read,
            filled,
            settled,
            accepts: Accepts::Filled,
            given: Vec::new(),
            unset: None,
            lacking: HashSet::new(),
            compiler,
        }
    }

    /// With parts in the place of inputs.
    pub(crate) fn with_parts(self, given: Vec<(&'static str, Part)>) -> Self {
        Self { given, ..self }
    }

    fn given(&self, name: &str) -> Option<Part> {
        self.given.iter().find(|(input, _)| *input == name).map(|(_, part)| part.clone())
    }

    /// Of a node of an agentflow.
    pub(crate) fn of_agentflow(self) -> Self {
        Self { accepts: Accepts::Declared, ..self }
    }

    /// Of a tool in a node of an agentflow; descriptions are filled in by whoever has the tool.
    pub(crate) fn of_tool(mut self) -> Self {
        let described = self.values.keys().filter(|name| name.to_ascii_lowercase().ends_with("description"));
        self.filled = described.cloned().collect();
        Self { accepts: Accepts::All, ..self }
    }

    /// The part, if every input is understood.
    pub(crate) fn build(mut self, kind: &dyn NodeKind) -> Option<Part> {
        let problems = self.compiler.problems.len();
        let part = kind.build(&mut self);
        let cache = self.part_as("cache", Part::into_cache, "a cache");
        let part = part.map(|part| part.keeping(cache));
        self.finish();
        self.refuse_unfilled();
        if let Some(Part::Model(model)) = &part {
            self.compiler.models.push(model.name().into());
        }
        let part = self.unset.take().map(Part::Unset).or(part);
        part.filter(|_| self.compiler.problems.len() == problems)
    }

    /// Reports what was set and not read, but for a node that lacks something, and so did not come to it.
    pub(crate) fn finish(&mut self) {
        if self.is_unset() {
            return;
        }
        let left: Vec<String> = self
            .values
            .iter()
            .filter(|(name, value)| !self.read.contains(*name) && !is_empty(value))
            .map(|(name, _)| name.clone())
            .collect();
        for name in left {
            if flowise::passes_over(&self.node.data.name, &name) {
                self.pass_over(&name, "Flowise 3.1.4 does not look at this, and neither does the engine");
            } else {
                self.refuse(&name, "the engine does not support this option");
            }
        }
    }

    /// Whether the export says that an input accepts variables.
    fn declares(&self, name: &str) -> bool {
        self.node.data.input_params.iter().any(|param| param.name == name && param.accept_variable == Some(true))
    }

    fn dialect(&self) -> Dialect {
        if self.accepts == Accepts::Filled { Dialect::Chatflow } else { Dialect::Agentflow }
    }

    /// Whether texts in an input are templates.
    fn is_template(&self, name: &str) -> bool {
        self.accepts != Accepts::Declared || self.declares(name)
    }

    /// Whether another flow filled in something of an input.
    pub(crate) fn is_settled(&self, name: &str) -> bool {
        self.settled.touches(name)
    }

    /// Refuses an input that is read as more than a text, and that another flow filled in.
    pub(crate) fn refuse_settled(&mut self, name: &str) -> bool {
        let is_settled = self.settled.touches(name);
        if is_settled {
            self.refuse(name, "only the flow's own author can write this; it cannot be filled in");
        }
        is_settled
    }

    /// Whether the flow's own author wrote that very text into one of its nodes: no request has put it there.
    pub(crate) fn is_of_author(&self, text: &str) -> bool {
        fn holds(value: &Value, text: &str) -> bool {
            match value {
                Value::String(own) => own == text,
                Value::Array(items) => items.iter().any(|item| holds(item, text)),
                Value::Object(fields) => fields.values().any(|field| holds(field, text)),
                _ => false,
            }
        }
        self.compiler.overrides.values.is_empty()
            || self.compiler.export.nodes.iter().any(|node| node.data.inputs.values().any(|value| holds(value, text)))
    }

    /// As written; `None` where there is nothing.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        self.read.insert(name.to_owned());
        self.values.get(name).filter(|value| !is_nothing(value)).cloned()
    }

    /// As written, even if it is nothing.
    pub(crate) fn written(&mut self, name: &str) -> Option<Value> {
        self.read.insert(name.to_owned());
        self.values.get(name).cloned()
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => {
                self.refuse(name, "expected a text");
                None
            }
        }
    }

    pub(crate) fn number(&mut self, name: &str) -> Option<f64> {
        let number = match self.value(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => numbers::begun(&text),
            _ => None,
        };
        if number.is_none() {
            self.refuse(name, "expected a number");
        }
        number
    }

    /// Without what stands behind the point. Below zero it is not set: `-1` is how many say that there is no bound.
    pub(crate) fn integer(&mut self, name: &str) -> Option<u64> {
        let number = self.number(name)?;
        if number > 1e15 {
            self.refuse(name, "expected a number of at most 15 digits");
            return None;
        }
        if number < 0.0 {
            self.pass_over(name, "a number below zero, which counts as none");
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at just above")]
        Some(number as u64)
    }

    /// `None`: not set.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(value) => Some(value),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => {
                self.refuse(name, "expected true or false");
                None
            }
        }
    }

    /// Whether a model answers word by word, which it does where nothing is said about it; a switch that is set to
    /// nothing is off, as in Flowise.
    pub(crate) fn streams(&mut self) -> bool {
        let is_unset = self.values.get("streaming").is_none_or(Value::is_null);
        self.flag("streaming").unwrap_or(is_unset)
    }

    /// JSON, written out or as a text.
    pub(crate) fn json(&mut self, name: &str) -> Option<Value> {
        match self.value(name)? {
            Value::String(_) if self.refuse_settled(name) => None,
            Value::String(text) => {
                let parsed = json::read_str(&text).ok();
                if parsed.is_none() {
                    self.refuse(name, "expected JSON");
                }
                parsed
            }
            value => Some(value),
        }
    }

    /// What the node's author chose of its outputs.
    pub(crate) fn output(&self) -> Option<&str> {
        self.node.data.outputs.get("output").and_then(Value::as_str)
    }

    /// Inputs that change nothing here.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        self.read.extend(names.iter().map(|name| (*name).to_owned()));
        self.fills(names);
    }

    /// The inputs whose names begin so.
    pub(crate) fn names_with(&self, beginning: &str) -> Vec<String> {
        self.values.keys().filter(|name| name.starts_with(beginning)).cloned().collect()
    }

    /// Ids of the nodes that an input refers to, `{{id.data.instance}}` once or in a list.
    pub(crate) fn references(&mut self, name: &str) -> Vec<String> {
        match self.value(name) {
            None => Vec::new(),
            Some(_) if self.refuse_settled(name) => Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).filter_map(referred).map(str::to_owned).collect()
            }
            Some(Value::String(text)) => referred(&text).map(str::to_owned).into_iter().collect(),
            Some(_) => {
                self.refuse(name, "expected a reference to a node");
                Vec::new()
            }
        }
    }

    /// The parts that an input refers to.
    pub(crate) fn parts(&mut self, name: &str) -> Vec<Part> {
        if let Some(part) = self.given(name) {
            return vec![part];
        }
        let ids = self.references(name);
        ids.iter().filter_map(|id| self.part_at(name, id)).collect()
    }

    /// The part that an input refers to, if it refers to one.
    pub(crate) fn part(&mut self, name: &str) -> Option<Part> {
        if let Some(part) = self.given(name) {
            return Some(part);
        }
        let id = self.references(name).into_iter().next()?;
        self.part_at(name, &id)
    }

    /// As [`part`](Self::part), of that type.
    pub(crate) fn part_as<T>(&mut self, name: &str, take: fn(Part) -> Option<T>, expected: &str) -> Option<T> {
        let part = self.part(name)?;
        let taken = take(part);
        if taken.is_none() {
            self.refuse(name, format!("expected {expected}"));
        }
        taken
    }

    /// As [`part_as`](Self::part_as), of what only nodes of a family know.
    pub(crate) fn own<T: Any + Send + Sync>(&mut self, name: &str, expected: &str) -> Option<Arc<T>> {
        self.part_as(name, Part::into_own, expected)
    }

    /// The same of all that an input refers to.
    pub(crate) fn all_own<T: Any + Send + Sync>(&mut self, name: &str, expected: &str) -> Vec<Arc<T>> {
        let parts = self.parts(name);
        let count = parts.len();
        let own: Vec<Arc<T>> = parts.into_iter().filter_map(Part::into_own).collect();
        if own.len() < count {
            self.refuse(name, format!("expected {expected}"));
        }
        own
    }

    pub(crate) fn model(&mut self, name: &str) -> Option<Arc<dyn ChatModel>> {
        if !self.has(name) {
            self.refuse(name, "a chat model is required");
            return None;
        }
        self.part_as(name, Part::into_model, "a chat model")
    }

    pub(crate) fn has(&mut self, name: &str) -> bool {
        self.value(name).is_some() || self.given(name).is_some()
    }

    /// What an input lacks is said already, and refuses no flow: whatever the node then misses in it is no mistake.
    pub(crate) fn refuse(&mut self, name: &str, message: impl Into<String>) {
        if !self.lacking.contains(name) {
            self.compiler.of_node(self.node, Some(name), message);
        }
    }

    /// Notes what stands in an input and changes nothing.
    pub(crate) fn pass_over(&mut self, name: &str, message: impl Into<String>) {
        self.compiler.pass_over(self.node, Some(name), message);
    }
}

/// What editors leave where nothing is set.
fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Null) || value.as_str().is_some_and(str::is_empty)
}

/// As [`is_nothing`], or switched off.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(fields) => fields.is_empty(),
        value => is_nothing(value),
    }
}

/// The id in `{{id.data.instance}}`.
pub(crate) fn referred(text: &str) -> Option<&str> {
    text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim().strip_suffix(".data.instance")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        assert_eq!(referred("{{chatOpenAI_0.data.instance}}"), Some("chatOpenAI_0"));
        assert_eq!(referred("text"), None);
    }
}
