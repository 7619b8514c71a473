//! What is told of an answer while it comes: events, each a name and a value.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::event_name::EventName;
use crate::wire::json::read_str;

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
