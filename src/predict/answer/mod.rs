//! What a client sees of an answer: the fields and events that its chatflow shows ([`screen`]), the client's own ids
//! in place of Flowise's ([`rename`]), and, if asked, the shape of a message ([`message`]).

mod message;
mod rename;
mod screen;

use std::sync::Arc;

use bytes::Bytes;

use self::message::Telling;
pub(crate) use self::message::told_error;
use self::rename::Rename;
pub(crate) use self::rename::Renamer;
use self::screen::Allowed;
pub(crate) use self::screen::Step;
use super::events::Records;
use super::session::ChatIds;
use crate::config::{Chatflow, Events, ResponseShape};

/// How one answer differs from what the upstream sent.
#[derive(Debug)]
pub(crate) struct View {
    renames: Vec<Rename>,
    /// `None`: everything.
    allowed: Option<Allowed>,
    shape: ResponseShape,
}

impl View {
    /// `None`: the answer passes as it is.
    pub(crate) fn new(chatflow: &Chatflow, ids: &ChatIds) -> Option<Box<Self>> {
        let renames = Rename::of(ids);
        let allowed = match &chatflow.events {
            Events::All => None,
            Events::Widget => Some(Allowed::Widget),
            Events::Only(names) => Some(Allowed::Only(Arc::clone(names))),
        };
        let shape = chatflow.response;
        let changes = !renames.is_empty() || allowed.is_some() || shape == ResponseShape::Message;
        changes.then(|| Box::new(Self { renames, allowed, shape }))
    }

    /// Whether a JSON answer can be changed only once it is whole.
    pub(crate) fn needs_whole(&self) -> bool {
        self.allowed.is_some() || self.shape == ResponseShape::Message
    }

    /// A whole JSON answer as the client sees it; `None`: it cannot be read, so nobody knows what it would show.
    pub(crate) fn json(self, body: Bytes) -> Option<Bytes> {
        let shown = match (self.shape, &self.allowed) {
            (ResponseShape::Message, allowed) => message::of_json(&body, allowed.as_ref())?.into(),
            (ResponseShape::Flowise, Some(allowed)) => screen::fields(&body, allowed)?.into(),
            (ResponseShape::Flowise, None) => body,
        };
        Some(Renamer::new(self.renames).whole(shown))
    }

    /// A JSON answer of which nothing but ids is changed, piece by piece.
    pub(crate) fn into_renamer(self) -> Renamer {
        Renamer::new(self.renames)
    }

    /// A stream, piece by piece.
    pub(crate) fn into_stream(self) -> StreamView {
        let telling = (self.shape == ResponseShape::Message).then(Telling::default);
        let records = (telling.is_some() || self.allowed.is_some()).then(Records::default);
        StreamView { records, allowed: self.allowed, telling, renamer: Renamer::new(self.renames) }
    }
}

/// A stream on its way.
#[derive(Debug)]
pub(crate) struct StreamView {
    /// `None`: records pass unread.
    records: Option<Records>,
    allowed: Option<Allowed>,
    telling: Option<Telling>,
    renamer: Renamer,
}

impl StreamView {
    /// What of this piece, and of what was held, goes on now.
    pub(crate) fn take(&mut self, piece: Bytes) -> Bytes {
        let Self { records: Some(records), allowed, telling, renamer } = self else { return self.renamer.take(piece) };
        let is_message = telling.is_some();
        let step = |record: &[u8]| match telling {
            Some(telling) => telling.tell(record, allowed.as_ref()).map_or(Step::Drop, Step::Replace),
            None => allowed.as_ref().map_or(Step::Pass, |allowed| allowed.record(record)),
        };
        // A message is made of whole records.
        let early = |name: &str| allowed.as_ref().filter(|_| !is_message).and_then(|allowed| allowed.early(name));
        let shown = records.take(piece, step, early);
        renamer.take(shown)
    }

    /// Bytes that are looked at if a record that has been held ends with this piece, which only a line's end can do.
    pub(crate) fn awaited(&self, piece: &[u8]) -> usize {
        let held = self.records.as_ref().map_or(0, Records::held);
        if held > 0 && memchr::memchr(b'\n', piece).is_some() { held + piece.len() } else { 0 }
    }

    /// What is still held at the stream's end.
    pub(crate) fn end(&mut self) -> Bytes {
        self.renamer.end()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.renamer.is_empty()
    }
}

#[cfg(test)]
mod tests;
