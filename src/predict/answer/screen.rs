//! What `events: [...]` lets through.
//!
//! One list for both kinds of answer: an event of a stream and the field of a JSON answer that carries the same have
//! the same name (`sourceDocuments`, `usedTools`, `agentFlowExecutedData`, ...). What is not listed is dropped, known
//! or not: an agentflow's `agentFlowExecutedData` holds system prompts, addresses and credential ids.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::super::events::data_of;

/// Fields that are the answer itself or the client's own.
const ALWAYS: [&str; 10] = [
    "text",
    "answer",
    "json",
    "question",
    "form",
    "chatId",
    "chatMessageId",
    "sessionId",
    "isStreamValid",
    "followUpPrompts",
];
/// Without these a stream would not end visibly.
const ALWAYS_EVENTS: [&str; 2] = ["error", "end"];

/// Names of events that a client may see.
#[derive(Debug)]
pub(crate) struct Allowed(pub(super) Vec<Box<str>>);

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Pass,
    Drop,
    Replace(String),
}

#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) event: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

impl Allowed {
    pub(super) fn lists(&self, name: &str) -> bool {
        self.0.iter().any(|allowed| **allowed == *name)
    }

    fn shows(&self, event: &str) -> bool {
        ALWAYS_EVENTS.contains(&event) || self.lists(event)
    }

    /// Of a record that is too long to wait for, by its event's name; `None`: it must be whole.
    pub(super) fn early(&self, name: &str) -> Option<bool> {
        match name {
            "metadata" => None,
            name => Some(self.shows(name)),
        }
    }

    /// Of a whole record. What cannot be read is not shown.
    pub(super) fn record(&self, record: &[u8]) -> Step {
        let Some(data) = data_of(record) else {
            let is_comment = record.split(|byte| *byte == b'\n').all(|line| matches!(line.first(), None | Some(b':')));
            return if is_comment { Step::Pass } else { Step::Drop };
        };
        let Ok(Event { event, data }) = serde_json::from_slice(&data) else { return Step::Drop };
        if !self.shows(&event) {
            return Step::Drop;
        }
        if event != "metadata" {
            return Step::Pass;
        }
        match data.and_then(|data| fields(data.get().as_bytes(), self)).and_then(|data| String::from_utf8(data).ok()) {
            Some(data) => Step::Replace(format!("message:\ndata:{{\"event\":\"metadata\",\"data\":{data}}}\n\n")),
            None => Step::Drop,
        }
    }
}

/// A JSON object's shown fields, in their order and each as it was; `None`: it is no object.
pub(super) fn fields(object: &[u8], allowed: &Allowed) -> Option<Vec<u8>> {
    let mut fields: Fields<'_> = serde_json::from_slice(object).ok()?;
    fields.0.retain(|(name, _)| ALWAYS.contains(&&**name) || allowed.lists(name));
    serde_json::to_vec(&fields).ok()
}

/// An object whose values are not looked at.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(InOrder).map(Fields)
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
