//! Events as they are written for one client.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::event::{AnswerEvent, AnswerValue};
use super::event_name::EventName;
use super::filter::{Allowed, RawEvent};
use super::rename::Renamer;
use super::renderer::Renderer;
use crate::predict::events::{KEEP_ALIVE, RecordAction, data_of};
use crate::wire::json::sound;

/// Room that is kept from one event to the next.
const SPARE: usize = 4 * 1024;

/// Writes events as their client may see them, in the shape that it asks for.
#[derive(Debug)]
pub(crate) struct EventWriter {
    renderer: Box<dyn Renderer>,
    /// `None`: everything.
    allowed: Option<Allowed>,
    /// `None`: there is no id to put in.
    renamer: Option<Renamer>,
    text: Vec<u8>,
}

impl EventWriter {
    pub(super) fn new(renderer: Box<dyn Renderer>, allowed: Option<Allowed>, renamer: Option<Renamer>) -> Self {
        Self { renderer, allowed, renamer, text: Vec::new() }
    }

    pub(crate) fn write(&mut self, event: AnswerEvent<'_>) {
        let event = match &self.allowed {
            Some(allowed) if !self.renderer.needs(event.name) => allowed.event(event),
            _ => Some(event),
        };
        if let Some(event) = event {
            self.renderer.event(&event, &mut self.text);
        }
    }

    /// Ends it before its time.
    pub(crate) fn break_off(&mut self, sentence: &str) {
        self.write(AnswerEvent { name: EventName::Error, data: sentence.into() });
        self.write(AnswerEvent { name: EventName::End, data: AnswerValue::DONE });
    }

    /// Bytes that are written and not taken.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Hands on what has been written since the last time, whole events.
    pub(crate) fn take(&mut self, hand_on: impl FnOnce(&mut Vec<u8>)) {
        if let Some(renamer) = &mut self.renamer {
            renamer.put_into(&mut self.text);
        }
        hand_on(&mut self.text);
        self.text.clear();
        self.text.shrink_to(SPARE);
    }

    /// A record of Flowise's.
    pub(super) fn record(&mut self, record: &[u8]) -> RecordAction {
        let Some(data) = data_of(record) else {
            let is_comment = record.first() == Some(&b':');
            return if is_comment { RecordAction::Replace(KEEP_ALIVE) } else { RecordAction::Drop };
        };
        let data = sound(&data);
        let Ok(RawEvent { event, data }) = serde_json::from_str(&data) else { return RecordAction::Drop };
        if let Some(name) = EventName::of(&event) {
            self.write(AnswerEvent { name, data: AnswerValue::Raw(Cow::Borrowed(data.unwrap_or(RawValue::NULL))) });
        }
        match std::mem::take(&mut self.text) {
            text if text.is_empty() => RecordAction::Drop,
            text => RecordAction::Replace(Bytes::from(text)),
        }
    }

    /// How it ends where no more of it can be made, whatever it has not written yet.
    pub(super) fn failure(&self, sentence: &str) -> String {
        self.renderer.failure(sentence, "upstream_error")
    }
}
