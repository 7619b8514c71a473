//! What stands for a node that lacks a setting: the flow is loaded, and a question that comes to the node fails.

use std::fmt;
use std::sync::Arc;

use super::problem::printable;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::node::{Chain, Document, PutDocuments, Reply, Retriever, ValueSource, VectorStore};
use crate::engine::contract::run::Run;

/// See the module. A node that refers to one cannot be made either, and is one for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unset {
    /// What its author calls the node.
    pub(crate) label: String,
    pub(crate) field: UnsetField,
}

/// An input in which nothing stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UnsetField {
    pub(crate) input: String,
    /// What Flowise's editor calls it; empty: the export does not say.
    pub(crate) label: String,
    /// The kind of node that stands in the node's inputs and has it; empty: the node itself.
    pub(crate) inside: String,
    /// What is to be connected there, such as `documents`; empty: something is to be filled in.
    pub(crate) wants: &'static str,
}

impl fmt::Display for UnsetField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label.trim() {
            "" => f.write_str(&printable(&self.input))?,
            label => write!(f, "{} ({})", printable(label), printable(&self.input))?,
        }
        if self.inside.is_empty() { Ok(()) } else { write!(f, " of {}", printable(&self.inside)) }
    }
}

impl Unset {
    /// Of an input that nobody has connected, where that is no matter for most of a flow.
    pub(crate) fn of_connection(label: String, input: &'static str) -> Self {
        let field = UnsetField { input: input.to_owned(), wants: input, ..UnsetField::default() };
        Self { label, field }
    }

    pub(crate) fn failure(&self) -> Failure {
        let lacks = if self.field.wants.is_empty() { "set in" } else { "connected to" };
        Failure::flow(format!("Nothing is {lacks} {} of the node \"{}\".", self.field, printable(&self.label)))
    }

    fn fails<T>(&self) -> Task<'_, T> {
        Box::pin(async { Err(self.failure()) })
    }
}

impl Chain for Unset {
    fn answer<'a>(&'a self, _: &'a str, _: &'a Run<'a>, _: bool) -> Task<'a, Reply> {
        self.fails()
    }
}

impl ValueSource for Unset {
    fn value<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, serde_json::Value> {
        self.fails()
    }

    fn decides<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, bool> {
        self.fails()
    }
}

impl ChatModel for Unset {
    fn chat<'a>(&'a self, _: ModelRequest<'a>, _: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        self.fails()
    }

    fn name(&self) -> &'static str {
        "none"
    }
}

impl Retriever for Unset {
    fn find<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        self.fails()
    }

    fn store(self: Arc<Self>) -> Option<Arc<dyn VectorStore>> {
        Some(self)
    }
}

impl VectorStore for Unset {
    fn nearest<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, Vec<(Document, f32)>> {
        self.fails()
    }

    fn nearest_of<'a>(&'a self, _: &'a str, _: usize, _: &'a Run<'a>) -> Task<'a, Vec<(Document, f32)>> {
        self.fails()
    }

    fn most(&self) -> usize {
        1
    }

    fn upsert<'a>(&'a self, _: &'a Run<'a>) -> Task<'a, PutDocuments> {
        self.fails()
    }
}
