//! What `events: widget` and `events: [...]` let through.
//!
//! One list for both kinds of answer: an event of a stream and the field of a JSON answer that carries the same have
//! the same name (`sourceDocuments`, `usedTools`, `agentFlowExecutedData`, ...). What is not listed is dropped, known
//! or not: an agentflow's `agentFlowExecutedData` holds system prompts, addresses and credential ids.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::event::{AnswerEvent, AnswerValue};
use super::fields::AnswerFields;
use crate::config::FLOWISE_EVENTS;
use crate::predict::events::{RecordAction, data_of, write_record};
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

/// An agentflow's steps so far. The widget names them, and has a stop button only once there is one; their inputs and
/// outputs are nobody's business on a public page.
const STEPS: &str = "agentFlowExecutedData";
/// The step that an agentflow has come to. Why it failed may name addresses and keys: that is for the `error` event to
/// say, which is cleaned.
const STEP: &str = "nextAgentFlow";
/// What a flow that waits asks its user. Flowise puts everything into it that the waiting node was given, prompts and
/// the model's settings included; the widget draws the buttons and sends the node's id back.
const ACTION: &str = "action";
const METADATA: &str = "metadata";

/// Which events a client may see.
#[derive(Debug)]
pub(crate) enum Allowed {
    Widget,
    /// Those of these names.
    Only(Arc<[Box<str>]>),
}

/// A record's data, as far as it is looked at.
#[derive(Deserialize)]
pub(super) struct RawEvent<'a> {
    #[serde(borrow)]
    pub(super) event: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

impl Allowed {
    fn lists(&self, name: &str) -> bool {
        match self {
            Self::Widget => FLOWISE_EVENTS.iter().any(|(known, is_shown)| *is_shown && *known == name),
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
            name if self.rewrites(name) => None,
            name => Some(self.shows(name)),
        }
    }

    /// Of a whole record. What cannot be read is not shown.
    pub(super) fn record(&self, record: &[u8]) -> RecordAction {
        let Some(data) = data_of(record) else {
            let mut lines = record.split(|byte| matches!(byte, b'\r' | b'\n'));
            let is_comment = lines.all(|line| matches!(line.first(), None | Some(b':')));
            return if is_comment { RecordAction::Pass } else { RecordAction::Drop };
        };
        let whole;
        let event = if let Ok(event) = serde_json::from_slice(&data) {
            Some(event)
        } else {
            // Bytes that are no UTF-8.
            whole = sound(&data);
            serde_json::from_str(&whole).ok()
        };
        let Some(RawEvent { event, data }) = event else { return RecordAction::Drop };
        if !self.shows(&event) {
            return RecordAction::Drop;
        }
        if !self.rewrites(&event) {
            return RecordAction::Pass;
        }
        let Some(data) = data.and_then(|data| self.rewritten(&event, &data.into())) else { return RecordAction::Drop };
        let mut text = Vec::new();
        write_record(&mut text, &event, &data, data.get().len());
        RecordAction::Replace(Bytes::from(text))
    }

    /// Of an event that is told.
    pub(super) fn event<'a>(&self, event: AnswerEvent<'a>) -> Option<AnswerEvent<'a>> {
        let name = event.name.as_str();
        if !self.shows(name) {
            return None;
        }
        if !self.rewrites(name) {
            return Some(event);
        }
        let data = self.rewritten(name, &event.data)?;
        Some(AnswerEvent { data: data.into(), ..event })
    }

    /// Of an answer in one piece: the fields that are shown, each as it was or what is shown of it.
    pub(super) fn fields(&self, answer: &mut AnswerFields<'_>) {
        answer.retain_mut(|name, data| {
            if !self.outlines(name) {
                return ALWAYS.contains(&name) || self.lists(name);
            }
            let outline = outline(name, data);
            outline.map(|outline| *data = outline.into()).is_some()
        });
    }

    /// Whether an event that is shown is not shown as it is.
    fn rewrites(&self, name: &str) -> bool {
        name == METADATA || self.outlines(name)
    }

    /// `None`: it is not what its name says.
    fn rewritten(&self, name: &str, data: &AnswerValue<'_>) -> Option<Box<RawValue>> {
        if name != METADATA {
            return outline(name, data);
        }
        let whole;
        let mut fields = match AnswerFields::of(data) {
            None => {
                // Halves of characters pass in values, but not in names.
                let AnswerValue::Raw(raw) = data else { return None };
                whole = sound(raw.get().as_bytes());
                AnswerFields::of_json(&whole)?
            }
            Some(fields) => fields,
        };
        self.fields(&mut fields);
        to_raw_value(&fields).ok()
    }
}

/// Of an agentflow's step what names it and says how far it is.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepOutline<V> {
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_label: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_node_ids: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<V>,
    #[serde(default = "StepPlace::unknown")]
    data: StepPlace<V>,
}

/// Which node, and in which round of an iteration.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepPlace<V> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_node_id: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iteration_index: Option<V>,
}

impl<V> StepPlace<V> {
    fn unknown() -> Self {
        Self { id: None, name: None, parent_node_id: None, iteration_index: None }
    }
}

/// The step that it has come to.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReachedStep<V> {
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_label: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<V>,
}

/// The buttons, and which node waits for them.
#[derive(Deserialize, Serialize)]
struct ActionOutline<V> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<V>,
    #[serde(default = "WaitingStep::unknown")]
    data: WaitingStep<V>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct WaitingStep<V> {
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_label: Option<V>,
}

impl<V> WaitingStep<V> {
    fn unknown() -> Self {
        Self { node_id: None, node_label: None }
    }
}

/// `None`: it is not what its name says.
fn outline(name: &str, data: &AnswerValue<'_>) -> Option<Box<RawValue>> {
    match data {
        AnswerValue::Text(text) => outline_of_text(name, text),
        AnswerValue::Value(value) => match &**value {
            Value::String(text) => outline_of_text(name, text),
            value => outline_of::<Value, _>(name, value),
        },
        AnswerValue::Raw(raw) => {
            let json = &*sound(raw.get().as_bytes());
            if json.starts_with('"') {
                return outline_of_text(name, &read_str::<String>(json).ok()?);
            }
            outline_of_json(name, json)
        }
    }
}

/// A text may hold what a flow asks its user, as Flowise stores it.
fn outline_of_text(name: &str, text: &str) -> Option<Box<RawValue>> {
    if name == ACTION { outline_of_json(name, text) } else { None }
}

fn outline_of_json(name: &str, json: &str) -> Option<Box<RawValue>> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let outline = outline_of::<&RawValue, _>(name, &mut reader)?;
    reader.end().ok()?;
    Some(outline)
}

/// What of it the type of that name knows.
fn outline_of<'de, V, D>(name: &str, whole: D) -> Option<Box<RawValue>>
where
    V: Deserialize<'de> + Serialize,
    D: Deserializer<'de>,
{
    match name {
        STEP => to_raw_value(&ReachedStep::<V>::deserialize(whole).ok()?),
        STEPS => to_raw_value(&Vec::<StepOutline<V>>::deserialize(whole).ok()?),
        _ => to_raw_value(&ActionOutline::<V>::deserialize(whole).ok()?),
    }
    .ok()
}
