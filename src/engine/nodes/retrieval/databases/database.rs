//! What nodes know of a database of passages.

use std::fmt;

use serde_json::{Map, Value};

use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Document, Summary, SummaryWish};
use crate::engine::contract::run::Run;

/// One.
pub(super) trait Database: fmt::Debug + Send + Sync {
    /// The nearest passages, best first.
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>>;
    /// Puts passages in.
    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()>;
    /// By which metadata Flowise's record managers know a passage, where its node changes them beforehand.
    fn known_by(&self, _metadata: &Map<String, Value>) -> Option<Map<String, Value>> {
        None
    }
    /// Whether passages can be taken out by their ids.
    fn deletes(&self) -> bool {
        false
    }
    /// Takes passages out.
    fn delete<'a>(&'a self, _ids: &'a [String], _run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async { Err(Failure::flow("The engine takes no passages out of this database.")) })
    }
    /// Whether it tells in words of its own what it finds.
    fn sums_up(&self) -> bool {
        false
    }
    /// The same, in such words.
    fn summary<'a>(&'a self, _query: &'a Query, _wish: &'a SummaryWish, _run: &'a Run<'a>) -> Task<'a, Summary> {
        Box::pin(async { Err(Failure::flow("This database sums nothing up.")) })
    }
}

/// What is looked for.
#[derive(Debug)]
pub(super) struct Query {
    /// The question's words.
    pub(super) text: String,
    pub(super) vector: Vec<f32>,
    pub(super) most: usize,
    /// As the flow's author wrote it for this database, filled in.
    pub(super) filter: Option<Value>,
    /// The chat whose files may be found; `None`: everything may.
    pub(super) chat: Option<String>,
    /// Whether what is found has its vectors with it.
    pub(super) with_vectors: bool,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) document: Document,
    /// As the database measures it.
    pub(super) nearness: f32,
    /// Empty where it was not asked for.
    pub(super) vector: Vec<f32>,
}

/// A passage with its vector.
#[derive(Debug)]
pub(super) struct NewPassage {
    pub(super) id: String,
    /// Whether it is known by that id from now on; else any would do.
    pub(super) is_recorded: bool,
    pub(super) document: Document,
    pub(super) vector: Vec<f32>,
}

/// Where metadata of a passage names the chat whose file it comes from, in Flowise's word.
pub(super) const CHAT: &str = "flowise_chatId";

/// Numbers as they are written shortest, which is what they were before they were numbers of four bytes.
pub(super) fn numbers(vector: &[f32]) -> Value {
    vector.iter().map(|number| number.to_string().parse::<f64>().unwrap_or_else(|_| f64::from(*number))).collect()
}

/// A vector that a database sent: numbers, or a text of them.
pub(super) fn vector_of(value: Option<&Value>) -> Vec<f32> {
    let listed = |value: &Value| serde_json::from_value(value.clone()).unwrap_or_default();
    match value {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(value) => listed(value),
        None => Vec::new(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "how near is told by few digits")]
pub(super) fn nearness_of(value: Option<&Value>) -> f32 {
    match value {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(value) => value.as_f64().unwrap_or_default() as f32,
        None => 0.0,
    }
}

/// A document of an object's fields, one of which is its text.
pub(super) fn document_of(fields: Option<Value>, text_key: &str) -> Document {
    let mut metadata = match fields {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let text = match metadata.shift_remove(text_key) {
        Some(Value::String(text)) => text,
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    Document { text, metadata }
}
