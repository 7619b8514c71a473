//! What `events: widget` and `events: [...]` let through.
//!
//! One list for both kinds of answer: an event of a stream and the field of a JSON answer that carries the same have
//! the same name (`sourceDocuments`, `usedTools`, `agentFlowExecutedData`, ...). What is not listed is dropped, known
//! or not: an agentflow's `agentFlowExecutedData` holds system prompts, addresses and credential ids.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::super::events::data_of;
use crate::wire::json::{read_str, sound};

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

/// What Flowise's own widget shows its visitor, and no more: no traces, no system prompts, no usage.
const SHOWN_BY_THE_WIDGET: [&str; 18] = [
    "start",
    "token",
    "agentFlowEvent",
    STEP,
    STEPS,
    ACTION,
    "sourceDocuments",
    "usedTools",
    "artifacts",
    "fileAnnotations",
    "metadata",
    "abort",
    "tts_start",
    "tts_data",
    "tts_end",
    "tts_abort",
    "error",
    "end",
];
/// An agentflow's steps so far. The widget names them, and has a stop button only once there is one; their inputs and
/// outputs are nobody's business on a public page.
const STEPS: &str = "agentFlowExecutedData";
/// The step that an agentflow has come to. Why it failed may name addresses and keys: that is for the `error` event to
/// say, which is cleaned.
const STEP: &str = "nextAgentFlow";
/// What a flow that waits asks its user. Flowise puts everything into it that the waiting node was given, prompts and
/// the model's settings included; the widget draws the buttons and sends the node's id back.
const ACTION: &str = "action";

/// Which events a client may see.
#[derive(Debug)]
pub(crate) enum Allowed {
    Widget,
    /// Those of these names.
    Only(Arc<[Box<str>]>),
}

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
    pub(super) event: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

impl Allowed {
    pub(super) fn lists(&self, name: &str) -> bool {
        match self {
            Self::Widget => SHOWN_BY_THE_WIDGET.contains(&name),
            Self::Only(names) => names.iter().any(|allowed| **allowed == *name),
        }
    }

    fn shows(&self, event: &str) -> bool {
        ALWAYS_EVENTS.contains(&event) || self.lists(event)
    }

    /// Whether of that event or field only an outline is shown.
    fn outlines(&self, name: &str) -> bool {
        matches!(self, Self::Widget) && [STEP, STEPS, ACTION].contains(&name)
    }

    /// Of a record that is too long to wait for, by its event's name; `None`: it must be whole.
    pub(super) fn early(&self, name: &str) -> Option<bool> {
        match name {
            "metadata" => None,
            name if self.outlines(name) => None,
            name => Some(self.shows(name)),
        }
    }

    /// Of a whole record. What cannot be read is not shown.
    pub(super) fn record(&self, record: &[u8]) -> Step {
        let Some(data) = data_of(record) else {
            let mut lines = record.split(|byte| matches!(byte, b'\r' | b'\n'));
            let is_comment = lines.all(|line| matches!(line.first(), None | Some(b':')));
            return if is_comment { Step::Pass } else { Step::Drop };
        };
        let whole;
        let event = if let Ok(event) = serde_json::from_slice(&data) {
            Some(event)
        } else {
            // Bytes that are no UTF-8.
            whole = sound(&data);
            serde_json::from_str(&whole).ok()
        };
        let Some(Event { event, data }) = event else { return Step::Drop };
        if !self.shows(&event) {
            return Step::Drop;
        }
        let rewritten = match &*event {
            "metadata" => data.and_then(|data| String::from_utf8(fields(data.get().as_bytes(), self)?).ok()),
            name if self.outlines(name) => {
                data.and_then(|data| outline(name, data)).map(|shown| shown.get().to_owned())
            }
            _ => return Step::Pass,
        };
        match rewritten {
            Some(data) => Step::Replace(format!("message:\ndata:{{\"event\":\"{event}\",\"data\":{data}}}\n\n")),
            None => Step::Drop,
        }
    }
}

/// A JSON object's shown fields, in their order and each as it was; `None`: it is no object.
pub(super) fn fields(object: &[u8], allowed: &Allowed) -> Option<Vec<u8>> {
    let whole;
    let mut fields: Fields<'_> = if let Ok(fields) = serde_json::from_slice(object) {
        fields
    } else {
        // Halves of characters pass in values, but not in names.
        whole = sound(object);
        serde_json::from_str(&whole).ok()?
    };
    fields.0.retain_mut(|(name, value)| {
        if !allowed.outlines(name) {
            return ALWAYS.contains(&&**name) || allowed.lists(name);
        }
        let outline = outline(name, value);
        outline.map(|outline| *value = Cow::Owned(outline)).is_some()
    });
    serde_json::to_vec(&fields).ok()
}

/// Of an agentflow's step what names it and says how far it is.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outline<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    node_id: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    node_label: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    previous_node_ids: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Place<'a>,
}

/// Which node, and in which round of an iteration.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Place<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    name: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    parent_node_id: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    iteration_index: Option<&'a RawValue>,
}

/// The step that it has come to.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reached<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    node_id: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    node_label: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    status: Option<&'a RawValue>,
}

/// The buttons, and which node waits for them.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Buttons<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    mapping: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    elements: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Waiting<'a>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Waiting<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    node_id: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    node_label: Option<&'a RawValue>,
}

/// `None`: it is not what its name says.
fn outline(name: &str, value: &RawValue) -> Option<Box<RawValue>> {
    let value = &*sound(value.get().as_bytes());
    match name {
        STEP => again::<Reached<'_>>(value),
        STEPS => again::<Vec<Outline<'_>>>(value),
        // Also as a text that holds it, as Flowise stores it.
        _ => match read_str::<String>(value) {
            Ok(text) => again::<Buttons<'_>>(&text),
            Err(_) => again::<Buttons<'_>>(value),
        },
    }
}

/// What of it the type knows.
fn again<'a, T: Deserialize<'a> + Serialize>(value: &'a str) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(&serde_json::from_str::<T>(value).ok()?).ok()
}

/// An object whose values are not looked at.
struct Fields<'a>(Vec<(String, Cow<'a, RawValue>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, Cow<'de, RawValue>)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<_, &RawValue>()? {
                    fields.push((name, Cow::Borrowed(value)));
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
