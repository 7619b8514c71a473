//! What an action is called with: a model's arguments, and over them what the node's author set.

use serde_json::{Map, Value};

use crate::engine::text::javascript::{is_falsy, shown};
use crate::wire::json::read_str;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(pub(super) Map<String, Value>);

impl Params {
    /// One that is there, whatever it is.
    pub(super) fn given(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    /// One that counts as something in a condition.
    pub(super) fn set(&self, name: &str) -> Option<Value> {
        self.0.get(name).filter(|value| !is_falsy(value)).cloned()
    }

    /// The same, or what stands for it.
    pub(super) fn or(&self, name: &str, other: impl Into<Value>) -> Value {
        self.set(name).unwrap_or_else(|| other.into())
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.set(name).is_some()
    }

    /// As a text, which says so where there is nothing.
    pub(super) fn text(&self, name: &str) -> String {
        self.0.get(name).map_or_else(|| "undefined".to_owned(), shown)
    }

    /// The first of several, `a|b`, that is set.
    pub(super) fn first(&self, names: &str) -> Option<Value> {
        names.split('|').find_map(|name| self.set(name))
    }

    /// A text with commas, one by one.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.text(name).split(',').map(|item| item.trim().to_owned()).collect()
    }

    /// JSON that stands in a text.
    ///
    /// # Errors
    /// It is none: `expected`.
    pub(super) fn json(&self, name: &str, expected: &str) -> Result<Value, String> {
        read_str(&self.text(name)).map_err(|_| expected.to_owned())
    }
}

/// An object of those that are there.
pub(super) fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}
