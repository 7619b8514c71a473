//! What a client sees of an answer: the fields and events that its chatflow shows ([`filter`]), in the shape that it asks
//! for ([`mod@renderer`]), with the client's own ids in place of Flowise's ([`rename`]).
//!
//! Who answers with values gives [fields](AnswerFields), or tells [events](AnswerEvent) to an [`EventWriter`]. Bytes of Flowise's
//! are looked into only as far as they are to be changed.

mod event;
mod event_name;
mod fields;
mod filter;
mod flowise;
mod message;
mod output;
mod passing;
mod rename;
mod renderer;
mod writer;

use std::sync::Arc;

use bytes::Bytes;

pub(crate) use self::event::{AnswerEvent, AnswerValue};
pub(crate) use self::event_name::EventName;
pub(crate) use self::fields::AnswerFields;
use self::filter::Allowed;
use self::flowise::FlowiseRenderer;
use self::message::MessageRenderer;
use self::output::AnswerOutput;
use self::passing::RecordView;
pub(crate) use self::passing::StreamView;
use self::rename::Rename;
pub(crate) use self::rename::Renamer;
use self::renderer::Renderer;
pub(crate) use self::writer::EventWriter;
use super::events::Records;
use super::session::ChatIds;
use crate::config::{Chatflow, Events, ResponseShape};
use crate::wire::json::sound;

/// The shapes that there are.
fn renderer(shape: ResponseShape) -> Box<dyn Renderer> {
    match shape {
        ResponseShape::Flowise => Box::new(FlowiseRenderer),
        ResponseShape::Message => Box::<MessageRenderer>::default(),
    }
}

/// How one answer is shown.
#[derive(Debug)]
pub(crate) struct View {
    renames: Vec<Rename>,
    /// `None`: everything.
    allowed: Option<Allowed>,
    shape: ResponseShape,
}

/// All of it, as Flowise gives it.
impl Default for View {
    fn default() -> Self {
        Self { renames: Vec::new(), allowed: None, shape: ResponseShape::Flowise }
    }
}

impl View {
    pub(crate) fn new(chatflow: &Chatflow, ids: &ChatIds, shape: ResponseShape) -> Self {
        let allowed = match &chatflow.events {
            Events::All => None,
            Events::Widget => Some(Allowed::Widget),
            Events::Only(names) => Some(Allowed::Only(Arc::clone(names))),
        };
        Self { renames: Rename::of(ids), allowed, shape }
    }

    /// `None`: Flowise's answer passes as it is.
    pub(crate) fn of_flowise(chatflow: &Chatflow, ids: &ChatIds, shape: ResponseShape) -> Option<Box<Self>> {
        let view = Self::new(chatflow, ids, shape);
        (view.needs_whole() || !view.renames.is_empty()).then(|| Box::new(view))
    }

    pub(crate) fn shape(&self) -> ResponseShape {
        self.shape
    }

    /// Whether a JSON answer can be changed only once it is whole.
    pub(crate) fn needs_whole(&self) -> bool {
        self.allowed.is_some() || self.shape != ResponseShape::Flowise
    }

    /// A whole answer as the client sees it; `None`: it cannot be written.
    pub(crate) fn whole(self, mut answer: AnswerFields<'_>) -> Option<Bytes> {
        if let Some(allowed) = &self.allowed {
            allowed.fields(&mut answer);
        }
        let mut out = AnswerOutput::new(self.renames);
        renderer(self.shape).whole(answer, &mut out).ok()?;
        Some(out.done())
    }

    /// A whole JSON answer as the client sees it; `None`: it cannot be read, so nobody knows what it would show.
    pub(crate) fn json(self, body: Bytes) -> Option<Bytes> {
        if !self.needs_whole() {
            return Some(Renamer::new(self.renames).whole(body));
        }
        // Halves of characters pass where values do, but not in names, and not into another shape.
        let as_it_is = std::str::from_utf8(&body).ok().filter(|_| self.shape == ResponseShape::Flowise);
        if let Some(answer) = as_it_is.and_then(AnswerFields::of_json) {
            return self.whole(answer);
        }
        self.whole(AnswerFields::of_json(&sound(&body))?)
    }

    /// A JSON answer of which nothing but ids is changed, piece by piece.
    pub(crate) fn into_renamer(self) -> Renamer {
        Renamer::new(self.renames)
    }

    /// A stream of Flowise's, piece by piece.
    pub(crate) fn into_stream(self) -> StreamView {
        let Self { renames, allowed, shape } = self;
        let records = match (shape, allowed) {
            (ResponseShape::Flowise, None) => RecordView::All,
            (ResponseShape::Flowise, Some(allowed)) => RecordView::Some(Records::default(), allowed),
            (shape, allowed) => RecordView::Told(Records::default(), EventWriter::new(renderer(shape), allowed, None)),
        };
        StreamView { records, renamer: Renamer::new(renames) }
    }

    /// A stream of events that somebody tells.
    pub(crate) fn into_writer(self) -> EventWriter {
        let renamer = (!self.renames.is_empty()).then(|| Renamer::new(self.renames));
        EventWriter::new(renderer(self.shape), self.allowed, renamer)
    }
}

/// What a stream consists of that has no answer.
pub(crate) fn failure(shape: ResponseShape, sentence: &str, code: &str) -> String {
    renderer(shape).failure(sentence, code)
}

#[cfg(test)]
mod tests;
